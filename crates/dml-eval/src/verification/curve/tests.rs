use super::*;
use candle_core::{Device, Tensor};
use dml_core::Error;
use dml_core::{Relation, TensorExt};
use proptest::prelude::*;

/// |q − r| on a line.
#[derive(Debug)]
struct Gap;

impl Distance for Gap {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_lp(reference.unwrap_or(query), 1.0)
    }
}

fn line(places: &[f32]) -> Tensor {
    Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
}

/// Distances 1 T, 2 T F, 3 F, 4 T: ties and an error on either side.
fn five() -> Verification {
    let same = [true, false, true, false, true];
    Verification::new(&[4., 2., 1., 3., 2.], &same, Order::SmallerIsCloser).unwrap()
}

#[test]
fn the_curve_by_hand() {
    let verification = five();
    let points: Vec<(f64, f64, f64)> = verification
        .roc()
        .iter()
        .map(|p| (p.threshold, p.false_accept_rate, p.true_accept_rate))
        .collect();
    let third = 1. / 3.;
    assert_eq!(
        points,
        [
            (f64::NEG_INFINITY, 0., 0.),
            (1., 0., third),
            (2., 0.5, 2. * third),
            (3., 1., 2. * third),
            (4., 1., 1.),
        ]
    );
    // Of six pairs of pairs: (1, 2), (1, 3), (2, 3) right, (2, 2) a tie, (4, 2) and (4, 3) wrong.
    assert_eq!(verification.auc(), 3.5 / 6.);
    // FAR − FRR goes from −2/3 to 1/6 between thresholds 1 and 2.
    let equal = verification.equal_error_rate();
    assert!((equal.rate - 0.4).abs() < 1e-15);
    assert_eq!(equal.threshold, 2.);
    // Right: 2 of 5 for none, 3 at 1, 3 at 2; the strictest counts.
    let accuracy = verification.best_accuracy();
    assert_eq!((accuracy.value, accuracy.threshold), (0.6, 1.));
    assert_eq!(verification.accuracy_at(2.5), 0.6);
    assert_eq!(verification.accuracy_at(0.5), 0.4);
    // At 4 all are accepted: 3 right, 2 wrong.
    let f1 = verification.best_f1();
    assert_eq!((f1.value, f1.threshold), (0.75, 4.));
    assert_eq!(
        verification.at_threshold(3.5).false_reject_rate(),
        1. - 2. * third
    );
}

#[test]
fn the_true_accept_rate_at_a_false_accept_rate() -> Result<()> {
    let verification = five();
    let at = |rate| verification.at_false_accept_rate(rate);
    assert_eq!(
        (at(0.0)?.threshold, at(0.0)?.true_accept_rate),
        (1., 1. / 3.)
    );
    assert_eq!((at(0.7)?.threshold, at(0.7)?.false_accept_rate), (2., 0.5));
    assert_eq!(at(1.0)?.threshold, 4.);
    for rate in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            at(rate),
            Err(Error::InvalidParameter { name: "rate", .. })
        ));
    }
    Ok(())
}

#[test]
fn similarities_are_distances_the_other_way_round() -> Result<()> {
    let same = [true, false, true, false, true];
    let similar = Verification::new(&[-4., -2., -1., -3., -2.], &same, Order::LargerIsCloser)?;
    let apart = five();
    assert_eq!(similar.auc(), apart.auc());
    for (a, b) in similar.roc().iter().zip(apart.roc()) {
        assert_eq!(a.threshold, -b.threshold);
        assert_eq!(a.true_accept_rate, b.true_accept_rate);
    }
    assert_eq!(similar.accuracy_at(-2.5), apart.accuracy_at(2.5));
    assert_eq!(similar.at_false_accept_rate(0.0)?.threshold, -1.);
    Ok(())
}

#[test]
fn perfect_and_useless_scores() -> Result<()> {
    let same = [true, true, false, false];
    let perfect = Verification::new(&[0., 1., 2., 3.], &same, Order::SmallerIsCloser)?;
    assert_eq!((perfect.auc(), perfect.equal_error_rate().rate), (1.0, 0.0));
    assert_eq!(perfect.best_accuracy().value, 1.0);
    let useless = Verification::new(&[0., -0., 0., 0.], &same, Order::SmallerIsCloser)?;
    assert_eq!((useless.auc(), useless.equal_error_rate().rate), (0.5, 0.5));
    assert_eq!(useless.roc().len(), 2);
    let wrong = Verification::new(&[2., 3., 0., 1.], &same, Order::SmallerIsCloser)?;
    assert_eq!((wrong.auc(), wrong.equal_error_rate().rate), (0.0, 1.0));
    Ok(())
}

