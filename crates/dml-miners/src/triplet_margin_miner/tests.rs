//! The triplets of each type by hand.

use candle_core::{Device, Tensor};
use dml_core::{PairKind, Relation, TupleCount};

use super::*;
use crate::tests::example_distance::{DotProduct, Euclidean};

fn mine(
    batch: &Batch,
    distance: Arc<dyn Distance>,
    margin: f64,
    kind: &str,
) -> Result<Vec<[u32; 3]>> {
    let config = TripletMarginMinerConfig {
        margin,
        type_of_triplets: kind.parse()?,
    };
    let tuples = TripletMarginMiner::new(config, distance)?.mine(batch)?;
    let triplets = tuples.triplets(batch)?;
    assert_eq!(
        tuples.count(batch)?,
        TupleCount::Triplets(triplets.len() as u64)
    );
    Ok((0..triplets.len())
        .map(|t| {
            [
                triplets.anchors[t],
                triplets.positives[t],
                triplets.negatives[t],
            ]
        })
        .collect())
}

/// Rows at 0, 2 | 1, 2, 4, 5: for anchor 0 the positive is at 2, the negatives at 1, 2, 4 and 5; exact in binary.
fn batch() -> Result<Batch> {
    let embeddings = Tensor::new(&[[0f32], [2.], [1.], [2.], [4.], [5.]], &Device::Cpu)?;
    Batch::new(&embeddings, [0i64, 0, 1, 2, 3, 4])
}

#[test]
fn each_type_has_its_own_negatives_and_keeps_the_ties_it_should() -> Result<()> {
    // Gaps of anchor 0: −1, 0, 2, 3. Of anchor 1, whose positive is at distance 2: −1, −2, 0, 1.
    let mined = |kind| mine(&batch()?, Arc::new(Euclidean), 2.0, kind);
    assert_eq!(
        mined("all")?,
        [
            [0, 1, 2],
            [0, 1, 3],
            [0, 1, 4],
            [1, 0, 2],
            [1, 0, 3],
            [1, 0, 4],
            [1, 0, 5]
        ]
    );
    assert_eq!(
        mined("hard")?,
        [[0, 1, 2], [0, 1, 3], [1, 0, 2], [1, 0, 3], [1, 0, 4]]
    );
    assert_eq!(mined("semihard")?, [[0, 1, 4], [1, 0, 5]]);
    assert_eq!(mined("easy")?, [[0, 1, 5]]);
    Ok(())
}

#[test]
fn a_negative_margin_restricts_the_hard_ones_too() -> Result<()> {
    let mined = |kind| mine(&batch()?, Arc::new(Euclidean), -1.5, kind);
    assert_eq!(mined("hard")?, [[1, 0, 3]]);
    assert!(mined("semihard")?.is_empty());
    Ok(())
}

#[test]
fn similarities_count_the_other_way_round() -> Result<()> {
    let embeddings = Tensor::new(&[[1f32, 0.], [4., 0.], [2., 0.], [5., 0.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 1, 2])?;
    // Anchor 0: positive 4, negatives 2 and 5, so g = 4 − 2 and 4 − 5. Anchor 1: positive 4, negatives 8 and 20.
    assert_eq!(
        mine(&batch, Arc::new(DotProduct), 2.0, "semihard")?,
        [[0, 1, 2]]
    );
    assert_eq!(
        mine(&batch, Arc::new(DotProduct), 2.0, "hard")?,
        [[0, 1, 3], [1, 0, 2], [1, 0, 3]]
    );
    Ok(())
}

#[test]
fn references_and_ignored_pairs_are_respected() -> Result<()> {
    let query = Tensor::new(&[[0f32]], &Device::Cpu)?;
    let reference = Tensor::new(&[[0f32], [1.], [2.], [3.]], &Device::Cpu)?;
    let batch = Batch::new(&query, [0i64])?.with_reference(&reference, [0i64, 0, 1, 1])?;
    assert_eq!(
        mine(&batch, Arc::new(Euclidean), 1.0, "all")?,
        [[0, 1, 2]],
        "row 0 lies on the anchor and is a positive of its own right, but too far from the negatives"
    );
    let relation = Relation::closure(1, 4, |_, r| match r {
        1 => PairKind::POSITIVE,
        3 => PairKind::NEGATIVE,
        _ => PairKind::Ignored,
    });
    let batch = batch.with_relation(relation)?;
    assert_eq!(mine(&batch, Arc::new(Euclidean), 5.0, "all")?, [[0, 1, 3]]);
    Ok(())
}

#[test]
fn nothing_comes_of_nothing_and_errors_name_their_cause() -> Result<()> {
    let none = Tensor::zeros((0, 3), candle_core::DType::F32, &Device::Cpu)?;
    let batch = Batch::new(&none, Vec::<i64>::new())?;
    assert!(mine(&batch, Arc::new(Euclidean), 0.2, "all")?.is_empty());
    let unlabeled = Batch::unlabeled(&Tensor::new(&[[0f32]], &Device::Cpu)?)?;
    assert!(matches!(
        mine(&unlabeled, Arc::new(Euclidean), 0.2, "all"),
        Err(Error::Missing {
            component: "TripletMarginMiner",
            ..
        })
    ));
    assert!(matches!(
        mine(&batch, Arc::new(Euclidean), 0.2, "semi-hard"),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        mine(&batch, Arc::new(Euclidean), f64::NAN, "all"),
        Err(Error::InvalidParameter { name: "margin", .. })
    ));
    Ok(())
}
