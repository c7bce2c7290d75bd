//! What all distances share: order, checks, agreement of the matrix with pairs, and of configurations with their text.

mod extremes;

use std::sync::Arc;

use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Distance, Error, Order, Result};

use crate::*;

/// Rows in double precision on the CPU.
pub(crate) fn rows<const N: usize, const D: usize>(values: &[[f64; D]; N]) -> Result<Tensor> {
    Ok(Tensor::new(values, &Device::Cpu)?)
}

/// All elements in double precision.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Rows without structure, the same on every call.
pub(crate) fn scattered(seed: f64, count: usize, dim: usize) -> Tensor {
    let values: Vec<f64> = (0..count * dim)
        .map(|k| (seed + 1.7 * k as f64 + 0.01 * (k * k) as f64).sin())
        .collect();
    Tensor::from_vec(values, (count, dim), &Device::Cpu).unwrap()
}

fn all() -> Vec<Arc<dyn Distance>> {
    let mut all: Vec<Arc<dyn Distance>> = Vec::new();
    for p in [1.0, 2.0, 3.0, f64::INFINITY] {
        for power in [1.0, 2.0] {
            all.push(Arc::new(
                CosineSimilarity::new(CosineSimilarityConfig { p, power }).unwrap(),
            ));
            for normalize_embeddings in [true, false] {
                all.push(Arc::new(
                    SNRDistance::new(SNRDistanceConfig {
                        normalize_embeddings,
                        p,
                        power,
                    })
                    .unwrap(),
                ));
                all.push(Arc::new(
                    DotProductSimilarity::new(DotProductSimilarityConfig {
                        normalize_embeddings,
                        p,
                        power,
                    })
                    .unwrap(),
                ));
                all.push(Arc::new(
                    LpDistance::new(LpDistanceConfig {
                        normalize_embeddings,
                        p,
                        power,
                    })
                    .unwrap(),
                ));
            }
        }
    }
    all
}

#[test]
fn pairs_are_the_diagonal_of_the_matrix() -> Result<()> {
    let (x, r) = (scattered(0.3, 5, 7), scattered(1.1, 5, 7));
    for distance in all() {
        let matrix = distance.matrix(&x, Some(&r))?.to_vec2::<f64>()?;
        for (i, pair) in flat(&distance.pairs(&x, &r)?).iter().enumerate() {
            assert!((pair - matrix[i][i]).abs() < 1e-12, "{distance:?} row {i}");
        }
    }
    Ok(())
}

#[test]
fn rows_among_themselves_are_rows_against_a_copy() -> Result<()> {
    let x = scattered(0.3, 6, 5);
    for distance in all() {
        let own = flat(&distance.matrix(&x, None)?);
        for (a, b) in own
            .iter()
            .zip(flat(&distance.matrix(&x, Some(&x.copy()?))?))
        {
            assert!((a - b).abs() < 1e-12, "{distance:?}");
        }
    }
    Ok(())
}

#[test]
fn permuted_rows_give_permuted_distances() -> Result<()> {
    let (x, r) = (scattered(0.3, 4, 5), scattered(1.1, 3, 5));
    let order = Tensor::new(&[2u32, 0, 3, 1], &Device::Cpu)?;
    for distance in all() {
        let first = distance.matrix(&x, Some(&r))?.index_select(&order, 0)?;
        let last = distance.matrix(&x.index_select(&order, 0)?, Some(&r))?;
        assert_eq!(flat(&first), flat(&last), "{distance:?}");
    }
    Ok(())
}

