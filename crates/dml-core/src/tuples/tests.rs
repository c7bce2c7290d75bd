//! The forms of tuples mean the same set.

use candle_core::{Device, Tensor};
use dml_kernels::PairMask;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{Error, Relation};

fn batch() -> Batch {
    let embeddings = Tensor::new(&[[0f32], [1.], [3.], [7.], [2.]], &Device::Cpu).unwrap();
    Batch::new(&embeddings, [0i64, 0, 1, 1, 0]).unwrap()
}

fn matrix() -> Tensor {
    let x = batch().embeddings().clone();
    crate::TensorExt::pairwise_lp(&x, &x, 2.0).unwrap()
}

#[test]
fn all_triplets_are_the_same_in_every_form() -> Result<()> {
    let batch = batch();
    let listed = Tuples::all().triplets(&batch)?;
    // Two positives with two negatives for each of three anchors, one with three for each of two: 3·4 + 2·3.
    assert_eq!(listed.len(), 18);
    let ranges = Tuples::all()
        .ranges(&batch, &matrix(), Order::SmallerIsCloser)?
        .unwrap();
    assert_eq!(Tuples::from(ranges).triplets(&batch)?, listed);
    let pairs = Tuples::all().pairs(&batch)?;
    assert_eq!(Tuples::from(pairs.clone()).triplets(&batch)?, listed);
    let ranges = Tuples::from(pairs)
        .ranges(&batch, &matrix(), Order::LargerIsCloser)?
        .unwrap();
    assert_eq!(Tuples::from(ranges).triplets(&batch)?, listed);
    Ok(())
}

#[test]
fn pairs_join_on_the_anchor_and_keep_repeats() -> Result<()> {
    let pairs = Pairs::new(vec![1, 0, 1], vec![0, 1, 0], vec![1, 3, 1], vec![3, 0, 2])?;
    let triplets = Tuples::from(pairs).triplets(&batch())?;
    assert_eq!(triplets.anchors, [1, 1, 1, 1]);
    assert_eq!(triplets.positives, [0, 0, 0, 0]);
    assert_eq!(triplets.negatives, [3, 2, 3, 2]);
    Ok(())
}

#[test]
fn rows_outside_of_the_batch_are_refused() -> Result<()> {
    let triplets = Triplets::new(vec![0], vec![1], vec![5])?;
    let error = Tuples::from(triplets).triplets(&batch()).unwrap_err();
    assert!(matches!(
        error,
        Error::Index {
            arg: "negatives",
            position: 0,
            limit: 5,
            got: 5
        }
    ));
    assert!(matches!(
        Triplets::new(vec![0], vec![], vec![]),
        Err(Error::Length { .. })
    ));
    assert!(matches!(
        Pairs::new(vec![], vec![1], vec![], vec![]),
        Err(Error::Length { .. })
    ));
    Ok(())
}

#[test]
fn counting_expands_nothing() -> Result<()> {
    let batch = batch();
    assert_eq!(
        Tuples::all().count(&batch)?,
        TupleCount::Pairs {
            positive: 8,
            negative: 12
        }
    );
    let unlabeled = Batch::unlabeled(batch.embeddings())?;
    assert!(matches!(
        Tuples::all().count(&unlabeled),
        Err(Error::Missing { .. })
    ));
    Ok(())
}

#[test]
fn random_triplets_are_allowed_ones_and_as_many_as_asked() -> Result<()> {
    let relation = Relation::labels([0i64, 0, 1, 2, 2, 2])?;
    let triplets = Triplets::random(
        &relation,
        PerAnchor::Exactly(50),
        &mut ChaCha8Rng::seed_from_u64(3),
    );
    let all = Triplets::all(&relation);
    let allowed =
        |t: usize, list: &Triplets| (list.anchors[t], list.positives[t], list.negatives[t]);
    // Anchor 2 has no positive.
    assert_eq!(triplets.len(), 5 * 50);
    for t in 0..triplets.len() {
        assert!((0..all.len()).any(|k| allowed(k, &all) == allowed(t, &triplets)));
    }
    for a in 0..all.len() {
        assert!((0..triplets.len()).any(|t| allowed(t, &triplets) == allowed(a, &all)));
    }
    Ok(())
}

/// Every triplet whose rows sum to an even number.
#[derive(Debug)]
struct EvenSum(Relation);

impl TupleSet for EvenSum {
    fn anchors(&self) -> usize {
        self.0.queries()
    }

    fn references(&self) -> usize {
        self.0.references()
    }

    fn count(&self) -> TupleCount {
        TupleCount::Triplets(Triplets::of_set(self).len() as u64)
    }

