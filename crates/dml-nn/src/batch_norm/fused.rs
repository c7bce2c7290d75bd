//! The fused form of batch normalisation on the CPU, with what stands behind it: a residual and an activation.

use candle_core::{DType, Tensor, Var};
use dml_core::autograd::{Element, host_node, if_tracked, with_slice, with_slices};
use dml_core::kernels::{Real, SimdReal};
use dml_core::{Result, in_graph};

use super::BatchNorm;
use crate::activation::{Formula, Identity};
use crate::kernels::batch_norm::{self as kernel, Channel, Planes, Taken};
use crate::{Conv2d, plane_convolution};

impl BatchNorm {
    /// `formula` of the normalised input plus the residual, as one node of the graph.
    pub(super) fn fused<T: Element>(
        &self,
        formula: impl Formula,
        x: &Tensor,
        residual: Option<&Tensor>,
        train: bool,
    ) -> Result<Tensor> {
        let planes = Planes {
            batch: x.dims()[0],
            channels: self.config.channels,
            area: x.dims()[2..].iter().product(),
        };
        let [mean, variance] = if train {
            let count = self.count(x)?;
            let statistics = with_slice(x, |x: &[T]| kernel::statistics(x, &planes))?;
            let [mean, variance] = statistics.each_ref().map(|row| {
                let row = Tensor::from_slice(row, row.len(), x.device());
                row.and_then(|row| row.to_dtype(x.dtype()))
            });
            self.update(&mean?, &variance?, count)?;
            statistics
        } else {
            [host(&self.running_mean)?, host(&self.running_var)?]
        };
        let scale = self.scale(&variance);
        let memory = Memory {
            formula,
            planes,
            channels: self.channels::<T>(&mean, &scale)?,
            mean,
            scale,
            train,
        };
        let [weight, bias] =
            [&self.weight, &self.bias].map(|var| in_graph(var).to_dtype(x.dtype()));
        let (weight, bias) = (weight?, bias?);
        let Some(residual) = residual else {
            let value = with_slice(x, |x: &[T]| memory.forward(x, None))?;
            let backward = move |inputs: [&Tensor; 3], _: &Tensor, gradient: &Tensor| {
                memory.backward(inputs, gradient)
            };
            let inputs = [x, &weight, &bias];
            return host_node("batch_norm", inputs, value, x.shape(), backward);
        };
        let value = with_slices([x, residual], |[x, residual]| {
            memory.forward(x, Some(residual))
        })?;
        // Nodes of Candle have three inputs at most: γ and β come as one list.
        let both = Tensor::cat(&[&weight, &bias], 0)?;
        let backward = move |inputs: [&Tensor; 3], _: &Tensor, gradient: &Tensor| {
            memory.backward_with_residual(inputs, gradient)
        };
        let inputs = [x, &both, residual];
        host_node("batch_norm_add", inputs, value, x.shape(), backward)
    }

    /// `formula` of the normalised output of a convolution plus the residual, with fixed statistics and outside of the graph:
    /// each plane of the output is normalised while it is in the cache.
    pub(super) fn convolved<T: Element + SimdReal>(
        &self,
        formula: impl Formula,
        convolution: &Conv2d,
        input: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let [mean, variance] = [host(&self.running_mean)?, host(&self.running_var)?];
        let channels = self.channels::<T>(&mean, &self.scale(&variance))?;
        let Some(residual) = residual else {
            let finish = |_: usize, channel: usize, plane: &mut [T]| {
                kernel::forward_plane(formula, channels[channel], None, plane);
            };
            return plane_convolution::finished(convolution, input, &finish);
        };
        with_slice(residual, |residual: &[T]| {
            let finish = |at: usize, channel: usize, plane: &mut [T]| {
                kernel::forward_plane(formula, channels[channel], Some(&residual[at..]), plane);
            };
            plane_convolution::finished(convolution, input, &finish)
        })?
    }

    /// 1 / √(σ² + ε).
    fn scale(&self, variance: &[f64]) -> Vec<f64> {
        let eps = self.config.eps;
        variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect()
    }

