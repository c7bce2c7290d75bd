//! By hand.

use candle_core::Var;
use dml_core::autograd::without_kernels;
use dml_core::{ClassLoss, Error, Loss, Pairs};

use super::*;
use crate::machinery::by_hand::{set, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss() -> Result<P2SGradLoss> {
    let config = P2SGradLossConfig {
        descriptors_dim: 2,
        num_classes: 2,
    };
    let loss = P2SGradLoss::new(config, vars())?;
    // A long weight, and one shorter than PyTorch Metric Learning can bear.
    set(&loss, &[[5., 0.], [0., 1e-9]])?;
    Ok(loss)
}

fn numbers(x: &Var, labels: &[i64]) -> Result<[Vec<f64>; 3]> {
    let loss = loss()?;
    let terms = loss.terms(&Batch::new(x, labels)?, &Tuples::all())?;
    let (value, _) = terms.get("loss").unwrap().values()?;
    let gradients = value.backward()?;
    let flat = |x: &Tensor| x.flatten_all()?.to_vec1::<f64>();
    let (_, weight) = &loss.parameters()[0];
    Ok([
        flat(&value)?,
        flat(gradients.get(x.as_tensor()).unwrap())?,
        flat(gradients.get(weight.as_tensor()).unwrap())?,
    ])
}

#[test]
fn weights_are_scaled_and_cosines_drawn_to_one_and_zero() -> Result<()> {
    let x = rows(&[[4., 3.]])?;
    for numbers in [numbers(&x, &[0])?, without_kernels(|| numbers(&x, &[0]))?] {
        let [value, gradient, weight] = numbers;
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-6, "{got} {want}");
        // Cosines 0.8 and 0.6: (0.04 + 0.36) / 2.
        near(value[0], 0.2);
        // −0.2 by the first and 0.6 by the second cosine; a fifth of what lies across, (−0.6, 0.8) · 0.6.
        near(gradient[0], 0.12 * -0.6);
        near(gradient[1], 0.12 * 0.8);
        for (got, want) in weight.iter().zip([-0.16, 0.48, -0.12, 0.36]) {
            near(*got, want);
        }
    }
    let loss = loss()?;
    loss.logits(&x)?;
    let weight = loss.parameters()[0].1.flatten_all()?.to_vec1::<f64>()?;
    assert!(
        weight
            .iter()
            .zip([1., 0., 0., 1.])
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
    Ok(())
}

#[test]
fn a_row_without_length_has_cosine_zero_with_every_class() -> Result<()> {
    let [value, gradient, _] = numbers(&rows(&[[0., 0.]])?, &[1])?;
    assert_near(&value, &[0.5]);
    assert!(gradient.iter().all(|x| x.is_finite()));
    Ok(())
}

#[test]
fn tuples_have_no_place() -> Result<()> {
    let x = rows(&[[1., 0.], [0., 1.]])?;
    let batch = Batch::new(&x, [0i64, 1])?;
    let pairs = Pairs::new(vec![0], vec![1], vec![], vec![])?;
    let refused = loss()?.terms(&batch, &pairs.into());
    assert!(matches!(
        refused,
        Err(Error::Unsupported {
            component: "P2SGradLoss",
            ..
        })
    ));
    let none = P2SGradLossConfig {
        descriptors_dim: 0,
        num_classes: 1,
    };
    assert!(matches!(
        P2SGradLoss::new(none, vars()),
        Err(Error::InvalidParameter {
            name: "descriptors_dim",
            ..
        })
    ));
    Ok(())
}
