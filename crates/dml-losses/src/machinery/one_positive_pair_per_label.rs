//! One positive pair for each label.

use std::collections::BTreeMap;

use dml_core::{Batch, Pairs, Result, Tuples, check};

/// For each label, ascending, the first positive pair whose anchor has it; the list of negatives stays empty.
///
/// # Errors
/// [`Error::Missing`](dml_core::Error::Missing) if the batch has no labels, and as [`Tuples::check`].
pub fn one_positive_pair_per_label(batch: &Batch, tuples: &Tuples) -> Result<Pairs> {
    tuples.check(batch)?;
    let labels = check::present(batch.labels(), "one_positive_pair_per_label", "labels")?;
    let labels = labels.as_slice();
    let mut first = BTreeMap::new();
    let mut offer = |anchors: &[u32], positives: &[u32]| {
        for (&a, &p) in anchors.iter().zip(positives) {
            first.entry(labels[a as usize]).or_insert((a, p));
        }
    };
    if let Some(list) = tuples.as_pairs() {
        offer(&list.positive_anchors, &list.positives);
    } else if let Some(list) = tuples.as_triplets() {
        offer(&list.anchors, &list.positives);
    } else {
        let set = tuples.by_anchor("one_positive_pair_per_label", batch)?;
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for q in 0..set.anchors() {
            positives.clear();
            negatives.clear();
            set.split(q, &mut positives, &mut negatives);
            offer(&[q as u32], &positives);
        }
    }
    let (positive_anchors, positives) = first.into_values().unzip();
    Ok(Pairs {
        positive_anchors,
        positives,
        ..Pairs::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use dml_core::{Order, Relation, TensorExt, TupleCount, TupleSet};

    fn batch() -> Batch {
        let embeddings = Tensor::new(&[[0f32], [1.], [3.], [7.], [2.]], &Device::Cpu).unwrap();
        Batch::new(&embeddings, [0i64, 0, 1, 1, 0]).unwrap()
    }

    /// The triplets of which the rows of anchor and positive sum to an odd number.
    #[derive(Debug)]
    struct OddSum(Relation);

    impl TupleSet for OddSum {
        fn anchors(&self) -> usize {
            self.0.queries()
        }

        fn references(&self) -> usize {
            self.0.references()
        }

        fn count(&self) -> TupleCount {
            let mut count = 0;
            for anchor in 0..self.anchors() {
                self.visit(anchor, &mut |p, n| count += (p.len() * n.len()) as u64);
            }
            TupleCount::Triplets(count)
        }

        fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
            let (mut positives, mut negatives) = (Vec::new(), Vec::new());
            self.0.split(anchor, &mut positives, &mut negatives);
            positives.retain(|p| (anchor as u32 + p) % 2 == 1);
            f(&positives, &negatives);
        }
    }

    #[test]
    fn the_first_pair_of_its_label() -> Result<()> {
        let batch = batch();
        let pairs = Pairs::new(vec![3, 4, 0], vec![2, 0, 1], vec![], vec![])?;
        let first = one_positive_pair_per_label(&batch, &pairs.into())?;
        assert_eq!(first.positive_anchors, [4, 3]);
        assert_eq!(first.positives, [0, 2]);
        let first = one_positive_pair_per_label(&batch, &Tuples::all())?;
        assert_eq!(first.positive_anchors, [0, 2]);
        assert_eq!(first.positives, [1, 3]);
        Ok(())
    }

    #[test]
    fn other_forms_have_the_first_pairs_of_their_lists() -> Result<()> {
        let batch = batch();
        let x = batch.embeddings();
        let matrix = x.pairwise_lp(x, 2.0)?;
        let order = Order::SmallerIsCloser;
        let ranges = Tuples::all().ranges(&batch, &matrix, order)?.unwrap();
        let relation = batch.relation().unwrap().clone();
        for tuples in [
            Tuples::from(Tuples::all().mask(&batch)?),
            ranges.into(),
            Tuples::from_set(OddSum(relation)),
        ] {
            let list = match tuples.count(&batch)? {
                TupleCount::Pairs { .. } => tuples.pairs(&batch)?.into(),
                TupleCount::Triplets(_) => tuples.triplets(&batch)?.into(),
            };
            let first = one_positive_pair_per_label(&batch, &tuples)?;
            assert_eq!(first, one_positive_pair_per_label(&batch, &list)?);
            assert_eq!(first.positives.len(), 2);
        }
        Ok(())
    }
}
