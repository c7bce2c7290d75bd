//! Pairs with weights, by hand: with kernels and without, summed and written out.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

use std::sync::Arc;

use dml_core::autograd::without_kernels;
use dml_core::candle_core::{Device, Tensor, Var};
use dml_core::{Batch, Distance, Loss, PairKind, Pairs, Reducer, Relation, Result, Tuples};
use dml_distances::{CosineSimilarity, LpDistance};
use dml_losses::{
    CircleLoss, CircleLossConfig, ContrastiveLoss, ContrastiveLossConfig,
    GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig, LiftedStructureLoss,
    LiftedStructureLossConfig, MultiSimilarityLoss, MultiSimilarityLossConfig, NTXentLoss,
    NTXentLossConfig, RankedListLoss, RankedListLossConfig, SupConLoss, SupConLossConfig,
    TupletMarginLoss, TupletMarginLossConfig,
};
use dml_miners::{PairMarginMiner, PairMarginMinerConfig};
use dml_reducers::{DivisorReducer, MeanReducer};

/// Rows 0 and 1 belong together with weights 0.5 and 0.25, row 2 apart with weights 0.2, 0.8, 0.4 and 1.
fn relation() -> Relation {
    Relation::closure(3, 3, |q, r| match (q, r) {
        (0, 1) => PairKind::Positive(0.5),
        (1, 0) => PairKind::Positive(0.25),
        (0, 2) => PairKind::Negative(0.2),
        (1, 2) => PairKind::Negative(0.8),
        (2, 0) => PairKind::Negative(0.4),
        (2, 1) => PairKind::NEGATIVE,
        _ => PairKind::Ignored,
    })
}

fn line() -> Var {
    // Distances 1, 3 and 2.
    Var::new(&[[0f64], [1.], [3.]], &Device::Cpu).unwrap()
}

fn lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::unnormalized())
}

/// The values of each term, in every form that there is, with the gradient of their sum.
fn assert_terms(loss: &dyn Loss, rows: &Var, tuples: &Tuples, expected: &[(&str, Vec<f64>)]) {
    let check = || -> Result<Vec<Vec<f64>>> {
        let batch = Batch::unlabeled(rows)?.with_relation(relation())?;
        let terms = loss.terms(&batch, tuples)?;
        let mut gradients = Vec::new();
        for (name, want) in expected {
            let term = terms.get(name).unwrap();
            let values = term.values()?.0;
            for (got, want) in values.to_vec1::<f64>()?.iter().zip(want) {
                assert!((got - want).abs() < 1e-6, "{name}: {values} {want}");
            }
            assert_eq!(values.elem_count(), want.len());
            let sum = term.sum_within(None, None)?;
            assert_eq!(sum.count as usize, want.len());
            assert!((sum.sum.to_scalar::<f64>()? - want.iter().sum::<f64>()).abs() < 1e-6);
            // Bounds are those of the weighed value.
            let bound = want.iter().sum::<f64>() / want.len() as f64 + 0.01;
            let above = term.sum_within(Some(bound), None)?;
            let kept = want.iter().filter(|value| **value > bound);
            assert_eq!(above.count as usize, kept.clone().count(), "{name}");
            assert!((above.sum.to_scalar::<f64>()? - kept.sum::<f64>()).abs() < 1e-6);
            for sum in [sum.sum, values.sum_all()?] {
                let store = sum.backward()?;
                let gradient = store.get(rows.as_tensor()).unwrap();
                gradients.push(gradient.flatten_all()?.to_vec1::<f64>()?);
            }
        }
        Ok(gradients)
    };
    let (fused, composite) = (check().unwrap(), without_kernels(check).unwrap());
    let all = fused.chunks(2).zip(composite.chunks(2));
    for (fused, composite) in all {
        for gradient in [&fused[1], &composite[0], &composite[1]] {
            for (got, want) in gradient.iter().zip(&fused[0]) {
                assert!((got - want).abs() < 1e-6, "{fused:?} {composite:?}");
            }
        }
    }
}

