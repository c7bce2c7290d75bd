//! Values by hand, and what the loss refuses.

use dml_core::{Error, Relation, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};

/// Nodes at squared distances 0, 1, 2, 3 and 4.
fn loss() -> Result<FastAPLoss> {
    FastAPLoss::new(
        FastAPLossConfig { num_bins: 4 },
        Arc::new(LpDistance::squared()),
    )
}

#[test]
fn by_hand() -> Result<()> {
    // Row 0 has its positive at 1 and the negative at 2: found first. Row 1 has its positive at 1 and the negative
    // nearer, in bins 0 and 1: up to bin 1 one of two rows is a positive. Row 2 is alone in its class.
    let x = circle([0.0, 60.0, 90.0])?;
    let batch = Batch::new(&x, [4i64, 4, -1])?;
    let (values, _) = values_and_gradient(&loss()?, &batch, &Tuples::all(), &x)?;
    assert_near(&values, &[0.0, 0.5]);
    let triplets = Triplets::new(vec![0, 0], vec![1, 2], vec![2, 2])?;
    let (values, _) = values_and_gradient(&loss()?, &batch, &triplets.into(), &x)?;
    assert_near(&values, &[0.0, 0.5 / 3.0]);
    Ok(())
}

#[test]
fn the_relation_says_who_counts() -> Result<()> {
    let x = circle([0.0, 60.0, 90.0])?;
    let pairs = Relation::pairs(&[(1, 0)], &[], 3, 3)?;
    let batch = Batch::unlabeled(&x)?.with_relation(pairs)?;
    let (values, _) = values_and_gradient(&loss()?, &batch, &Tuples::all(), &x)?;
    assert_near(&values, &[0.0]);
    Ok(())
}

#[test]
fn nothing_to_do_and_errors() -> Result<()> {
    let x = circle([0.0, 60.0])?;
    let lonely = Batch::new(&x, [0i64, 1])?;
    let terms = loss()?.terms(&lonely, &Tuples::all())?;
    assert!(terms.get("loss").unwrap().is_empty());
    let with_reference = Batch::new(&x, [0i64, 0])?.with_reference(&x, [0i64, 0])?;
    assert!(matches!(
        loss()?.terms(&with_reference, &Tuples::all()),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        loss()?.terms(&Batch::unlabeled(&x)?, &Tuples::all()),
        Err(Error::Missing { .. })
    ));
    for distance in [
        Arc::new(CosineSimilarity::default()) as Arc<dyn Distance>,
        Arc::new(LpDistance::unnormalized()),
    ] {
        assert!(matches!(
            FastAPLoss::new(FastAPLossConfig::default(), distance),
            Err(Error::Unsupported { .. })
        ));
    }
    assert!(matches!(
        FastAPLoss::new(
            FastAPLossConfig { num_bins: 0 },
            Arc::new(LpDistance::default())
        ),
        Err(Error::InvalidParameter {
            name: "num_bins",
            ..
        })
    ));
    Ok(())
}