    fn visit(&self, a: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        self.0.split(a, &mut positives, &mut negatives);
        for p in positives {
            let even = |n: &u32| (a as u32 + p + n).is_multiple_of(2);
            let chosen: Vec<u32> = negatives.iter().copied().filter(even).collect();
            f(&[p], &chosen);
        }
    }
}

/// Triplets of ranges by a rule that doesn't say that they are.
#[derive(Debug)]
struct ByRule(Arc<TripletRanges>);

impl TupleSet for ByRule {
    fn anchors(&self) -> usize {
        self.0.anchors()
    }

    fn references(&self) -> usize {
        self.0.references()
    }

    fn count(&self) -> TupleCount {
        TupleSet::count(&*self.0)
    }

    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        self.0.visit(anchor, f);
    }
}

fn mask(batch: &Batch) -> PairMask {
    PairMask::select(5, 5, |q, p, n, _: &mut ()| {
        for r in 0..5 {
            match batch.relation().unwrap().pair_kind(q, r) {
                crate::PairKind::Positive(_) => p.insert(r),
                crate::PairKind::Negative(_) => n.insert_if(r, q < r),
                crate::PairKind::Ignored => {}
            }
        }
    })
}

/// The forms of one batch, and the same tuples as a list.
fn forms() -> Result<Vec<(Tuples, Tuples)>> {
    let batch = batch();
    let set = EvenSum(batch.relation().unwrap().clone());
    let ranges = triplet_ranges(
        &matrix(),
        Order::SmallerIsCloser,
        GapInterval {
            above: Some(0.5),
            at_most: Some(3.0),
        },
        |q, p, n| batch.relation().unwrap().split(q, p, n),
    )?;
    Ok([
        Tuples::from_set(mask(&batch)),
        Tuples::from_set(ranges),
        Tuples::from_set(set),
    ]
    .into_iter()
    .map(|tuples| {
        let list = match tuples.count(&batch).unwrap() {
            TupleCount::Pairs { .. } => Tuples::from(tuples.pairs(&batch).unwrap()),
            TupleCount::Triplets(_) => Tuples::from(tuples.triplets(&batch).unwrap()),
        };
        (tuples, list)
    })
    .collect())
}

#[test]
fn lazy_forms_are_their_lists() -> Result<()> {
    let batch = batch();
    for (tuples, list) in forms()? {
        assert_eq!(tuples.count(&batch)?, list.count(&batch)?);
        assert!(tuples.count(&batch)?.total() > 0);
        assert_eq!(tuples.pairs(&batch)?, list.pairs(&batch)?);
        assert_eq!(tuples.triplets(&batch)?, list.triplets(&batch)?);
        assert_eq!(tuples.weights(&batch)?, list.weights(&batch)?);
        let small = Batch::new(&Tensor::new(&[[0f32]], &Device::Cpu)?, [0i64])?;
        assert!(matches!(tuples.check(&small), Err(Error::Length { .. })));
    }
    let (masked, list) = forms()?.swap_remove(0);
    let of = |t: &Tuples| t.ranges(&batch, &matrix(), Order::SmallerIsCloser);
    assert_eq!(of(&masked)?, of(&list)?);
    Ok(())
}

#[test]
fn weights_are_occurrences_over_the_most_frequent() -> Result<()> {
    let batch = batch();
    let triplets = Tuples::from(Triplets::new(vec![0, 0, 1], vec![1, 4, 0], vec![2, 2, 2])?);
    // Row 0 appears three times, as does row 2; row 1 twice, row 4 once.
    let weights = triplets.weights(&batch)?;
    assert_eq!(weights, [1.0, 2.0 / 3.0, 1.0, 0.0, 1.0 / 3.0]);
    let pairs = Tuples::from(Pairs::new(vec![0], vec![1], vec![0, 2], vec![3, 4])?);
    assert_eq!(pairs.weights(&batch)?, [1.0, 0.5, 0.5, 0.5, 0.5]);
    // With references only anchors are rows of the batch.
    let apart = batch
        .clone()
        .with_reference(batch.embeddings(), [0i64, 0, 1, 1, 0])?;
    assert_eq!(triplets.weights(&apart)?, [1.0, 0.5, 0.0, 0.0, 0.0]);
    assert_eq!(triplets.anchor_weights(&batch)?, [1.0, 0.5, 0.0, 0.0, 0.0]);
    // More references than queries: they are no rows to count.
    let two = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
    let few =
        Batch::new(&two, [0i64, 1])?.with_reference(batch.embeddings(), [0i64, 1, 1, 1, 2])?;
    let mask = Tuples::from(Tuples::all().mask(&few)?);
    let list = Tuples::from(mask.pairs(&few)?);
    assert_eq!(mask.weights(&few)?, list.weights(&few)?);
    for nothing in [Tuples::all(), Triplets::default().into()] {
        assert_eq!(nothing.weights(&batch)?, [1.0; 5]);
    }
    Ok(())
}