#[test]
fn contrastive_values_are_multiplied() -> Result<()> {
    let config = ContrastiveLossConfig {
        neg_margin: 4.0,
        ..Default::default()
    };
    let loss = ContrastiveLoss::new(config, lp())?;
    // Hinges of the negatives: 1 and 2, from either side.
    let expected = [
        ("pos_loss", vec![0.5, 0.25]),
        ("neg_loss", vec![0.2, 1.6, 0.4, 2.0]),
    ];
    assert_terms(&loss, &line(), &Tuples::all(), &expected);
    // Tuples hold no weights: those of chosen pairs are the relation's, repeats have the weight of the pair, and a pair
    // that the relation calls a negative has weight 1 as a positive.
    let pairs = Pairs::new(vec![0, 0, 0], vec![1, 1, 2], vec![1], vec![2])?;
    let expected = [("pos_loss", vec![0.5, 0.5, 3.0]), ("neg_loss", vec![1.6])];
    assert_terms(&loss, &line(), &pairs.into(), &expected);
    Ok(())
}

#[test]
fn mined_pairs_keep_their_weights() -> Result<()> {
    let config = ContrastiveLossConfig {
        neg_margin: 4.0,
        ..Default::default()
    };
    let loss = ContrastiveLoss::new(config, lp())?;
    let config = PairMarginMinerConfig {
        pos_margin: 0.5,
        neg_margin: 2.5,
    };
    let miner = PairMarginMiner::new(config, lp())?;
    let batch = Batch::unlabeled(&line())?.with_relation(relation())?;
    let mined = dml_core::Miner::mine(&miner, &batch)?;
    // The negatives 3 apart are left out.
    let expected = [("pos_loss", vec![0.5, 0.25]), ("neg_loss", vec![1.6, 2.0])];
    assert_terms(&loss, &line(), &mined, &expected);
    Ok(())
}

#[test]
fn positives_against_weighed_negatives() -> Result<()> {
    let config = NTXentLossConfig { temperature: 1.0 };
    let loss = NTXentLoss::new(config, lp())?;
    let first = 0.5 * (1.0 + 0.2 * (-2f64).exp()).ln();
    let second = 0.25 * (1.0 + 0.8 * (-1f64).exp()).ln();
    let expected = [("loss", vec![first, second])];
    assert_terms(&loss, &line(), &Tuples::all(), &expected);

    let config = LiftedStructureLossConfig {
        neg_margin: 5.0,
        pos_margin: 0.0,
    };
    let loss = LiftedStructureLoss::new(config, lp())?;
    // Negatives of row 0 and of row 1: 0.2 e² and 0.8 e³.
    let hinge = (0.2 * 2f64.exp() + 0.8 * 3f64.exp()).ln() + 1.0;
    let whole = hinge * hinge / 2.0;
    let expected = [("loss", vec![0.5 * whole, 0.25 * whole])];
    assert_terms(&loss, &line(), &Tuples::all(), &expected);
    Ok(())
}

#[test]
fn exponentials_of_an_anchor_are_multiplied() -> Result<()> {
    let config = MultiSimilarityLossConfig {
        alpha: 2.0,
        beta: 4.0,
        base: 1.0,
    };
    let loss = MultiSimilarityLoss::new(config, lp())?;
    let e = f64::exp;
    let expected = vec![
        1.5f64.ln() / 2.0 + (1.0 + 0.2 * e(-8.0)).ln() / 4.0,
        1.25f64.ln() / 2.0 + (1.0 + 0.8 * e(-4.0)).ln() / 4.0,
        (1.0 + 0.4 * e(-8.0) + e(-4.0)).ln() / 4.0,
    ];
    assert_terms(&loss, &line(), &Tuples::all(), &[("loss", expected)]);

    let config = GeneralizedLiftedStructureLossConfig {
        neg_margin: 5.0,
        pos_margin: 0.0,
    };
    let loss = GeneralizedLiftedStructureLoss::new(config, lp())?;
    let expected = vec![
        (0.5 * e(1.0)).ln() + (0.2 * e(2.0)).ln(),
        (0.25 * e(1.0)).ln() + (0.8 * e(3.0)).ln(),
        (0.4 * e(2.0) + e(3.0)).ln(),
    ];
    assert_terms(&loss, &line(), &Tuples::all(), &[("loss", expected)]);

    // A single positive pulls the same whatever it weighs; negatives enter the denominator with their weights.
    let loss = SupConLoss::new(SupConLossConfig { temperature: 1.0 }, lp())?;
    let expected = vec![
        1.0 + (e(-1.0) + 0.2 * e(-3.0)).ln(),
        1.0 + (e(-1.0) + 0.8 * e(-2.0)).ln(),
        0.0,
    ];
    assert_terms(&loss, &line(), &Tuples::all(), &[("loss", expected)]);
    Ok(())
}