#[test]
fn gradients_agree_with_central_differences() -> Result<()> {
    let r = scattered(1.1, 3, 4);
    let weights = scattered(2.2, 4, 3);
    for distance in all() {
        let value = |x: &Tensor, pairs: bool| -> Result<Tensor> {
            if pairs {
                let x = x.narrow(0, 0, 3)?;
                return Ok((distance.pairs(&x, &r)?
                    * weights.get_on_dim(1, 0)?.narrow(0, 0, 3)?)?
                .sum_all()?);
            }
            Ok((distance.matrix(x, Some(&r))? * &weights)?.sum_all()?)
        };
        for pairs in [false, true] {
            let x = Var::from_tensor(&scattered(0.3, 4, 4))?;
            let store = value(&x, pairs)?.backward()?;
            let gradient = flat(store.get(x.as_tensor()).unwrap());
            for k in 0..16 {
                let at = |step: f64| -> f64 {
                    let mut moved = flat(&x);
                    moved[k] += step;
                    let moved = Tensor::from_vec(moved, (4, 4), &Device::Cpu).unwrap();
                    flat(&value(&moved, pairs).unwrap())[0]
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!(
                    (slope - gradient[k]).abs() < 1e-6 * (1.0 + slope.abs()),
                    "{distance:?} entry {k}: {slope} {}",
                    gradient[k]
                );
            }
        }
    }
    Ok(())
}

#[test]
fn similarities_and_distances_know_which_is_closer() -> Result<()> {
    let (near, far) = (rows(&[[1.0, 0.0]])?, rows(&[[-1.0, 0.3]])?);
    let x = rows(&[[1.0, 0.0]])?;
    for (distance, order) in [
        (
            Arc::new(CosineSimilarity::default()) as Arc<dyn Distance>,
            Order::LargerIsCloser,
        ),
        (Arc::new(LpDistance::default()), Order::SmallerIsCloser),
    ] {
        assert_eq!(distance.order(), order);
        let (near, far) = (
            distance.matrix(&x, Some(&near))?,
            distance.matrix(&x, Some(&far))?,
        );
        assert!(flat(&distance.gap(&near, &far)?)[0] < 0.0);
        assert_eq!(flat(&distance.closer(&near, &far)?), flat(&near));
    }
    Ok(())
}

#[test]
fn rows_of_other_length_or_rank_are_refused() -> Result<()> {
    let (x, wide) = (scattered(0.3, 3, 4), scattered(0.3, 3, 5));
    for distance in all() {
        for result in [
            distance.matrix(&x, Some(&wide)),
            distance.matrix(&x.unsqueeze(0)?, None),
            distance.matrix(&x.flatten_all()?, None),
            distance.pairs(&x, &wide),
            distance.pairs(&x, &x.narrow(0, 0, 2)?),
            distance.raw_pairs(&x, &wide),
        ] {
            assert!(
                matches!(result, Err(Error::Shape { .. })),
                "{distance:?}: {result:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn impossible_parameters_are_refused() {
    for (p, power, name) in [
        (0.5, 1.0, "p"),
        (f64::NAN, 1.0, "p"),
        (2.0, 0.0, "power"),
        (2.0, f64::INFINITY, "power"),
    ] {
        let errors = [
            CosineSimilarity::new(CosineSimilarityConfig { p, power }).unwrap_err(),
            LpDistance::new(LpDistanceConfig {
                p,
                power,
                ..Default::default()
            })
            .unwrap_err(),
            DotProductSimilarity::new(DotProductSimilarityConfig {
                p,
                power,
                ..Default::default()
            })
            .unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::InvalidParameter { name: n, .. } if n == name));
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn configurations_are_read_by_name_with_defaults() {
    let lp: LpDistanceConfig = serde_json::from_str(r#"{"p": "inf", "power": 2}"#).unwrap();
    assert_eq!(
        lp,
        LpDistanceConfig {
            normalize_embeddings: true,
            p: f64::INFINITY,
            power: 2.0
        }
    );
    assert_eq!(
        serde_json::to_string(&lp).unwrap(),
        r#"{"normalize_embeddings":true,"p":"inf","power":2.0}"#
    );
    let cosine: CosineSimilarityConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(cosine, CosineSimilarityConfig::default());
    assert!(
        serde_json::from_str::<CosineSimilarityConfig>(r#"{"normalize_embeddings": false}"#)
            .is_err()
    );
}
