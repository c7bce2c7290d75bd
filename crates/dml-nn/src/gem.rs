//! Generalised-mean pooling.
//!
//! ```text
//! y[n,c] = (mean over pixels of max(x[n,c,i,j], ε)ᵖ)^(1/p)
//! ```
//!
//! Radenović, Tolias & Chum 2019, "Fine-tuning CNN image retrieval with no human annotation" (arXiv 1711.02512). p = 1 is
//! average pooling, p → ∞ max pooling; p is learnt.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{has_kernel, host_node, with_slice, with_slices};
use dml_core::{Result, check, for_element, in_graph};

use crate::kernels::gem as kernel;
use crate::{Graph, GraphValue, Layer, Parameters, pixels, wide};

dml_core::config! {
    /// Configuration of [`Gem`].
    pub struct GemConfig {
        /// p, the initial exponent, in `[1e-30, 1e30]`. Default 3.
        pub p: f64 = 3.0,
        /// ε, the smallest value that is averaged, in `[1e-30, 1e30]`. Default 10⁻⁶.
        pub eps: f64 = 1e-6,
    }
}

/// Generalised-mean pooling ([formula](self)): `[N, C, H, W]` → `[N, C, 1, 1]`.
///
/// Half precision is computed in single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Gem, GemConfig, Layer};
///
/// let config = GemConfig { p: 2.0, ..GemConfig::default() };
/// let pool = Gem::new(config, DType::F64, &Device::Cpu)?;
/// let x = Tensor::new(&[[[[1f64, 7.]]]], &Device::Cpu)?;
/// // √((1 + 49) / 2)
/// assert_eq!(pool.forward(&x)?.flatten_all()?.to_vec1::<f64>()?, [5.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gem {
    p: Var,
    eps: f64,
}

impl Gem {
    /// A layer with the exponent of the configuration.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold p.
    pub fn new(config: GemConfig, dtype: DType, device: &Device) -> Result<Self> {
        let p = check::positive("p", config.p)?;
        let p = Tensor::new(&[p], &Device::Cpu)?.to_dtype(dtype)?;
        Self::from_parameters(config, Var::from_tensor(&p.to_device(device)?)?)
    }

    /// A layer with a given exponent; `config.p` is not read.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for an ε out of its range,
    /// [`Error::Shape`](dml_core::Error::Shape) unless p is `[1]`.
    pub fn from_parameters(config: GemConfig, p: Var) -> Result<Self> {
        let eps = check::positive("eps", config.eps)?;
        check::shape(p.dims() == [1], "p", &p, "[1]")?;
        Ok(Self { p, eps })
    }

    /// p, `[1]`.
    #[must_use]
    pub fn p(&self) -> &Var {
        &self.p
    }

    /// The same, composed of Candle's operations.
    fn composite(&self, input: &Tensor, p: &Tensor) -> Result<Tensor> {
        let eps = (input.ones_like()? * self.eps)?;
        // Written so that NaN stays NaN.
        let clamped = input.lt(&eps)?.where_cond(&eps, input)?;
        let p = p.reshape((1, 1, 1, 1))?;
        let powers = clamped.log()?.broadcast_mul(&p)?.exp()?;
        let mean = powers.mean_keepdim((2, 3))?;
        Ok(mean.log()?.broadcast_div(&p)?.exp()?)
    }
}

impl Layer for Gem {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let [batch, channels, height, width] = pixels::image_batch(input)?;
        let expected = "[N, C, H, W] with at least one pixel";
        check::shape(height * width > 0, "input", input, expected)?;
        let x = &input.to_dtype(wide(input.dtype()))?;
        let p = in_graph(&self.p).to_dtype(x.dtype())?;
        let y = if has_kernel(x) {
            let (area, shape) = (height * width, (batch, channels, 1, 1));
            for_element!(x, "input", |T| {
                let (exponent, eps) = (p.to_vec1::<T>()?[0], self.eps as T);
                let value = with_slice(x, |x: &[T]| kernel::forward(x, area, exponent, eps))?;
                host_node("gem", [x, &p], value, shape, move |[x, _], y, g| {
                    with_slices([x, y, g], |[x, y, g]: [&[T]; 3]| {
                        let (of_input, of_p) = kernel::backward(x, area, exponent, eps, y, g);
                        [of_input, vec![of_p]]
                    })
                })
            })?
        } else {
            self.composite(x, &p)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        [("p".to_owned(), self.p.clone())].into_iter().collect()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let p = graph.constant("p", &self.p);
        let least = graph.number(self.eps)?;
        let x = graph.node("Max", &[input, &least]);
        let powers = graph.node("Pow", &[&x, &p]);
        let mean = graph.node("GlobalAveragePool", &[&powers]);
        let root = graph.node("Reciprocal", &[&p]);
        Ok(graph.node("Pow", &[&mean, &root]))
    }
}

#[cfg(test)]
mod tests;
