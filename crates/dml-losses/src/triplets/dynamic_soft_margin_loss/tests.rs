//! Values by hand, the memory of the loss, and what it refuses.

use dml_core::{Pairs, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};

/// Bins at −2, −1, 0 and 1; squared distances are 0, 1, 2, 3 and 4 at 0°, 60°, 90°, 120° and 180°.
fn loss(momentum: f64) -> Result<DynamicSoftMarginLoss> {
    let config = DynamicSoftMarginLossConfig {
        num_bins: 4,
        momentum,
        ..Default::default()
    };
    DynamicSoftMarginLoss::new(config, Arc::new(LpDistance::squared()))
}

#[test]
fn by_hand_over_every_form_of_tuples() -> Result<()> {
    // Anchor 0: d(a,p) = 3 and d(a,n) = 1.5, gap 1.5; anchor 1: 3 and 3.5, gap −0.5.
    let angle = |squared: f64| (1.0 - squared / 2.0).acos().to_degrees();
    let x = circle([0.0, -angle(3.0), angle(1.5)])?;
    let back = circle([0.0, 120.0, 90.0])?;
    for x in [x, back] {
        let batch = Batch::new(&x, [0i64, 0, 1])?;
        let squared = LpDistance::squared().matrix(&x, None)?.to_vec2::<f64>()?;
        let gaps = [squared[0][1] - squared[0][2], squared[1][0] - squared[1][2]];
        let bin = |gap: f64| ((gap + 2.0).floor() as usize).min(3);
        let mut shares = [0.0; 4];
        for gap in gaps {
            let way = (gap + 2.0).fract();
            shares[bin(gap)] += (1.0 - way) / 2.0;
            shares[(bin(gap) + 1).min(3)] += way / 2.0;
        }
        let rank = |gap: f64| shares[..=bin(gap)].iter().sum::<f64>();
        let want = gaps.iter().map(|gap| rank(*gap) * gap).sum::<f64>() / 2.0;
        let triplets = Triplets::new(vec![0, 1], vec![1, 0], vec![2, 2])?;
        let pairs = Pairs::new(vec![0, 1], vec![1, 0], vec![0, 1], vec![2, 2])?;
        let mut gradients = Vec::new();
        for tuples in [Tuples::all(), triplets.into(), pairs.into()] {
            let loss = loss(0.5)?;
            let (values, gradient) = values_and_gradient(&loss, &batch, &tuples, &x)?;
            assert_near(&values, &[want]);
            assert_near(&loss.histogram(), &shares);
            gradients.push(gradient.concat());
        }
        assert_near(&gradients[0], &gradients[1]);
        assert_near(&gradients[0], &gradients[2]);
    }
    Ok(())
}

#[test]
fn a_batch_is_mixed_in_by_its_momentum_whatever_its_size() -> Result<()> {
    let loss = loss(0.25)?;
    assert_near(&loss.histogram(), &[0.0; 4]);
    // All rows alike: every gap is 0, the third bin.
    let alike = circle([0.0; 6])?;
    loss.terms(&Batch::new(&alike, [0i64, 0, 0, 1, 1, 1])?, &Tuples::all())?;
    assert_near(&loss.histogram(), &[0.0, 0.0, 1.0, 0.0]);
    // One triplet of gap 0 − 2: the first bin.
    let x = circle([0.0, 0.0, 90.0])?;
    let triplet = Triplets::new(vec![0], vec![1], vec![2])?;
    let batch = Batch::unlabeled(&x)?;
    loss.terms(&batch, &triplet.into())?;
    let mixed = loss.histogram();
    assert_near(&mixed, &[0.25, 0.0, 0.75, 0.0]);
    // What it remembers can be put into another one; what does not fit changes nothing.
    let saved: HashMap<String, Tensor> = loss.buffers()?.into_iter().collect();
    let other = super::tests::loss(0.25)?;
    other.set_buffers(&saved)?;
    assert_eq!(other.histogram(), mixed);
    let wrong = [(
        "hist".to_owned(),
        Tensor::zeros(3, DType::F64, &Device::Cpu)?,
    )];
    assert!(matches!(
        other.set_buffers(&wrong.into()),
        Err(Error::Shape { arg: "hist", .. })
    ));
    assert!(other.set_buffers(&HashMap::new()).is_err());
    assert_eq!(other.histogram(), mixed);
    Ok(())
}

#[test]
fn without_labels_rows_belong_together_by_their_place() -> Result<()> {
    let (x, reference) = (circle([0.0, 90.0])?, circle([60.0, 90.0, 0.0])?);
    let batch = Batch::unlabeled(&x)?.with_unlabeled_reference(&reference)?;
    // Row 0: 1 less 0 from the third reference. Row 1: 0 less the squared distance c of 30°. The third has gap 0.
    let c = 2.0 - 2.0 * 30f64.to_radians().cos();
    let loss = loss(0.5)?;
    let (values, gradient) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
    // 1 is at the last bin, −c is c below the third one, 0 at the third: shares c/3, (2 − c)/3 and 1/3.
    assert_near(
        &loss.histogram(),
        &[0.0, c / 3.0, (2.0 - c) / 3.0, 1.0 / 3.0],
    );
    assert_near(&values, &[(1.0 - c * c / 3.0) / 3.0]);
    assert!(gradient[0][1] < 0.0 && gradient.iter().flatten().all(|g| g.is_finite()));
    Ok(())
}

#[test]
fn nothing_to_do_leaves_the_histogram_alone() -> Result<()> {
    let loss = loss(0.5)?;
    let x = circle([0.0, 90.0])?;
    let one = circle([0.0])?;
    for (batch, tuples) in [
        (Batch::new(&x, [0i64, 0])?, Tuples::all()),
        (Batch::unlabeled(&x)?, Triplets::default().into()),
        (Batch::unlabeled(&one)?, Tuples::all()),
    ] {
        assert!(loss.terms(&batch, &tuples)?.get("loss").unwrap().is_empty());
        assert_near(&loss.histogram(), &[0.0; 4]);
    }
    Ok(())
}

#[test]
fn what_it_refuses() {
    let new = |min_val, num_bins, momentum| {
        let config = DynamicSoftMarginLossConfig {
            min_val,
            num_bins,
            momentum,
        };
        DynamicSoftMarginLoss::new(config, Arc::new(LpDistance::default()))
    };
    for (min_val, num_bins, momentum, name) in [
        (0.0, 10, 0.1, "min_val"),
        (f64::NEG_INFINITY, 10, 0.1, "min_val"),
        (-2.0, 0, 0.1, "num_bins"),
        (-2.0, 10, 0.0, "momentum"),
        (-2.0, 10, 1.5, "momentum"),
    ] {
        let error = new(min_val, num_bins, momentum).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    for distance in [
        Arc::new(CosineSimilarity::default()) as Arc<dyn Distance>,
        Arc::new(LpDistance::unnormalized()),
    ] {
        assert!(matches!(
            DynamicSoftMarginLoss::new(Default::default(), distance),
            Err(Error::Unsupported { .. })
        ));
    }
}
