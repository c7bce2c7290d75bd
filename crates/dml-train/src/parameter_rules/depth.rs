//! The depth of a parameter by its name.
//!
//! ```text
//! stem, embeddings: 0        k-th numbered block from the input: k        final normalisation: that of the last block
//! head: one more than the last block
//! ```
//!
//! Blocks are the numbers in the names of timm, torchvision and transformers: `blocks.3`, `layer2.0`, `stages.1.blocks.0`,
//! `features.5`, `encoder.layer.11`, `encoder.layers.encoder_layer_3`. The groups are those of timm's
//! `param_groups_layer_decay` (Bao et al. 2021, "`BEiT`", arXiv 2106.08254, §3.1).

/// Segments of a name that a block's number follows.
const BLOCKS: [&str; 7] = [
    "blocks",
    "stage",
    "layer",
    "layers",
    "stages",
    "features",
    "resblocks",
];
/// Beginnings of segments of the stem and of embeddings.
const STEM: [&str; 19] = [
    "cls_token",
    "class_token",
    "class_embedding",
    "dist_token",
    "reg_token",
    "register_token",
    "mask_token",
    "pos_embed",
    "position",
    "patch_embed",
    "embeddings",
    "embed_tokens",
    "stem",
    "conv_stem",
    "conv_proj",
    "conv1",
    "bn1",
    "rel",
    "norm_pre",
];
/// Beginnings of names between the last block and the head.
const FINAL: [&str; 5] = ["norm", "final_norm", "ln_post", "conv_head", "bn2"];

/// Where a parameter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Stem,
    /// The numbers of a block.
    Block(Vec<u64>),
    Final,
    Head,
}

/// The depth of every name, and whether there are numbered blocks among them.
pub(super) fn depths(names: &[&str]) -> (Vec<usize>, bool) {
    let places: Vec<Place> = names.iter().map(|name| place(name)).collect();
    let mut blocks: Vec<&Vec<u64>> = places
        .iter()
        .filter_map(|place| match place {
            Place::Block(numbers) => Some(numbers),
            _ => None,
        })
        .collect();
    blocks.sort();
    blocks.dedup();
    // `stages.1.downsample` belongs to `stages.1.blocks.0`.
    let is_first = |numbers: &Vec<u64>| {
        let mut first = numbers.clone();
        first.push(0);
        blocks.contains(&&first)
    };
    let merged: Vec<&Vec<u64>> = blocks
        .iter()
        .copied()
        .filter(|own| !is_first(own))
        .collect();
    let depth = |place: &Place| match place {
        Place::Stem => 0,
        // The blocks up to this one.
        Place::Block(numbers) => {
            let before = merged.iter().filter(|other| **other <= numbers).count();
            before + usize::from(is_first(numbers))
        }
        Place::Final => merged.len(),
        Place::Head => merged.len() + 1,
    };
    let depths = places.iter().map(depth).collect();
    (depths, !blocks.is_empty())
}

fn place(name: &str) -> Place {
    let segments: Vec<&str> = name.split('.').collect();
    let numbers = block(&segments);
    // torchvision counts the stem as the first of the features.
    if numbers.first() == Some(&0) && segments.contains(&"features") {
        return Place::Stem;
    }
    if !numbers.is_empty() {
        return Place::Block(numbers);
    }
    let begins = |segment: &&str, with: &[&str]| with.iter().any(|own| segment.starts_with(own));
    if segments.iter().any(|segment| begins(segment, &STEM)) {
        return Place::Stem;
    }
    if segments.first().is_some_and(|own| begins(own, &FINAL)) {
        return Place::Final;
    }
    Place::Head
}

/// The numbers of the first block in a name; none if there is no block.
fn block(segments: &[&str]) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut segments = segments.iter().enumerate().peekable();
    let count = segments.len();
    while let Some((i, segment)) = segments.next() {
        // `layer2` and `encoder_layer_3` have their number in themselves.
        let word = segment.trim_end_matches(|own: char| own.is_ascii_digit());
        let own: Option<u64> = segment[word.len()..].parse().ok();
        let is_own = own.is_some()
            && BLOCKS
                .iter()
                .any(|block| word.trim_end_matches('_').ends_with(block));
        // A number before the last segment names a part of a block: `features.0.1.weight`.
        let is_second = word.is_empty() && own.is_some() && !numbers.is_empty() && i + 2 < count;
        if is_own || is_second {
            numbers.extend(own);
            continue;
        }
        let next: Option<u64> = segments.peek().and_then(|(_, next)| next.parse().ok());
        match next {
            Some(number) if BLOCKS.contains(segment) => {
                numbers.push(number);
                segments.next();
            }
            _ if numbers.is_empty() => {}
            _ => break,
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_over_all_stages() {
        let names = [
            "encoder.relative_attention_bias.weight",
            "embeddings.word_embeddings.weight",
            "encoder.layer.0.attention.self.query.weight",
            "encoder.layer.10.output.dense.bias",
            "encoder.layer.9.output.dense.bias",
            "pooler.dense.weight",
        ];
        assert_eq!(depths(&names), (vec![0, 0, 1, 3, 2, 4], true));
        let torchvision = [
            ("features.0.0.weight", vec![0]),
            ("features.0.1.weight", vec![0]),
            ("features.1.0.block.0.0.weight", vec![1, 0]),
            ("features.1.conv.0.0.weight", vec![1]),
            ("features.18.1.weight", vec![18]),
            ("layer2.0.downsample.0.weight", vec![2, 0]),
            ("encoder.layers.encoder_layer_3.ln_1.weight", vec![3]),
            ("stages.3.downsample.1.weight", vec![3]),
            ("layers.2.blocks.5.mlp.fc1.weight", vec![2, 5]),
            ("blocks.4.1.conv_pw.weight", vec![4, 1]),
            ("blocks.0.mlp.layers.1.weight", vec![0]),
            ("fc.weight", vec![]),
        ];
        for (name, numbers) in torchvision {
            let segments: Vec<&str> = name.split('.').collect();
            assert_eq!(block(&segments), numbers, "{name}");
        }
    }

    #[test]
    fn the_first_of_the_features_is_the_stem() {
        let names = [
            "features.0.0.weight",
            "features.1.conv.0.0.weight",
            "features.2.0.weight",
        ];
        assert_eq!(depths(&names), (vec![0, 1, 2], true));
    }

    #[test]
    fn a_network_without_numbers_has_no_blocks() {
        assert_eq!(depths(&["weight", "bias"]), (vec![1, 1], false));
        assert_eq!(depths(&[]), (vec![], false));
    }
}
