//! Max pooling over the windows of a plane.
//!
//! ```text
//! y[n,c,i,j] = max_(a,b) x[n, c, i·stride + a·dilation − padding, …]
//! ```
//!
//! The gradient of a window goes whole to its first maximum in row-major order, as in PyTorch. Candle's own
//! `max_pool2d` shares it out wrongly: of a 2 × 2 window with one maximum, a quarter arrives.

use crate::kernels::conv2d::Pooling;
use crate::kernels::max_pool2d::{self as kernel, Maxima};
use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::{Error, Result, for_element};

use crate::{Graph, GraphValue, Layer, Role, pixels, wide_on_cpu, windows_on_device};

dml_core::config! {
    /// Configuration of [`MaxPool2d`]; pairs are (height, width).
    #[derive(Eq)]
    pub struct MaxPool2dConfig {
        /// Size of a window in pixels, 1 to 1,024.
        pub kernel_size: [usize; 2];
        /// Distance of neighbouring windows in pixels, 1 to 1,024; `None` for the size of a window. Default `None`.
        pub stride: Option<[usize; 2]> = None,
        /// Pixels that windows reach over the edge, at most half a window. Default 0.
        pub padding: [usize; 2] = [0, 0],
        /// Distance of neighbouring pixels of a window, 1 to 1,024. Default 1.
        pub dilation: [usize; 2] = [1, 1],
        /// Whether windows that begin inside and reach over the far edge count. Default false.
        pub ceil_mode: bool = false,
    }
}

/// Max pooling ([formula](self)): `[N, C, H, W]` → `[N, C, H', W']`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, MaxPool2d, MaxPool2dConfig};
///
/// let pool = MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?;
/// let x = Tensor::new(&[[[[1f32, 3., 0., 2.], [7., 5., 9., 4.]]]], &Device::Cpu)?;
/// assert_eq!(pool.forward(&x)?.flatten_all()?.to_vec1::<f32>()?, [7., 9.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    pooling: Pooling,
}

impl MaxPool2d {
    /// # Errors
    /// [`Error::InvalidParameter`] for a size, stride or dilation of 0, or a padding of more than half a window.
    pub fn new(config: MaxPool2dConfig) -> Result<Self> {
        let pooling = Pooling {
            kernel: config.kernel_size,
            stride: config.stride.unwrap_or(config.kernel_size),
            padding: config.padding,
            dilation: config.dilation,
            ceil_mode: config.ceil_mode,
        };
        let pooling = pixels::checked(pooling)?;
        Ok(Self { pooling })
    }

    pub(crate) fn pooling(&self) -> &Pooling {
        &self.pooling
    }

    /// Height and width of the result.
    pub(crate) fn output(&self, image: [usize; 2]) -> Result<[usize; 2]> {
        match self.pooling.output(image) {
            Some(output) if output.iter().all(|size| *size > 0) => Ok(output),
            _ => Err(pixels::no_room(&image)),
        }
    }

    /// The same, composed of Candle's operations.
    pub(crate) fn composite(&self, input: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = input.dims4()?;
        let output = self.output([height, width])?;
        let mut best: Option<Tensor> = None;
        for place in pixels::places(&self.pooling.of_planes(1), output) {
            let (values, inside) = place.of(input)?;
            let lowest = (values.ones_like()? * f64::NEG_INFINITY)?;
            let inside = inside.broadcast_as(values.shape())?;
            let values = inside.where_cond(&values, &lowest)?;
            best = Some(match best {
                None => values,
                Some(best) => {
                    let wins = (values.gt(&best)? + values.ne(&values)?)?.ne(0u8)?;
                    wins.where_cond(&values, &best)?
                }
            });
        }
        best.ok_or(Error::Unsupported {
            component: "MaxPool2d",
            reason: "a window without pixels has no maximum",
        })
    }
}

