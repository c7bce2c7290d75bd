//! Values and gradients by hand, written out and summed.

use candle_core::{Device, Tensor, Var};
use dml_core::{Batch, Error, Loss, Pairs, Result, Term, Tuples};
use dml_distances::LpDistance;

use super::*;

fn loss(neg_margin: f64, pos_margin: f64) -> Result<LiftedStructureLoss> {
    let config = LiftedStructureLossConfig {
        neg_margin,
        pos_margin,
    };
    LiftedStructureLoss::new(config, LpDistance::unnormalized())
}

/// Sum and gradient over the values, once as summed and once as written out.
fn outcomes(term: &Term, rows: &Var) -> Result<[(f64, Vec<f64>); 2]> {
    let outcome = |sum: Tensor| -> Result<(f64, Vec<f64>)> {
        let gradients = sum.backward()?;
        let gradient = gradients.get(rows.as_tensor()).unwrap();
        Ok((sum.to_scalar()?, gradient.flatten_all()?.to_vec1()?))
    };
    Ok([
        outcome(term.sum_within(None, None)?.sum)?,
        outcome(term.values()?.0.sum_all()?)?,
    ])
}

#[test]
fn both_rows_of_a_pair_bring_their_negatives() -> Result<()> {
    let rows = Var::new(&[[0f64], [1.], [-2.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let terms = loss(2.0, 0.5)?.terms(&batch, &Tuples::all())?;
    let term = terms.get("loss").unwrap();
    assert_eq!(term.count(), 2);
    // Negatives are 2 and 3 away: ln(e⁰ + e⁻¹), and the positive is 0.5 too far. Both orders of the pair give the same.
    let e = (-1f64).exp();
    let hinge = (1.0 + e).ln() + 0.5;
    let (near, far) = (1.0 / (1.0 + e), e / (1.0 + e));
    for (sum, gradient) in outcomes(term, &rows)? {
        assert!((sum - hinge * hinge).abs() < 1e-12);
        let want = [-1.0 - near, 1.0 - far, 1.0].map(|slope| 2.0 * hinge * slope);
        for (got, want) in gradient.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }
    let kept = term.sum_within(Some(hinge * hinge), None)?;
    assert_eq!(kept.count, 0);
    assert_eq!(term.sums_by_anchor(3)?.counts, [1, 1, 0]);
    Ok(())
}

/// A row whose negatives are far away leaves the sum of the other row as it is, whichever of the two is the anchor.
#[test]
fn a_sum_far_below_the_other_takes_nothing_from_it() -> Result<()> {
    // The pair is (0, 1), 1 apart. Row 2 is a negative of both, 2 from row 1; the logarithms of the sums differ by 1e17.
    let sums = [(-1e17, 2.0), (2.0, -1e17), (-1e20, 5.0)];
    for (anchor, positive) in sums {
        let lifting = Lifting {
            sign: 1.0,
            neg_margin: 0.0,
            pos_margin: 0.0,
            both_rows: true,
        };
        let value = lifting.dual(1.0, Some(anchor), Some(positive));
        let larger = f64::max(anchor, positive);
        assert_eq!(value.value, (1.0 + larger).powi(2) / 2.0);
        assert_eq!(value.gradient[0], 1.0 + larger);
    }
    Ok(())
}

#[test]
fn with_references_only_the_anchor_brings_negatives() -> Result<()> {
    // PyTorch Metric Learning would add the negatives of query 1 to the pair (0, 1), as the positive is row 1 of the
    // references: another thing that has the same number.
    let rows = Var::new(&[[0f64], [50.]], &Device::Cpu)?;
    let reference = Tensor::new(&[[2f64], [1.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 1])?.with_reference(&reference, [1i64, 0])?;
    let pairs = Pairs::new(vec![0], vec![1], vec![0, 1], vec![0, 1])?;
    let terms = loss(2.0, 0.0)?.terms(&batch, &pairs.into())?;
    for (sum, gradient) in outcomes(terms.get("loss").unwrap(), &rows)? {
        // ln e^{2 − 2} + 1, squared and halved.
        assert!((sum - 0.5).abs() < 1e-12);
        assert!(gradient[0].abs() < 1e-12 && gradient[1].abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn repeats_count_and_a_row_may_be_its_own_positive() -> Result<()> {
    let rows = Var::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
    let batch = Batch::unlabeled(&rows)?;
    let pairs = Pairs::new(vec![0, 1, 2], vec![0, 2, 2], vec![0, 0], vec![1, 1])?;
    let terms = loss(1.0, 0.0)?.terms(&batch, &pairs.into())?;
    // (0, 0): ln(2 e⁰), once for its two roles; (1, 2): no negatives, 2 apart; (2, 2): nothing at all.
    let want = 2f64.ln().powi(2) / 2.0 + 2.0;
    for (sum, _) in outcomes(terms.get("loss").unwrap(), &rows)? {
        assert!((sum - want).abs() < 1e-12, "{sum} {want}");
    }
    Ok(())
}

#[test]
fn only_one_kind_of_pairs_is_empty_and_margins_are_finite() -> Result<()> {
    let rows = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
    for labels in [[0i64, 0], [0, 1]] {
        let terms = loss(1.0, 0.0)?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
        assert!(terms.get("loss").unwrap().is_empty());
    }
    assert!(matches!(
        loss(f64::NAN, 0.0),
        Err(Error::InvalidParameter {
            name: "neg_margin",
            ..
        })
    ));
    Ok(())
}