    fn channels<T: Real>(&self, mean: &[f64], scale: &[f64]) -> Result<Vec<Channel<T>>> {
        let (weight, bias) = (host(&self.weight)?, host(&self.bias)?);
        let parameters = weight.iter().zip(&bias);
        let all = parameters.zip(mean.iter().zip(scale));
        let channel = |((weight, bias), (mean, scale)): ((&f64, &f64), (&f64, &f64))| Channel {
            mean: T::from_f64(*mean),
            factor: T::from_f64(weight * scale),
            shift: T::from_f64(*bias),
        };
        Ok(all.map(channel).collect())
    }
}

/// Numbers of a variable on the CPU in double precision.
fn host(var: &Var) -> Result<Vec<f64>> {
    Ok(var.as_detached_tensor().to_dtype(DType::F64)?.to_vec1()?)
}

/// State that the backward pass reads.
struct Memory<T, F> {
    formula: F,
    planes: Planes,
    channels: Vec<Channel<T>>,
    mean: Vec<f64>,
    /// 1 / √(σ² + ε).
    scale: Vec<f64>,
    train: bool,
}

impl<T: Element, F: Formula> Memory<T, F> {
    fn forward(&self, x: &[T], residual: Option<&[T]>) -> Vec<T> {
        kernel::forward(self.formula, x, residual, &self.planes, &self.channels)
    }

    fn backward(&self, [x, weight, bias]: [&Tensor; 3], gradient: &Tensor) -> Result<[Vec<T>; 3]> {
        let learns = weight.track_op() || bias.track_op();
        with_slices([x, gradient], |[xs, g]: [&[T]; 2]| {
            let sums = if learns || self.train {
                let (planes, channels) = (&self.planes, &self.channels);
                kernel::gradient_sums(self.formula, xs, g, planes, channels, &self.mean)
            } else {
                Vec::new()
            };
            let input = if_tracked(x, || self.input_gradient(self.formula, xs, g, &sums));
            let [weight, bias] = self.parameter_gradients(&sums);
            [input, weight, bias]
        })
    }

    fn backward_with_residual(
        &self,
        [x, _, residual]: [&Tensor; 3],
        gradient: &Tensor,
    ) -> Result<[Vec<T>; 3]> {
        with_slices([x, residual, gradient], |slices: [&[T]; 3]| {
            let (planes, channels) = (&self.planes, &self.channels);
            let (values, sums) =
                kernel::residual_gradient(self.formula, slices, planes, channels, &self.mean);
            let input = if_tracked(x, || {
                self.input_gradient(Identity, slices[0], &values, &sums)
            });
            [input, self.parameter_gradients(&sums).concat(), values]
        })
    }

    /// The gradients of γ and β.
    fn parameter_gradients(&self, sums: &[[f64; 2]]) -> [Vec<T>; 2] {
        let scaled = sums.iter().zip(&self.scale);
        let number = |[bias, weight]: [f64; 2]| [weight, bias].map(<T as Real>::from_f64);
        let numbers = scaled.map(|(sums, scale)| number([sums[0], sums[1] * scale]).into());
        numbers.unzip::<T, T, Vec<T>, Vec<T>>().into()
    }

    fn input_gradient(
        &self,
        f: impl Formula,
        x: &[T],
        gradient: &[T],
        sums: &[[f64; 2]],
    ) -> Vec<T> {
        let (planes, channels) = (&self.planes, &self.channels);
        if !self.train {
            return kernel::input_gradient(f, x, gradient, planes, channels, None);
        }
        let count = planes.count() as f64;
        let taken: Vec<Taken<T>> = sums
            .iter()
            .zip(&self.scale)
            .map(|(sums, scale)| Taken {
                constant: <T as Real>::from_f64(sums[0] / count),
                linear: <T as Real>::from_f64(sums[1] * scale * scale / count),
            })
            .collect();
        kernel::input_gradient(f, x, gradient, planes, channels, Some(&taken))
    }
}