impl Layer for MaxPool2d {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let [batch, channels, height, width] = pixels::image_batch(input)?;
        let image = [height, width];
        let [rows, columns] = self.output(image)?;
        if autograd::cuda::has_kernel(input) {
            let windows = self.pooling.of_planes(channels);
            return windows_on_device::max_pool2d(input, &windows, [rows, columns]);
        }
        let x = &input.to_dtype(wide_on_cpu(input))?;
        let y = if has_kernel(x) {
            for_element!(x, "input", |T| {
                let Maxima { values, pixels } =
                    with_slice(x, |x: &[T]| kernel::max_pool2d(x, image, &self.pooling))?;
                let shape = (batch, channels, rows, columns);
                autograd::unary("max_pool2d", x, values, shape, move |_, _, g| {
                    with_slice(g, |g: &[T]| {
                        kernel::max_pool2d_backward(&pixels, g, image, rows * columns)
                    })
                })
            })?
        } else {
            self.composite(x)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let own = ("dilations", self.pooling.dilation.into());
        let attributes = pixels::pooling_attributes("MaxPool2d", &self.pooling, own)?;
        Ok(graph.node_with("MaxPool", &[input], &attributes))
    }

    fn role(&self) -> Role<'_> {
        Role::MaxPool2d(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    fn gradient(x: &Var, y: &Tensor) -> Result<Vec<f64>> {
        let weights: Vec<f64> = (0..y.elem_count()).map(|i| 1.0 + i as f64).collect();
        let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu)?;
        let store = (y * weights)?.sum_all()?.backward()?;
        Ok(store.get(x).unwrap().flatten_all()?.to_vec1()?)
    }

    #[test]
    fn a_single_maximum_and_the_first_of_a_tie_get_all_of_it() -> Result<()> {
        let pool = MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?;
        let x = Var::new(&[[[[1f64, 3., 7., 7.], [0., 2., 7., 7.]]]], &Device::Cpu)?;
        for y in [pool.forward(&x)?, pool.composite(&x)?] {
            assert_eq!(gradient(&x, &y)?, [0., 1., 2., 0., 0., 0., 0., 0.]);
        }
        Ok(())
    }

    #[test]
    fn both_forms_agree() -> Result<()> {
        let values: Vec<f64> = (0..2 * 3 * 7 * 6).map(|i| f64::from(i * 37 % 23)).collect();
        let x = Var::from_vec(values, (2, 3, 7, 6), &Device::Cpu)?;
        for config in [
            MaxPool2dConfig::new([2, 3]),
            MaxPool2dConfig {
                stride: Some([1, 2]),
                padding: [1, 1],
                ceil_mode: true,
                ..MaxPool2dConfig::new([3, 2])
            },
            MaxPool2dConfig {
                dilation: [2, 3],
                stride: Some([1, 1]),
                ..MaxPool2dConfig::new([2, 2])
            },
        ] {
            let pool = MaxPool2d::new(config)?;
            let (fused, composite) = (pool.forward(&x)?, pool.composite(&x)?);
            assert_eq!(fused.dims(), composite.dims());
            assert_eq!(
                fused.flatten_all()?.to_vec1::<f64>()?,
                composite.flatten_all()?.to_vec1::<f64>()?
            );
            assert_eq!(gradient(&x, &fused)?, gradient(&x, &composite)?);
        }
        Ok(())
    }

    #[test]
    fn half_precision_works() -> Result<()> {
        let pool = MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?;
        let x = Tensor::ones((1, 1, 2, 2), DType::F16, &Device::Cpu)?;
        assert_eq!(pool.forward(&x)?.dtype(), DType::F16);
        Ok(())
    }

    #[test]
    fn what_makes_no_sense_is_refused() -> Result<()> {
        assert!(matches!(
            MaxPool2d::new(MaxPool2dConfig::new([0, 2])),
            Err(Error::InvalidParameter {
                name: "kernel_size",
                ..
            })
        ));
        let config = MaxPool2dConfig {
            padding: [2, 0],
            ..MaxPool2dConfig::new([3, 3])
        };
        assert!(matches!(
            MaxPool2d::new(config),
            Err(Error::InvalidParameter {
                name: "padding",
                ..
            })
        ));
        let pool = MaxPool2d::new(MaxPool2dConfig::new([3, 3]))?;
        for shape in [vec![1, 1, 2, 5], vec![1, 5, 5]] {
            let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
            assert!(matches!(pool.forward(&x), Err(Error::Shape { .. })));
        }
        Ok(())
    }
}