#[test]
fn self_comparisons_go_and_the_rest_keeps_its_order() -> Result<()> {
    // Two queries that are references 3 and 0.
    let relation =
        Relation::cross_labels([1i64, 1], [1i64; 4])?.with_self_matches(&[Some(3), Some(0)])?;
    let pairs = Pairs::new(vec![0, 1, 0, 1], vec![3, 3, 0, 0], vec![0], vec![3])?;
    let kept = pairs.without_self_comparisons(&relation);
    assert_eq!(kept.positive_anchors, [1, 0]);
    assert_eq!(kept.positives, [3, 0]);
    assert_eq!(kept.negatives, [3]);
    let triplets = Triplets::new(vec![1, 0, 1], vec![0, 1, 2], vec![3, 3, 3])?;
    let kept = triplets.without_self_comparisons(&relation);
    assert_eq!(kept, Triplets::new(vec![0, 1], vec![1, 2], vec![3, 3])?);
    Ok(())
}

#[test]
fn class_size_counts_the_anchor_where_it_is_among_the_references() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let among = Relation::labels([0i64, 0, 0, 1])?;
    let drawn = Triplets::random(&among, PerAnchor::ClassSize, &mut rng);
    assert_eq!(drawn.anchors, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let apart = Relation::cross_labels([0i64, 1], [0i64, 0, 2])?;
    let drawn = Triplets::random(&apart, PerAnchor::ClassSize, &mut rng);
    assert_eq!(drawn.anchors, [0, 0]);
    assert_eq!(drawn.negatives, [2, 2]);
    let last_only = |_: usize, negatives: &[u32], weights: &mut Vec<f64>| {
        weights.extend(negatives.iter().map(|&n| f64::from(u8::from(n == 3))));
    };
    let drawn = Triplets::random_weighted(&among, PerAnchor::Exactly(2), last_only, &mut rng);
    assert_eq!(drawn.negatives, [3; 6]);
    Ok(())
}

#[test]
fn every_form_has_the_same_mask() -> Result<()> {
    let batch = batch();
    let (positives, negatives) = mask_tensors(&*Tuples::all().mask(&batch)?, &Device::Cpu)?;
    assert_eq!(
        positives.to_vec2::<u8>()?,
        [
            [0, 1, 0, 0, 1],
            [1, 0, 0, 0, 1],
            [0, 0, 0, 1, 0],
            [0, 0, 1, 0, 0],
            [1, 1, 0, 0, 0]
        ]
    );
    assert_eq!(negatives.to_vec2::<u8>()?[0], [0, 0, 1, 1, 0]);
    let all = Tuples::all().mask(&batch)?;
    let ranges = Tuples::all()
        .ranges(&batch, &matrix(), Order::SmallerIsCloser)?
        .unwrap();
    for tuples in [
        Tuples::from(Tuples::all().pairs(&batch)?),
        Tuples::from(Tuples::all().triplets(&batch)?),
        Tuples::from(all.clone()),
        Tuples::from(ranges.clone()),
        Tuples::from_set(ByRule(ranges)),
    ] {
        assert_eq!(tuples.mask(&batch)?, all, "{tuples:?}");
    }
    Ok(())
}

#[test]
fn ranges_cover_exactly_the_pairs_of_their_triplets() -> Result<()> {
    let batch = batch();
    let relation = batch.relation().unwrap();
    let interval = GapInterval {
        above: Some(0.0),
        at_most: Some(3.5),
    };
    let order = Order::SmallerIsCloser;
    let ranges = triplet_ranges(&matrix(), order, interval, |q, p, n| {
        relation.split(q, p, n);
    })?;
    let ranges = Tuples::from_set(ranges);
    let listed = Tuples::from(ranges.triplets(&batch)?);
    assert_eq!(ranges.mask(&batch)?, listed.mask(&batch)?);
    assert_ne!(ranges.mask(&batch)?, Tuples::all().mask(&batch)?);
    Ok(())
}

#[test]
fn a_pair_cannot_be_positive_and_negative_at_once() -> Result<()> {
    let pairs = Pairs::new(vec![0, 0], vec![1, 1], vec![0], vec![2])?;
    let mask = Tuples::from(pairs).mask(&batch())?;
    assert_eq!(mask.counts(), (1, 1), "a repeated pair counts once");
    let pairs = Pairs::new(vec![0], vec![1], vec![0], vec![1])?;
    let tuples = Tuples::from(pairs);
    let error = tuples.mask(&batch()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(tuples.pair_sets(&batch())?.counts(), (1, 1));
    Ok(())
}
