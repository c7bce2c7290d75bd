//! Layer normalisation over the channels of each pixel.
//!
//! ```text
//! y[n,:,i,j] = γ (x[n,:,i,j] − μ) / √(σ² + ε) + β       μ, σ² = mean and variance (biased) of the pixel's channels
//! ```
//!
//! The `LayerNorm2d` of ConvNeXt (Liu et al. 2022, arXiv 2201.03545), without a transposition to channels-last and back. The
//! fused form passes over memory once each way and keeps nothing but the input between the two.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::has_kernel;
use dml_core::{Result, check};

use crate::affine::{Affine, affine_parameters, standardized};
use crate::kernels::pixel_norm::Pixels;
use crate::{Graph, GraphValue, Layer, Parameters, pixels, wide};

dml_core::config! {
    /// Configuration of [`LayerNorm2d`].
    pub struct LayerNorm2dConfig {
        /// Number of channels, the size of the second dimension; 1 to 4,294,967,295.
        pub channels: usize;
        /// ε, added to the variance; in `[1e-30, 1e30]`. Default 10⁻⁶.
        pub eps: f64 = 1e-6,
        /// Whether there are γ and β. Default true.
        pub affine: bool = true,
    }
}

/// Layer normalisation of pixels ([formula](self)): `[N, C, H, W]` to the same shape. Half precision is computed in single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, LayerNorm2d, LayerNorm2dConfig};
///
/// let norm = LayerNorm2d::new(LayerNorm2dConfig::new(2), DType::F64, &Device::Cpu)?;
/// // Two pixels: (1, 3) and (8, 4).
/// let x = Tensor::new(&[[[[1f64, 8.]], [[3., 4.]]]], &Device::Cpu)?;
/// let y = norm.forward(&x)?.flatten_all()?.to_vec1::<f64>()?;
/// assert!(y.iter().zip([-1.0, 1.0, 1.0, -1.0]).all(|(y, want)| (y - want).abs() < 1e-5));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm2d {
    channels: usize,
    eps: f64,
    affine: Affine,
}

impl LayerNorm2d {
    /// A layer with γ of ones and β of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Size`](dml_core::Error::Size) for more channels than fit into memory.
    pub fn new(config: LayerNorm2dConfig, dtype: DType, device: &Device) -> Result<Self> {
        let channels = checked(&config)?;
        let present = [config.affine; 2];
        Ok(Self {
            channels,
            eps: config.eps,
            affine: Affine::new("channels", &[channels], present, dtype, device)?,
        })
    }

    /// A layer with given γ and β, `[channels]` each. Of the configuration, `affine` has no effect.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Shape`](dml_core::Error::Shape) for another shape.
    pub fn from_parameters(
        config: LayerNorm2dConfig,
        weight: Option<Var>,
        bias: Option<Var>,
    ) -> Result<Self> {
        let channels = checked(&config)?;
        Ok(Self {
            channels,
            eps: config.eps,
            affine: Affine::from_parameters(&[channels], "[channels]", weight, bias)?,
        })
    }

    affine_parameters!();
}

fn checked(config: &LayerNorm2dConfig) -> Result<usize> {
    check::positive("eps", config.eps)?;
    check::at_least_one("channels", config.channels)
}

impl Layer for LayerNorm2d {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let [_, channels, height, width] = pixels::image_batch(input)?;
        let fits = channels == self.channels;
        check::shape(fits, "input", input, "[N, channels, H, W]")?;
        let x = input.to_dtype(wide(input.dtype()))?;
        let y = if has_kernel(&x) {
            let kernel = Pixels {
                channels,
                area: height * width,
                eps: self.eps,
            };
            self.affine.fused("layer_norm2d", &x, channels, kernel)?
        } else {
            let y = standardized(&x, 1, self.eps, true)?;
            self.affine.composite(y, &[1, channels, 1, 1])?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        self.affine.parameters()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let pixels = graph.node_with("Transpose", &[input], &[("perm", [0i64, 2, 3, 1].into())]);
        let shape = [self.channels];
        let y = self
            .affine
            .layer_normalization(graph, &pixels, &shape, -1, self.eps)?;
        Ok(graph.node_with("Transpose", &[&y], &[("perm", [0i64, 3, 1, 2].into())]))
    }
}

#[cfg(test)]
mod tests;
