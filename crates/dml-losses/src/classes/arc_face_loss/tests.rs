//! By hand, and where the angle ends.

use candle_core::{Tensor, Var};
use dml_core::{Batch, Error, Loss, Pairs, Tuples};
use dml_distances::{CosineSimilarity, CosineSimilarityConfig, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::expression::{Composite, Dual};
use crate::machinery::outcome::{assert_near, rows};

fn loss(margin: f64, scale: f64) -> Result<ArcFaceLoss> {
    let config = ArcFaceLossConfig {
        margin,
        scale,
        ..ArcFaceLossConfig::new(2, 2)
    };
    let loss = ArcFaceLoss::new(config, CosineSimilarity::default(), vars())?;
    set(&loss, &[[1., 0.], [0., 1.]])?;
    Ok(loss)
}

/// φ of a cosine, and its gradient.
fn at(margin: AngularMargin, cosine: f64) -> [f64; 2] {
    let phi = Dual::at(cosine, |x| margin.own(x));
    [phi.value, phi.gradient[0]]
}

#[test]
fn the_margin_widens_the_angle() -> Result<()> {
    // At 30° from its class and 60° from the other, a margin of 30° makes both cosines ½.
    let x = rows(&[[0.75f64.sqrt(), 0.5]])?;
    let [values, _, _] = value_and_gradients(&loss(30.0, 2.0)?, "loss", &x, &[0])?;
    assert_near(&values, &[2f64.ln()]);
    // ∂/∂ the own cosine is 2 · (½ − 1) · sin 60° / sin 30°, and 2 · ½ for the other; rows of length 1 keep the part that
    // turns them: (−½, cos 30°) for a turn towards the other class.
    let [_, gradient, _] = value_and_gradients(&loss(30.0, 2.0)?, "loss", &x, &[0])?;
    let own = -3f64.sqrt();
    let turn = own * -0.5 + 0.75f64.sqrt();
    assert_near(&gradient, &[turn * -0.5, turn * 0.75f64.sqrt()]);
    Ok(())
}

#[test]
fn beyond_the_straight_angle_the_cosine_goes_on_falling() -> Result<()> {
    let angle = AngularMargin::degrees(60.0)?;
    let m = 60f64.to_radians();
    for degrees in [119.9f64, 120.1, 150.0, 180.0] {
        let cosine = degrees.to_radians().cos();
        let want = if degrees < 120.0 {
            (degrees.to_radians() + m).cos()
        } else {
            cosine - m * m.sin()
        };
        assert_near(&at(angle, cosine)[..1], &[want]);
    }
    assert!(at(angle, -0.4999)[0] > at(angle, -0.5001)[0]);
    // No margin adds nothing, and one beyond 180° is never added.
    assert_near(&at(AngularMargin::degrees(0.0)?, -1.0)[..1], &[-1.0]);
    let wide = 200f64.to_radians();
    assert_near(
        &at(AngularMargin::degrees(200.0)?, 1.0)[..1],
        &[1.0 - wide * wide.sin()],
    );
    Ok(())
}

#[test]
fn a_row_on_its_weight_has_a_finite_gradient() -> Result<()> {
    for x in [
        [2.0, 0.0],
        [-2.0, 0.0],
        [0.0, 0.0],
        [1e-6, 1e-6],
        [1e4, 1.0],
    ] {
        let x = rows(&[x])?;
        for kernels in [true, false] {
            let numbers = || value_and_gradients(&loss(28.6, 64.0)?, "loss", &x, &[0]);
            let numbers = if kernels {
                numbers()?
            } else {
                dml_core::autograd::without_kernels(numbers)?
            };
            assert!(
                numbers.iter().flatten().all(|x| x.is_finite()),
                "{numbers:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn beyond_the_bounds_a_cosine_has_the_angle_of_the_nearer_one_and_no_gradient() -> Result<()> {
    let m = 28.6f64.to_radians();
    let angle = AngularMargin::degrees(28.6)?;
    for x in [1.0, 1.0 + 1e-7, 1.3, 40.0, f64::INFINITY] {
        assert_near(&at(angle, x), &[m.cos(), 0.0]);
        assert_near(&at(angle, -x), &[-1.0 - m * m.sin(), 0.0]);
    }
    // A margin below 0 is added at every angle, and one beyond 180° at none.
    let below = at(AngularMargin::degrees(-20.0)?, -1.5);
    assert_near(&below, &[-20f64.to_radians().cos(), 0.0]);
    let wide = 200f64.to_radians();
    let above = at(AngularMargin::degrees(200.0)?, 1.5);
    assert_near(&above, &[1.0 - wide * wide.sin(), 0.0]);
    assert!(at(angle, f64::NAN).iter().all(|x| x.is_nan()));
    Ok(())
}

#[test]
fn with_other_norms_a_row_beyond_its_class_is_held_by_the_others_alone() -> Result<()> {
    for p in [3.0, f64::INFINITY] {
        // With p-norms, (1, 1) · (1, 1) / (‖·‖ₚ ‖·‖ₚ) is above 1.
        let config = ArcFaceLossConfig {
            scale: 1.0,
            ..ArcFaceLossConfig::new(2, 2)
        };
        let distance = CosineSimilarity::new(CosineSimilarityConfig { p, power: 1.0 })?;
        let loss = ArcFaceLoss::new(config, distance, vars())?;
        set(&loss, &[[1., 1.], [1., 0.]])?;
        let x = rows(&[[2., 2.]])?;
        let root = 2f64.powf(1.0 / p);
        let (own, other) = (28.6f64.to_radians().cos(), 1.0 / root);
        for kernels in [true, false] {
            let numbers = || value_and_gradients(&loss, "loss", &x, &[0]);
            let [values, gradient, weights] = if kernels {
                numbers()?
            } else {
                dml_core::autograd::without_kernels(numbers)?
            };
            assert_near(&values, &[(other - own).exp().ln_1p()]);
            // The columns of W: nothing moves the weight of the own class.
            assert_near(&[weights[0], weights[2]], &[0.0, 0.0]);
            assert!(weights[3] != 0.0 && gradient[1] != 0.0);
        }
    }
    Ok(())
}

#[test]
fn both_forms_of_the_margin_are_one() -> Result<()> {
    for margin in [-20.0, 0.0, 28.6, 90.0, 170.0, 190.0] {
        let angle = AngularMargin::degrees(margin)?;
        let x: Vec<f64> = (-16..=16).map(|i| f64::from(i) / 10.0).collect();
        let var = Var::new(x.as_slice(), &dml_core::candle_core::Device::Cpu)?;
        let values = Composite::of(&var, |x| angle.own(x))?;
        let gradients = values.sum_all()?.backward()?;
        let gradients = gradients.get(var.as_tensor()).unwrap().to_vec1::<f64>()?;
        for ((x, value), gradient) in x.iter().zip(values.to_vec1::<f64>()?).zip(gradients) {
            assert_near(&[value, gradient], &at(angle, *x));
        }
    }
    Ok(())
}

#[test]
fn rows_weigh_as_often_as_tuples_name_them() -> Result<()> {
    let x = rows(&[[1., 0.], [0., 1.], [1., 0.]])?;
    let batch = Batch::new(&x, [0i64, 1, 1])?;
    let loss = loss(0.0, 1.0)?;
    let pairs = Pairs::new(vec![0], vec![1], vec![0], vec![2])?;
    let terms = loss.terms(&batch, &pairs.into())?;
    let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    let (near, far) = ((-1f64).exp().ln_1p(), 1f64.exp().ln_1p());
    assert_near(&values, &[near, 0.5 * near, 0.5 * far]);
    Ok(())
}

#[test]
fn what_the_loss_cannot_do_is_a_typed_error() -> Result<()> {
    let config = ArcFaceLossConfig::new(2, 2);
    let refused = ArcFaceLoss::new(config.clone(), LpDistance::default(), vars());
    assert!(matches!(
        refused,
        Err(Error::Unsupported {
            component: "ArcFaceLoss",
            ..
        })
    ));
    let infinite = ArcFaceLossConfig {
        scale: f64::INFINITY,
        ..config
    };
    assert!(matches!(
        ArcFaceLoss::new(infinite, CosineSimilarity::default(), vars()),
        Err(Error::InvalidParameter { name: "scale", .. })
    ));
    let none = ArcFaceLossConfig::new(0, 2);
    assert!(matches!(
        ArcFaceLoss::new(none, CosineSimilarity::default(), vars()),
        Err(Error::InvalidParameter {
            name: "num_classes",
            ..
        })
    ));
    let empty = Batch::new(
        &Tensor::zeros((0, 2), candle_core::DType::F64, &candle_core::Device::Cpu)?,
        Vec::<i64>::new(),
    )?;
    assert!(
        loss(1.0, 1.0)?
            .terms(&empty, &Tuples::all())?
            .get("loss")
            .unwrap()
            .is_empty()
    );
    Ok(())
}
