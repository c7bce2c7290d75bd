//! `dml mine`: hard negatives, from data to a table of triplets.

use std::path::PathBuf;

use dml::candle_core::Tensor;
use dml::distances::CosineSimilarity;
use dml::encoder::Encoder;
use dml::eval::{FlatIndex, FlatMetric, KnnIndex, SelfMatch};
use dml::miners::{HardNegativeMiner, HardNegativeMinerConfig, NeighborLists, PositivePairs};
use dml::{Distance, Labels, Order, Relation};
use dml_program::println;

use crate::device::DeviceArgs;
use crate::exit::Misuse;
use crate::inputs::{InputArgs, NamedInputs};
use crate::run_folder::{model_of, write};

/// Rows whose similarities to all others are in memory at a time.
const BLOCK: usize = 512;

/// What to mine from, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The data.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Table of triplets: anchor, positive, negative and both cosines, as CSV.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Negatives of an anchor.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = dml_program::number::within(1usize, 1000))]
    pub negatives: usize,
    /// Nearest negatives that are passed over: they may be positives with a wrong label.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = dml_program::number::within(0usize, 100_000))]
    pub skip: usize,
    /// Neighbours that are looked at for negatives.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = dml_program::number::within(1usize, 100_000))]
    pub depth: usize,
    /// Least difference of the cosines of positive and negative.
    #[arg(long, value_name = "COSINE")]
    pub margin: Option<f64>,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Mines and writes.
///
/// # Errors
/// Data without classes, a model that can't be read, a disk that is full.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let miner = HardNegativeMiner::new(HardNegativeMinerConfig {
        num_negatives: args.negatives,
        range_min: args.skip,
        absolute_margin: args.margin,
        ..HardNegativeMinerConfig::default()
    });
    let miner = miner.map_err(|error| Misuse::error(error.to_string()))?;
    let encoder = Encoder::open(model_of(&args.model), &device)?;
    let inputs = NamedInputs::open(&args.inputs, &encoder)?;
    let labels = inputs.labels("mine")?;
    let embeddings = inputs.embed(&encoder, args.inputs.batch)?;
    let (queries, positives, distances) = hardest_positives(&embeddings, &labels)?;
    if queries.is_empty() {
        return Err(Misuse::error(format!(
            "{}: every class has one input, so that there is no positive",
            args.inputs.data.display()
        )));
    }
    let mut index = FlatIndex::new(FlatMetric::Cosine);
    index.add(&embeddings)?;
    let k = args.depth.saturating_add(args.skip).min(inputs.len() - 1);
    let found = index.search_others(&embeddings, k, SelfMatch::Same)?;
    let neighbors = NeighborLists {
        indices: &found.indices,
        distances: &found.distances,
        k,
        order: Order::LargerIsCloser,
    };
    let pairs = PositivePairs {
        queries: &queries,
        positives: &positives,
        distances: Some(&distances),
    };
    let relation = Relation::labels(&labels)?;
    let triplets = miner.mine(&neighbors, &pairs, &relation)?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "anchor",
        "positive",
        "negative",
        "positive_cosine",
        "negative_cosine",
    ])?;
    let cosine = |anchor: u32, other: u32| {
        let own = &found.indices[anchor as usize * k..][..k];
        let place = own.iter().position(|row| *row == other);
        place.map(|place| found.distances[anchor as usize * k + place])
    };
    let all = triplets
        .anchors
        .iter()
        .zip(&triplets.positives)
        .zip(&triplets.negatives);
    for ((anchor, positive), negative) in all {
        let place = queries.partition_point(|query| query < anchor);
        let name = |row: &u32| inputs.ids[*row as usize].clone();
        let shown = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
        let (near, far) = (
            shown(distances.get(place).copied()),
            shown(cosine(*anchor, *negative)),
        );
        table.write_record([name(anchor), name(positive), name(negative), near, far])?;
    }
    write(&args.out, &table.into_inner()?)?;
    let (count, anchors) = (triplets.anchors.len(), queries.len());
    println!(
        "{}: {count} triplets of {anchors} anchors",
        args.out.display()
    );
    Ok(())
}

/// Each row with the row of its class that is least alike, and their cosine; rows without another one are left out.
fn hardest_positives(
    embeddings: &Tensor,
    labels: &Labels,
) -> anyhow::Result<(Vec<u32>, Vec<u32>, Vec<f64>)> {
    let labels = labels.as_slice();
    let (mut queries, mut positives, mut cosines) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..labels.len()).step_by(BLOCK) {
        let rows = BLOCK.min(labels.len() - start);
        let block = embeddings.narrow(0, start, rows)?;
        let similarities = CosineSimilarity::default().matrix(&block, Some(embeddings))?;
        for (row, own) in similarities.to_vec2::<f32>()?.iter().enumerate() {
            let query = start + row;
            let others = own.iter().zip(labels).enumerate();
            let others =
                others.filter(|(other, (_, label))| *other != query && **label == labels[query]);
            if let Some((other, (cosine, _))) = others.min_by(|a, b| a.1.0.total_cmp(b.1.0)) {
                queries.push(query as u32);
                positives.push(other as u32);
                cosines.push(f64::from(*cosine));
            }
        }
    }
    Ok((queries, positives, cosines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml::IntoLabels;
    use dml::candle_core::Device;

    #[test]
    fn the_hardest_positive_is_the_least_alike_of_the_class() -> anyhow::Result<()> {
        let rows = [[1f32, 0.], [0.8, 0.6], [0., 1.], [0.6, 0.8]];
        let rows = Tensor::new(&rows, &Device::Cpu)?;
        let labels = [0i64, 0, 0, 1].into_labels()?;
        let (queries, positives, cosines) = hardest_positives(&rows, &labels)?;
        assert_eq!((queries, positives), (vec![0, 1, 2], vec![2, 2, 0]));
        assert!(cosines[0].abs() < 1e-6 && (cosines[1] - 0.6).abs() < 1e-6);
        Ok(())
    }
}
