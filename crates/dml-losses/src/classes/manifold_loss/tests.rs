//! Values by hand, random meta classes, and what the loss refuses.

use candle_core::Device;
use dml_core::Triplets;
use dml_distances::{CosineSimilarity, DotProductSimilarity, DotProductSimilarityConfig};

use super::*;
use crate::SeededVars;
use crate::machinery::outcome::{assert_near, rows, values_and_gradient};
use dml_core::Error;

fn loss(config: ManifoldLossConfig, proxies: &[[f64; 2]]) -> Result<ManifoldLoss> {
    let vars = SeededVars::new(0).builder(DType::F64, &Device::Cpu);
    let loss = ManifoldLoss::new(config, CosineSimilarity::default(), vars)?;
    let values = Tensor::from_vec(proxies.concat(), (proxies.len(), 2), &Device::Cpu)?;
    loss.proxies.var().set(&values)?;
    Ok(loss)
}

fn config(proxies: usize, context: f64) -> ManifoldLossConfig {
    ManifoldLossConfig {
        K: proxies,
        lambdaC: context,
        alpha: 0.5,
        margin: 0.25,
        ..ManifoldLossConfig::new(2)
    }
}

#[test]
fn by_hand() -> Result<()> {
    // One row at right angles to both of its proxies, which stand at right angles to each other or opposite: all
    // similarities are 0 after the clamp, S is 1 off the diagonal, D is 2, and D^−½ S D^−½ is ½ there. With α = ½ the
    // inverse of the matrix with 1 on and −¼ off the diagonal has 6/5 on and 2/5 off the diagonal.
    let x = rows(&[[0.0, 1.0]])?;
    let batch = Batch::new(&x, [1i64])?;
    // Both proxies are reached alike: v is the margin.
    let violation = |v: f64| (1.0 + v.exp()).ln();
    let proxies = [[1.0, 0.0], [-1.0, 0.0]];
    for (context, want) in [
        (0.0, violation(0.25)),
        (f64::INFINITY, violation(0.25)),
        (3.0, 4.0 * violation(0.25)),
    ] {
        let loss = loss(config(2, context), &proxies)?;
        let (values, gradient) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
        assert_near(&values, &[want]);
        assert!(gradient.iter().flatten().all(|slope| slope.is_finite()));
    }
    // A proxy that is nearer than the own one counts more: F by hand from its own definition.
    let loss = loss(config(2, 0.0), &[[1.0, 1.0], [-1.0, 0.0]])?;
    let (values, _) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
    let s = 2f64.sqrt().exp();
    let (row, near, far) = (s + 1.0, s + 1.0, 2.0);
    // α B between row and near proxy, row and far proxy, near and far proxy.
    let (a, b, c) = (
        0.5 * s / (row * near).sqrt(),
        0.5 / (row * far).sqrt(),
        0.5 / (near * far).sqrt(),
    );
    // Cofactors of the symmetric matrix with 1 on the diagonal and −a, −b, −c off it.
    let determinant = 1.0 - a * a - b * b - c * c - 2.0 * a * b * c;
    let (to_near, to_far) = ((a + b * c) / determinant, (b + a * c) / determinant);
    assert_near(&values, &[violation(0.5 * (to_near - to_far) + 0.25)]);
    Ok(())
}

#[test]
fn similarities_of_any_size_have_a_finite_loss() -> Result<()> {
    let raw = DotProductSimilarityConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
    let distance = DotProductSimilarity::new(raw)?;
    let loss = ManifoldLoss::new(config(2, 1.0), distance, vars)?;
    let x = rows(&[[1e4, 0.0], [0.0, 1e4], [9e3, 1e3]])?;
    let batch = Batch::new(&x, [0i64, 1, 0])?;
    let (values, gradient) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
    let numbers = values.iter().chain(gradient.iter().flatten());
    assert!(numbers.into_iter().all(|x| x.is_finite()));
    Ok(())
}

#[test]
fn without_labels_every_proxy_has_a_row() -> Result<()> {
    let loss = loss(config(3, 1.0), &[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])?;
    let x = rows(&[[1.0, 0.5], [0.5, 1.0], [0.3, 0.1], [0.2, 0.9], [1.0, 0.9]])?;
    let batch = Batch::unlabeled(&x)?;
    let mut draws = Vec::new();
    for _ in 0..5 {
        let own = loss.own(&batch)?;
        assert_eq!(own.len(), 5);
        assert!((0..3).all(|proxy| own.contains(&proxy)));
        draws.push(own);
    }
    draws.sort_unstable();
    draws.dedup();
    assert!(draws.len() > 1, "successive calls draw differently");
    loss.terms(&batch, &Tuples::all())?;
    Ok(())
}

#[test]
fn what_it_refuses() -> Result<()> {
    let two = [[1.0, 0.0], [0.0, 1.0]];
    let x = rows(&[[1.0, 0.5]])?;
    let wide = rows(&[[1.0, 0.5, 0.0]])?;
    let batch = Batch::new(&x, [0i64])?;
    let triplets = Triplets::new(vec![0], vec![0], vec![0])?;
    let loss_of_two = loss(config(2, 1.0), &two)?;
    for (batch, tuples) in [
        (batch.clone(), triplets.into()),
        (batch.with_reference(&x, [0i64])?, Tuples::all()),
        (Batch::unlabeled(&x)?, Tuples::all()),
    ] {
        let error = loss_of_two.terms(&batch, &tuples).unwrap_err();
        assert!(error.to_string().starts_with("ManifoldLoss: "), "{error}");
    }
    let of = |batch: &Batch| loss_of_two.terms(batch, &Tuples::all()).unwrap_err();
    assert!(matches!(
        of(&Batch::new(&x, [2i64])?),
        Error::Index {
            arg: "labels",
            limit: 2,
            got: 2,
            ..
        }
    ));
    assert!(matches!(
        of(&Batch::new(&wide, [0i64])?),
        Error::Shape {
            arg: "embeddings",
            ..
        }
    ));
    for broken in [
        config(0, 1.0),
        config(2, -1.0),
        config(2, f64::NAN),
        ManifoldLossConfig {
            l: 0,
            ..config(2, 1.0)
        },
        ManifoldLossConfig {
            alpha: 1.0,
            ..config(2, 1.0)
        },
        ManifoldLossConfig {
            margin: f64::NAN,
            ..config(2, 1.0)
        },
    ] {
        assert!(matches!(
            loss(broken, &two),
            Err(Error::InvalidParameter { .. })
        ));
    }
    Ok(())
}
