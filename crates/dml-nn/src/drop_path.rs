//! Stochastic depth: whole examples of a residual branch become 0 in training.
//!
//! ```text
//! y[n, …] = x[n, …] m[n] / (1 − p),   m[n] = 0 with probability p, else 1
//! ```
//!
//! Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv 1603.09382), by example as in timm's `DropPath` and
//! torchvision's `StochasticDepth` with mode `row`. The masks of the k-th call follow from the seed and from k alone,
//! whatever the number of threads.

use candle_core::Tensor;
use dml_core::{Result, SeedSequence, check};

use crate::dropout::{Masks, masked_layer};
use crate::{Graph, GraphValue, Layer};

dml_core::config! {
    /// Configuration of [`DropPath`].
    pub struct DropPathConfig {
        /// Probability that an example becomes 0, in [0, 1). Default 0.
        pub drop_prob: f64 = 0.0,
        /// Whether the others are divided by `1 − drop_prob`, so that the expectation stays. Default true.
        pub scale_by_keep: bool = true,
    }
}

/// Stochastic depth by example ([formula](self)), for tensors of one dimension or more. Outside of training it is the
/// identity.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_core::SeedSequence;
/// use dml_nn::{DropPath, DropPathConfig, Layer};
///
/// let config = DropPathConfig { drop_prob: 0.5, ..Default::default() };
/// let branch = DropPath::new(config, SeedSequence::new(1))?;
/// let x = Tensor::ones((6, 3), DType::F32, &Device::Cpu)?;
/// let y = branch.forward_t(&x, true)?.to_vec2::<f32>()?;
/// assert!(y.iter().all(|example| *example == [0.0; 3] || *example == [2.0; 3]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DropPath(Masks);

impl DropPath {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `drop_prob` is in [0, 1).
    pub fn new(config: DropPathConfig, sequence: SeedSequence) -> Result<Self> {
        let mut masks = Masks::new("drop_prob", config.drop_prob, sequence)?;
        if !config.scale_by_keep {
            masks.kept = 1.0;
        }
        Ok(Self(masks))
    }
}

masked_layer!(DropPath, "drop_path", |input| {
    check::shape(input.rank() > 0, "input", input, "[n, …]")?;
    let mut shape = vec![1; input.rank()];
    shape[0] = input.dims()[0];
    shape
});

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use dml_core::Error;

    fn layer(drop_prob: f64, scale_by_keep: bool) -> DropPath {
        let config = DropPathConfig {
            drop_prob,
            scale_by_keep,
        };
        DropPath::new(config, SeedSequence::new(3)).unwrap()
    }

    #[test]
    fn examples_are_kept_or_dropped_whole_and_so_are_their_gradients() -> Result<()> {
        for (scale, kept) in [(true, 4.0 / 3.0), (false, 1.0)] {
            for dtype in [DType::F64, DType::F32, DType::BF16] {
                let x = Var::ones((400, 2, 3), dtype, &Device::Cpu)?;
                let y = layer(0.25, scale).forward_t(&x, true)?;
                let store = y.sum_all()?.backward()?;
                let gradient = store.get(&x).unwrap();
                let list = |x: &Tensor| x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2::<f64>();
                let (y, gradient) = (list(&y)?, list(gradient)?);
                assert_eq!(y, gradient);
                let first = y.iter().map(|row| row[0]);
                assert!(y.iter().all(|row| row.iter().all(|y| *y == row[0])));
                assert!(first.clone().all(|y| y == 0.0 || (y - kept).abs() < 0.01));
                let share = first.filter(|y| *y > 0.0).count();
                // 400 draws: within 4 standard deviations, 35, of 300.
                assert!((265..=335).contains(&share), "{share}");
            }
        }
        Ok(())
    }

    #[test]
    fn masks_follow_seed_and_call() -> Result<()> {
        let x = Tensor::ones((64, 5), DType::F32, &Device::Cpu)?;
        let draw = |layer: &DropPath| layer.forward_t(&x, true)?.sum(1)?.to_vec1::<f32>();
        let (once, again) = (layer(0.5, true), layer(0.5, true));
        let first = draw(&once)?;
        assert_eq!(first, draw(&again)?);
        assert_ne!(first, draw(&once)?);
        assert_eq!(once.seeds()[0].calls(), 2);
        assert_eq!(once.forward(&x)?.to_vec2::<f32>()?, x.to_vec2::<f32>()?);
        Ok(())
    }

    #[test]
    fn what_makes_no_sense_is_refused() -> Result<()> {
        for drop_prob in [-0.1, 1.0, f64::NAN] {
            let config = DropPathConfig {
                drop_prob,
                ..Default::default()
            };
            let refused = DropPath::new(config, SeedSequence::new(0));
            assert!(matches!(
                refused,
                Err(Error::InvalidParameter {
                    name: "drop_prob",
                    ..
                })
            ));
        }
        let number = Tensor::new(1f32, &Device::Cpu)?;
        let refused = layer(0.5, true).forward_t(&number, true);
        assert!(matches!(refused, Err(Error::Shape { .. })));
        Ok(())
    }
}
