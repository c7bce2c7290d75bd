//! The forms of tuples mean the same set.

use candle_core::{Device, Tensor};
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
    let listed = Tuples::All.triplets(&batch)?;
    // Two positives with two negatives for each of three anchors, one with three for each of two: 3·4 + 2·3.
    assert_eq!(listed.len(), 18);
    let ranges = Tuples::All
        .ranges(&batch, &matrix(), Order::SmallerIsCloser)?
        .unwrap();
    assert_eq!(Tuples::Ranges(ranges).triplets(&batch)?, listed);
    let pairs = Tuples::All.pairs(&batch)?;
    assert_eq!(Tuples::Pairs(pairs.clone()).triplets(&batch)?, listed);
    let ranges = Tuples::Pairs(pairs)
        .ranges(&batch, &matrix(), Order::LargerIsCloser)?
        .unwrap();
    assert_eq!(Tuples::Ranges(ranges).triplets(&batch)?, listed);
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
        Tuples::All.count(&batch)?,
        TupleCount::Pairs {
            positive: 8,
            negative: 12
        }
    );
    let unlabeled = Batch::unlabeled(batch.embeddings())?;
    assert!(matches!(
        Tuples::All.count(&unlabeled),
        Err(Error::Missing { .. })
    ));
    Ok(())
}

#[test]
fn random_triplets_are_allowed_ones_and_as_many_as_asked() -> Result<()> {
    let relation = Relation::labels([0i64, 0, 1, 2, 2, 2])?;
    let triplets = Triplets::random(&relation, 50, &mut ChaCha8Rng::seed_from_u64(3));
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