#[test]
fn the_pairs_of_a_batch() -> Result<()> {
    // Rows 0 and 1 are of class 0, 2 and 3 of class 1: every pair counts in both directions, none with itself.
    let batch = Batch::new(&line(&[0., 1., 1.5, 9.]), [0i64, 0, 1, 1])?;
    let verification = Verification::of_batch(&batch, &Gap)?;
    assert_eq!(
        verification.all,
        Counts {
            same: 4,
            different: 8
        }
    );
    // Same: 1 and 7.5; different: 1.5, 9, 0.5, 8.
    assert_eq!(verification.auc(), 5. / 8.);
    // With references, and a pair that doesn't count.
    let relation = Relation::matrix(&[1., 0., -1.], 1, 3)?;
    let batch = Batch::unlabeled(&line(&[0.]))?
        .with_unlabeled_reference(&line(&[1., 2., 0.]))?
        .with_relation(relation)?;
    assert_eq!(Verification::of_batch(&batch, &Gap)?.auc(), 1.0);
    let unknown = Batch::unlabeled(&line(&[0., 1.]))?;
    assert!(matches!(
        Verification::of_batch(&unknown, &Gap),
        Err(Error::Missing { .. })
    ));
    Ok(())
}

#[test]
fn bad_pairs_are_refused() {
    let new = |closeness: &[f64], same: &[bool]| {
        Verification::new(closeness, same, Order::LargerIsCloser)
    };
    assert!(matches!(
        new(&[1.], &[true, false]),
        Err(Error::Length { arg: "same", .. })
    ));
    assert!(matches!(
        new(&[1., f64::NAN], &[true, false]),
        Err(Error::InvalidParameter {
            name: "closeness",
            ..
        })
    ));
    for same in [true, false] {
        assert!(matches!(
            new(&[1., 2.], &[same; 2]),
            Err(Error::Unsupported { .. })
        ));
    }
    assert!(matches!(new(&[], &[]), Err(Error::Unsupported { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The area is the share of pairs of pairs in the right order, and rates only grow along the curve.
    #[test]
    fn the_area_is_a_count_of_pairs(values in prop::collection::vec((0i8..12, any::<bool>()), 2..50)) {
        let (scores, same): (Vec<f64>, Vec<bool>) = values.iter().map(|(x, s)| (f64::from(*x), *s)).unzip();
        prop_assume!(same.contains(&true) && same.contains(&false));
        let verification = Verification::new(&scores, &same, Order::SmallerIsCloser).unwrap();
        let (mut right, mut pairs) = (0.0, 0.0);
        for (a, _) in scores.iter().zip(&same).filter(|(_, s)| **s) {
            for (b, _) in scores.iter().zip(&same).filter(|(_, s)| !**s) {
                right += if a < b { 1.0 } else if a > b { 0.0 } else { 0.5 };
                pairs += 1.0;
            }
        }
        prop_assert!((verification.auc() - right / pairs).abs() < 1e-12);
        let roc = verification.roc();
        prop_assert!(roc.is_sorted_by(|a, b| a.false_accept_rate <= b.false_accept_rate
            && a.true_accept_rate <= b.true_accept_rate && a.threshold < b.threshold));
        prop_assert_eq!(roc[roc.len() - 1].true_accept_rate, 1.0);
        let rate = verification.equal_error_rate().rate;
        prop_assert!((0.0..=1.0).contains(&rate));
    }
}

#[test]
fn a_threshold_that_is_no_number_has_no_rates() -> Result<()> {
    let pairs = Verification::new(&[1., 2.], &[true, false], Order::SmallerIsCloser)?;
    assert!(pairs.accuracy_at(f64::NAN).is_nan());
    let point = pairs.at_threshold(f64::NAN);
    assert!(point.false_accept_rate.is_nan() && point.true_accept_rate.is_nan());
    assert!(point.false_reject_rate().is_nan());
    Ok(())
}
