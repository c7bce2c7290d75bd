//! Dropout of single numbers or whole channels in training.
//!
//! ```text
//! y = x · m / (1 − p),   m = 0 with probability p, else 1
//! ```
//!
//! Srivastava et al. 2014 (JMLR 15); of whole channels: Tompson et al. 2015 (arXiv 1411.4280). The masks of the k-th
//! call follow from the seed and from k alone, whatever the number of threads.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel, with_slice};
use dml_core::kernels::{Real, elementwise};
use dml_core::{Result, SeedSequence, check, for_element};
use rayon::prelude::*;

use crate::kernels::dropout::Factors;
use crate::{Graph, GraphValue, Layer, Role, pixels};

dml_core::config! {
    /// Configuration of [`Dropout`].
    pub struct DropoutConfig {
        /// Probability that a number becomes 0, in [0, 1). Default 0.5.
        pub p: f64 = 0.5,
    }
}

dml_core::config! {
    /// Configuration of [`Dropout2d`].
    pub struct Dropout2dConfig {
        /// Probability that a channel becomes 0, in [0, 1). Default 0.5.
        pub p: f64 = 0.5,
    }
}

/// Number of words of the generator that one job draws.
const RUN: usize = 16_384;

/// Random masks: 0 with probability p, else the factor of what is kept.
#[derive(Clone, Debug)]
pub(crate) struct Masks {
    p: f64,
    pub(crate) kept: f64,
    sequence: SeedSequence,
}

impl Masks {
    /// Masks with the probability that the argument `name` has. What is kept is divided by 1 − p.
    pub(crate) fn new(name: &'static str, p: f64, sequence: SeedSequence) -> Result<Self> {
        let p = check::probability_below_one(name, p)?;
        let kept = 1.0 / (1.0 - p);
        Ok(Self { p, kept, sequence })
    }

    pub(crate) fn sequence(&self) -> &SeedSequence {
        &self.sequence
    }

    /// The factors of the next call; none where nothing is dropped.
    fn draw(&self) -> Option<Factors> {
        (self.p > 0.0).then(|| Factors::new([self.p, self.kept], self.sequence.next_rng()))
    }

    /// In training `input` times the factors of the next call, which stand in `shape`; else the input.
    pub(crate) fn apply(
        &self,
        name: &'static str,
        input: &Tensor,
        train: bool,
        shape: &[usize],
    ) -> Result<Tensor> {
        let Some(all) = train.then(|| self.draw()).flatten() else {
            return Ok(input.clone());
        };
        let count = shape.iter().product::<usize>();
        let width = input.elem_count() / count.max(1);
        if !has_kernel(input) {
            let factors = Tensor::from_vec(written::<f32>(&all, count), shape, input.device())?;
            return Ok(input.broadcast_mul(&factors.to_dtype(input.dtype())?)?);
        }
        for_element!(input, "input", |T| {
            fused::<T>(name, input, written(&all, count), width)
        })
    }
}

/// The first `count` factors.
fn written<T: Real>(all: &Factors, count: usize) -> Vec<T> {
    let mut factors = vec![T::ZERO; count];
    factors
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each(|(job, factors)| all.fill((job * RUN) as u128, factors));
    factors
}

fn fused<T: Element>(
    name: &'static str,
    input: &Tensor,
    factors: Vec<T>,
    width: usize,
) -> Result<Tensor> {
    let value = with_slice(input, |x: &[T]| elementwise::scale_rows(x, &factors, width))?;
    autograd::unary(name, input, value, input.shape(), move |_, _, gradient| {
        with_slice(gradient, |g: &[T]| {
            elementwise::scale_rows(g, &factors, width)
        })
    })
}

/// Makes a layer of [`Masks`], whose factors stand in `$shape`.
macro_rules! masked_layer {
    ($Name:ident, $name:literal, |$input:ident| $shape:expr $(, $($more:tt)+)?) => {
        impl $Name {
            /// The random sequence of the masks. To continue later, start with the same seed and
            /// [`skip`](SeedSequence::skip) as many calls.
            #[must_use]
            pub fn sequence(&self) -> &SeedSequence {
                self.0.sequence()
            }
        }

        impl Layer for $Name {
            fn seeds(&self) -> Vec<SeedSequence> {
                vec![self.0.sequence().handle()]
            }

            fn forward_t(&self, $input: &Tensor, train: bool) -> Result<Tensor> {
                self.0.apply($name, $input, train, &$shape)
            }

            fn export(&self, _: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
                Ok(input.clone())
            }

            $($($more)+)?
        }
    };
}
pub(crate) use masked_layer;

/// Dropout of single numbers ([formula](self)), for tensors of any shape. Outside of training it is the identity.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_core::SeedSequence;
/// use dml_nn::{Dropout, DropoutConfig, Layer};
///
/// let dropout = Dropout::new(DropoutConfig { p: 0.5 }, SeedSequence::new(1))?;
/// let x = Tensor::ones(1000, DType::F32, &Device::Cpu)?;
/// assert_eq!(dropout.forward_t(&x, false)?.sum_all()?.to_scalar::<f32>()?, 1000.0);
/// let y = dropout.forward_t(&x, true)?.to_vec1::<f32>()?;
/// assert!(y.iter().all(|y| *y == 0.0 || *y == 2.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout(Masks);

impl Dropout {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `p` is in [0, 1).
    pub fn new(config: DropoutConfig, sequence: SeedSequence) -> Result<Self> {
        Masks::new("p", config.p, sequence).map(Self)
    }

