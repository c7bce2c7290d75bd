//! Every distance over rows of zeros, short rows, and tensors without rows.

use std::sync::Arc;

use dml_core::autograd::without_kernels;
use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Distance, Result};

use crate::tests::flat;
use crate::{
    BatchedDistance, BatchedDistanceConfig, CosineSimilarity, CosineSimilarityConfig,
    DotProductSimilarity, DotProductSimilarityConfig, HammingDistance, LpDistance,
    LpDistanceConfig, MahalanobisDistance, MahalanobisDistanceConfig, SNRDistance,
};

/// Distances of rows with three coordinates.
fn distances(dtype: DType) -> Result<Vec<Arc<dyn Distance>>> {
    let mut all: Vec<Arc<dyn Distance>> = Vec::new();
    for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
        all.push(Arc::new(CosineSimilarity::new(CosineSimilarityConfig {
            p,
            power: 1.0,
        })?));
        for normalize_embeddings in [false, true] {
            all.push(Arc::new(DotProductSimilarity::new(
                DotProductSimilarityConfig {
                    p,
                    normalize_embeddings,
                    ..Default::default()
                },
            )?));
            for power in [1.0, 2.0] {
                all.push(Arc::new(LpDistance::new(LpDistanceConfig {
                    p,
                    normalize_embeddings,
                    power,
                })?));
            }
        }
    }
    // These are for single and double precision, in which batches are computed.
    if dtype != DType::F16 {
        all.push(Arc::new(SNRDistance::default()));
        let config = MahalanobisDistanceConfig::new(3);
        all.push(Arc::new(MahalanobisDistance::new(
            config,
            dtype,
            &Device::Cpu,
        )?));
    }
    let batched = BatchedDistanceConfig { batch_size: 2 };
    all.push(Arc::new(BatchedDistance::new(
        batched,
        Arc::new(LpDistance::default()),
    )?));
    Ok(all)
}

#[test]
fn gradients_of_zeros_and_of_short_rows_are_finite() -> Result<()> {
    let rows = [
        [0f64, 0., 0.],
        [0.5, -1.0, 0.25],
        [0., 0., 0.],
        [-0.3, 0.2, 1.0],
    ];
    let turned = Tensor::new(&[3u32, 2, 1, 0], &Device::Cpu)?;
    for dtype in [DType::F16, DType::F32, DType::F64] {
        for distance in distances(dtype)? {
            for kernels in [true, false] {
                let mut rows = rows;
                if dtype != DType::F16 {
                    rows[2] = [1e-30, -2e-30, 0.5e-30];
                }
                let x = Var::from_tensor(&Tensor::new(&rows, &Device::Cpu)?.to_dtype(dtype)?)?;
                let sum = || -> Result<Tensor> {
                    let matrix = distance.matrix(&x, None)?;
                    let pairs = distance.pairs(&x, &x.detach().index_select(&turned, 0)?)?;
                    Ok((matrix.sum_all()? + pairs.sum_all()?)?)
                };
                let sum = if kernels {
                    sum()?
                } else {
                    without_kernels(sum)?
                };
                assert!(flat(&sum)[0].is_finite(), "{distance:?}");
                let store = sum.backward()?;
                let gradient = flat(store.get(x.as_tensor()).unwrap());
                assert!(
                    gradient.iter().all(|g| g.is_finite()),
                    "{dtype:?} {distance:?}: {gradient:?}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn cosines_of_short_rows_are_those_of_their_directions() -> Result<()> {
    let long = Tensor::new(&[[3f32, 4., 0.], [4., 3., 0.], [0., 0., 5.]], &Device::Cpu)?;
    let cosine = CosineSimilarity::default();
    let wanted = flat(&cosine.matrix(&long, None)?);
    for length in [1e-13, 1e-20, 1e-36, 1e12, 1e36] {
        for kernels in [true, false] {
            let matrix = || cosine.matrix(&(&long * length)?, None);
            let matrix = if kernels {
                matrix()?
            } else {
                without_kernels(matrix)?
            };
            for (got, want) in flat(&matrix).iter().zip(&wanted) {
                assert!((got - want).abs() < 1e-6, "{length:e}: {got} {want}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_distance_takes_views_without_rows() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let full = Tensor::ones((3, 4), dtype, &Device::Cpu)?;
        let some = full.narrow(1, 0, 3)?.contiguous()?;
        let nothing = [
            Tensor::zeros((0, 3), dtype, &Device::Cpu)?,
            some.narrow(0, 3, 0)?,
            some.narrow(0, 1, 0)?,
            // It begins beyond the end of its storage.
            full.narrow(1, 1, 3)?.narrow(0, 3, 0)?,
            full.t()?.narrow(0, 4, 0)?,
        ];
        let mut distances = distances(dtype)?;
        distances.push(Arc::new(HammingDistance));
        for distance in distances {
            for none in &nothing {
                for kernels in [true, false] {
                    let run = || -> Result<()> {
                        assert_eq!(distance.matrix(none, None)?.dims(), [0, 0], "{distance:?}");
                        assert_eq!(distance.matrix(none, Some(&some))?.dims(), [0, 3]);
                        assert_eq!(distance.matrix(&some, Some(none))?.dims(), [3, 0]);
                        assert_eq!(distance.pairs(none, none)?.dims(), [0]);
                        assert_eq!(distance.raw_pairs(none, none)?.dims(), [0]);
                        assert_eq!(distance.norms(none)?.dims(), [0]);
                        assert_eq!(distance.prepare(none)?.dims()[0], 0);
                        Ok(())
                    };
                    if kernels {
                        run()?;
                    } else {
                        without_kernels(run)?;
                    }
                }
            }
        }
    }
    Ok(())
}