#[test]
fn losses_of_cosines_read_weights() -> Result<()> {
    // Cosines 0.6 of rows 0 and 1, 0 of 0 and 2, 0.8 of 1 and 2.
    let rows = Var::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
    let cosine = || Arc::new(CosineSimilarity::default());
    let e = f64::exp;

    let loss = CircleLoss::new(CircleLossConfig { m: 0.4, gamma: 2.0 }, cosine())?;
    let near = |weight: f64, s: f64| weight * e(-2.0 * (1.4 - s) * (s - 0.6));
    let far = |weight: f64, s: f64| weight * e(2.0 * (s + 0.4) * (s - 0.4));
    let expected = vec![
        (1.0 + near(0.5, 0.6) * far(0.2, 0.0)).ln(),
        (1.0 + near(0.25, 0.6) * far(0.8, 0.8)).ln(),
        0.0,
    ];
    assert_terms(&loss, &rows, &Tuples::all(), &[("loss", expected)]);

    let config = TupletMarginLossConfig {
        margin: 0.0,
        scale: 2.0,
    };
    let loss = TupletMarginLoss::new(config, cosine())?;
    let expected = vec![
        0.5 * (1.0 + 0.2 * e(-1.2)).ln(),
        0.25 * (1.0 + 0.8 * e(2.0 * (0.8 - 0.6))).ln(),
    ];
    assert_terms(&loss, &rows, &Tuples::all(), &[("loss", expected)]);
    Ok(())
}

/// One of four rows has no pair: its value is 0, and the mean counts it unless the divisor does not.
#[test]
fn rows_without_a_pair_are_in_the_mean_and_not_in_the_divisor() -> Result<()> {
    let rows = Tensor::new(&[[0f64, 1.], [0.4, 1.], [1., 0.2], [3., 3.]], &Device::Cpu)?;
    let relation = Relation::pairs(&[(0, 1), (1, 0)], &[(0, 2), (1, 2), (2, 0)], 4, 4)?;
    let batch = Batch::unlabeled(&rows)?.with_relation(relation)?;
    let cosine = || Arc::new(CosineSimilarity::default());
    let losses: [(Arc<dyn Loss>, f64); 5] = [
        (
            Arc::new(MultiSimilarityLoss::new(Default::default(), cosine())?),
            3.0,
        ),
        (
            Arc::new(GeneralizedLiftedStructureLoss::new(
                Default::default(),
                lp(),
            )?),
            3.0,
        ),
        (
            Arc::new(RankedListLoss::new(
                RankedListLossConfig::new(0.4, 10.0),
                lp(),
            )?),
            3.0,
        ),
        // Row 2 has no positive, and so no value.
        (
            Arc::new(CircleLoss::new(Default::default(), cosine())?),
            2.0,
        ),
        (
            Arc::new(SupConLoss::new(Default::default(), cosine())?),
            2.0,
        ),
    ];
    for (loss, with_value) in losses {
        let check = || -> Result<()> {
            let terms = loss.terms(&batch, &Tuples::all())?;
            let term = terms.get("loss").unwrap();
            assert_eq!(term.divisor(), Some(with_value), "{loss:?}");
            let sum: f64 = term.values()?.0.sum_all()?.to_scalar()?;
            assert!(sum > 0.0, "{loss:?}");
            let reduced = |reducer: &dyn Reducer| -> Result<f64> {
                Ok(reducer.reduce(&terms, &batch)?.loss.to_scalar()?)
            };
            assert!((reduced(&MeanReducer)? - sum / 4.0).abs() < 1e-12);
            assert!((reduced(&DivisorReducer)? - sum / with_value).abs() < 1e-12);
            Ok(())
        };
        check()?;
        without_kernels(check)?;
    }
    Ok(())
}