    /// The factors of the next call; none where nothing is dropped.
    pub(crate) fn draw(&self) -> Option<Factors> {
        self.0.draw()
    }
}

masked_layer!(Dropout, "dropout", |input| input.dims());

/// Dropout of whole channels ([formula](self)) of `[N, C, H, W]`. Outside of training it is the identity.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_core::SeedSequence;
/// use dml_nn::{Dropout2d, Dropout2dConfig, Layer};
///
/// let dropout = Dropout2d::new(Dropout2dConfig { p: 0.25 }, SeedSequence::new(1))?;
/// let x = Tensor::ones((2, 8, 3, 3), DType::F64, &Device::Cpu)?;
/// let y = dropout.forward_t(&x, true)?.flatten_from(2)?.flatten_to(1)?.to_vec2::<f64>()?;
/// assert!(y.iter().all(|channel| *channel == [0.0; 9] || *channel == [4.0 / 3.0; 9]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout2d(Masks);

impl Dropout2d {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `p` is in [0, 1).
    pub fn new(config: Dropout2dConfig, sequence: SeedSequence) -> Result<Self> {
        Masks::new("p", config.p, sequence).map(Self)
    }

    /// The factors of the next call, one per channel of each image; none where nothing is left out.
    pub(crate) fn factors<T: Real>(&self, channels: usize) -> Vec<T> {
        let all = self.0.draw();
        all.map_or_else(Vec::new, |all| written(&all, channels))
    }
}

masked_layer!(
    Dropout2d,
    "dropout2d",
    |input| {
        let [batch, channels, _, _] = pixels::image_batch(input)?;
        [batch, channels, 1, 1]
    },
    fn role(&self) -> Role<'_> {
        Role::Dropout2d(self)
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use dml_core::Error;

    fn layer(p: f64, seed: u64) -> Dropout {
        Dropout::new(DropoutConfig { p }, SeedSequence::new(seed)).unwrap()
    }

    #[test]
    fn masks_follow_seed_and_call_whatever_the_threads() -> Result<()> {
        let x = Tensor::ones((50, 1000), DType::F32, &Device::Cpu)?;
        let draw = |layer: &Dropout| -> Result<Vec<f32>> {
            Ok(layer.forward_t(&x, true)?.flatten_all()?.to_vec1()?)
        };
        let (once, again) = (layer(0.25, 5), layer(0.25, 5));
        let first = draw(&once)?;
        let alone = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap()
            .install(|| draw(&again))?;
        assert_eq!(first, alone);
        let second = draw(&once)?;
        assert_ne!(first, second);
        let later = Dropout::new(DropoutConfig { p: 0.25 }, SeedSequence::new(5).skip(1))?;
        assert_eq!(draw(&later)?, second);
        assert_eq!(once.sequence().calls(), 2);
        let kept = first.iter().filter(|y| **y > 0.0).count() as f64;
        // 50,000 draws: the share of kept ones is within 5 standard deviations, 0.01, of 0.75.
        assert!((kept / 50_000.0 - 0.75).abs() < 0.01);
        Ok(())
    }

    #[test]
    fn the_gradient_passes_where_the_value_did() -> Result<()> {
        let x = Var::ones((4, 6, 2, 2), DType::F64, &Device::Cpu)?;
        let channels = Dropout2d::new(Dropout2dConfig { p: 0.5 }, SeedSequence::new(2))?;
        for y in [
            layer(0.5, 1).forward_t(&x, true)?,
            channels.forward_t(&x, true)?,
        ] {
            let store = y.sum_all()?.backward()?;
            let gradient = store.get(&x).unwrap().flatten_all()?.to_vec1::<f64>()?;
            assert_eq!(gradient, y.flatten_all()?.to_vec1::<f64>()?);
            assert!(gradient.contains(&0.0) && gradient.contains(&2.0));
        }
        Ok(())
    }

    #[test]
    fn half_precision_gets_the_same_mask() -> Result<()> {
        let x = Tensor::ones((3, 4, 2, 2), DType::F32, &Device::Cpu)?;
        let config = Dropout2dConfig { p: 0.5 };
        let [single, half] = [DType::F32, DType::F16].map(|dtype| {
            let layer = Dropout2d::new(config.clone(), SeedSequence::new(9)).unwrap();
            let y = layer.forward_t(&x.to_dtype(dtype).unwrap(), true).unwrap();
            y.to_dtype(DType::F32)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        });
        assert_eq!(single, half);
        Ok(())
    }

    #[test]
    fn what_makes_no_sense_is_refused() -> Result<()> {
        for p in [-0.1, 1.0, f64::NAN] {
            let dropout = Dropout::new(DropoutConfig { p }, SeedSequence::new(0));
            assert!(matches!(
                dropout,
                Err(Error::InvalidParameter { name: "p", .. })
            ));
        }
        let channels = Dropout2d::new(Dropout2dConfig { p: 0.5 }, SeedSequence::new(0))?;
        let x = Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?;
        assert!(matches!(
            channels.forward_t(&x, true),
            Err(Error::Shape { .. })
        ));
        let nothing = Dropout2d::new(Dropout2dConfig { p: 0.0 }, SeedSequence::new(0))?;
        let x = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu)?;
        assert_eq!(
            nothing.forward_t(&x, true)?.sum_all()?.to_scalar::<f32>()?,
            1.0
        );
        Ok(())
    }
}
