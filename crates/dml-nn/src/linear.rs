//! A linear map of the last dimension.
//!
//! ```text
//! y = x Wᵀ + b,   W of shape [out_features, in_features]
//! ```

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{self, Element, has_kernel, with_slice};
use dml_core::{Error, Result, check, for_element};
use rand::RngCore;
use rayon::prelude::*;

use crate::{Layer, Parameters, init};

/// Configuration of [`Linear`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct LinearConfig {
    /// Size of the last dimension of the input, 1 to 4,294,967,295.
    pub in_features: usize,
    /// Size of the last dimension of the output, 1 to 4,294,967,295.
    pub out_features: usize,
    /// Whether a bias is added. Default true.
    #[cfg_attr(feature = "serde", serde(default = "crate::defaults::yes"))]
    pub bias: bool,
}

impl LinearConfig {
    /// A layer with a bias.
    #[must_use]
    pub fn new(in_features: usize, out_features: usize) -> Self {
        Self {
            in_features,
            out_features,
            bias: true,
        }
    }
}

/// A linear map ([formula](self)): `[…, in_features]` → `[…, out_features]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor, Var};
/// use dml_nn::{Layer, Linear};
///
/// let weight = Var::new(&[[1f32, 2.], [0., 1.], [3., 0.]], &Device::Cpu)?;
/// let linear = Linear::from_parameters(weight, None)?;
/// let x = Tensor::new(&[[1f32, 10.]], &Device::Cpu)?;
/// assert_eq!(linear.forward(&x)?.to_vec2::<f32>()?, [[21., 10., 3.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Var,
    bias: Option<Var>,
}

impl Linear {
    /// A layer with PyTorch's initialisation ([`init`]).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a size of 0, [`Error::Tensor`] if the device can't hold the parameters.
    pub fn new(
        config: LinearConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let inputs = check::at_least_one("in_features", config.in_features)?;
        let outputs = check::at_least_one("out_features", config.out_features)?;
        let weight = init::fan_in_uniform((outputs, inputs), inputs, rng, dtype, device)?;
        let bias = config
            .bias
            .then(|| init::fan_in_uniform(outputs, inputs, rng, dtype, device))
            .transpose()?;
        Self::from_parameters(weight, bias)
    }

    /// A layer with given parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the weight is `[out_features, in_features]` and the bias `[out_features]`.
    pub fn from_parameters(weight: Var, bias: Option<Var>) -> Result<Self> {
        let [outputs, inputs] = *weight.dims() else {
            return Err(Error::Shape {
                arg: "weight",
                expected: "[out_features, in_features]",
                got: weight.dims().to_vec(),
            });
        };
        check::at_least_one("in_features", inputs)?;
        check::at_least_one("out_features", outputs)?;
        crate::check_bias(bias.as_ref(), outputs)?;
        Ok(Self { weight, bias })
    }

    /// `[out_features, in_features]`.
    #[must_use]
    pub fn weight(&self) -> &Var {
        &self.weight
    }

    /// `[out_features]`.
    #[must_use]
    pub fn bias(&self) -> Option<&Var> {
        self.bias.as_ref()
    }
}

impl Layer for Linear {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims2()?;
        if input.rank() == 0 || input.dims().last() != Some(&inputs) {
            return Err(Error::Shape {
                arg: "input",
                expected: "[…, in_features]",
                got: input.dims().to_vec(),
            });
        }
        let mut shape = input.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let rows = input.reshape(((), inputs))?;
        let result = if has_kernel(&rows) && rows.dtype() == self.weight.dtype() {
            for_element!(rows, "input", |T| self.fused::<T>(&rows))?
        } else {
            self.composite(&rows)?
        };
        Ok(result.reshape(shape)?)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("weight", self.weight.clone());
        if let Some(bias) = &self.bias {
            parameters.push("bias", bias.clone());
        }
        parameters
    }
}

impl Linear {
    fn composite(&self, rows: &Tensor) -> Result<Tensor> {
        let product =
            crate::in_single_precision(
                rows,
                &self.weight,
                |x, weight| Ok(x.matmul(&weight.t()?)?),
            )?;
        match &self.bias {
            None => Ok(product),
            Some(bias) => Ok(product.broadcast_add(bias)?),
        }
    }

    fn fused<T: Element>(&self, rows: &Tensor) -> Result<Tensor> {
        let outputs = self.weight.dims()[0];
        let product = rows.detach().matmul(&self.weight.detach().t()?)?;
        let zeros;
        let bias = match &self.bias {
            Some(bias) => bias.as_tensor(),
            None => {
                zeros = Tensor::zeros(outputs, rows.dtype(), rows.device())?;
                &zeros
            }
        };
        let value = with_slice(&product, |product: &[T]| {
            with_slice(bias, |bias: &[T]| {
                let mut value = product.to_vec();
                value.par_chunks_mut(outputs).for_each(|row| {
                    for (value, bias) in row.iter_mut().zip(bias) {
                        *value += *bias;
                    }
                });
                value
            })
        })??;
        let inputs = [rows, self.weight.as_tensor(), bias];
        autograd::ternary(
            "linear",
            inputs,
            value,
            product.shape(),
            move |inputs, _, gradient| {
                let [rows, weight, bias] = inputs;
                let gradient = gradient.contiguous()?;
                // All three read their operands in place, whichever way these lie.
                let input = rows
                    .track_op()
                    .then(|| gradient.matmul(&weight.detach()))
                    .transpose()?;
                let weight = gradient.t()?.matmul(&rows.detach())?;
                let bias = bias
                    .track_op()
                    .then(|| with_slice(&gradient, |g: &[T]| column_sums(g, outputs)))
                    .transpose()?
                    .map(|sums| Tensor::from_vec(sums, outputs, gradient.device()))
                    .transpose()?;
                Ok([input, Some(weight), bias])
            },
        )
    }
}

/// The sum of each column of a matrix with `columns` columns.
fn column_sums<T: Element>(matrix: &[T], columns: usize) -> Vec<T> {
    let mut sums = vec![0f64; columns];
    for row in matrix.chunks_exact(columns) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += dml_core::kernels::Real::to_f64(*x);
        }
    }
    sums.into_iter()
        .map(dml_core::kernels::Real::from_f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn layer(bias: bool, dtype: DType) -> Linear {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let config = LinearConfig {
            bias,
            ..LinearConfig::new(5, 3)
        };
        Linear::new(config, &mut rng, dtype, &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_by_hand() -> Result<()> {
        let weight = Var::new(&[[1f64, 2.]], &Device::Cpu)?;
        let bias = Var::new(&[10f64], &Device::Cpu)?;
        let x = Var::new(&[[3f64, 4.], [5., 6.]], &Device::Cpu)?;
        let linear = Linear::from_parameters(weight.clone(), Some(bias.clone()))?;
        let y = linear.forward(&x)?;
        assert_eq!(y.to_vec2::<f64>()?, [[21.], [27.]]);
        let store = (y * Tensor::new(&[[1f64], [10.]], &Device::Cpu)?)?
            .sum_all()?
            .backward()?;
        assert_eq!(store.get(&weight).unwrap().to_vec2::<f64>()?, [[53., 64.]]);
        assert_eq!(store.get(&bias).unwrap().to_vec1::<f64>()?, [11.]);
        assert_eq!(
            store.get(&x).unwrap().to_vec2::<f64>()?,
            [[1., 2.], [10., 20.]]
        );
        assert!(store.get(&weight).unwrap().is_contiguous());
        Ok(())
    }

    #[test]
    fn both_forms_agree_for_any_number_of_leading_dimensions() -> Result<()> {
        for bias in [false, true] {
            let linear = layer(bias, DType::F64);
            let x: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 11) - 5.0).collect();
            let x = Var::from_vec(x, (2, 3, 5), &Device::Cpu)?;
            let fused = linear.forward(&x)?;
            assert_eq!(fused.dims(), [2, 3, 3]);
            let composite = linear.composite(&x.reshape((6, 5))?)?.reshape((2, 3, 3))?;
            let (a, b) = (fused.sqr()?.sum_all()?, composite.sqr()?.sum_all()?);
            let (first, second) = (a.backward()?, b.backward()?);
            let mut leaves: Vec<Tensor> = linear
                .parameters()
                .iter()
                .map(|(_, v)| v.as_tensor().clone())
                .collect();
            leaves.push(x.as_tensor().clone());
            for leaf in leaves {
                let difference = (first.get(&leaf).unwrap() - second.get(&leaf).unwrap())?;
                assert!(difference.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
            }
        }
        Ok(())
    }

    #[test]
    fn half_precision_is_computed_in_single() -> Result<()> {
        let linear = layer(true, DType::F16);
        let x = Var::ones((2, 5), DType::F16, &Device::Cpu)?;
        let y = linear.forward(&x)?;
        assert_eq!(y.dtype(), DType::F16);
        assert!(y.sum_all()?.backward()?.get(linear.weight()).is_some());
        Ok(())
    }

    #[test]
    fn other_shapes_are_refused() {
        let linear = layer(true, DType::F32);
        let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(
            linear.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let empty = Linear::new(LinearConfig::new(0, 3), &mut rng, DType::F32, &Device::Cpu);
        assert!(matches!(
            empty,
            Err(Error::InvalidParameter {
                name: "in_features",
                ..
            })
        ));
        let weight = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let bias = Var::zeros(3, DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(
            Linear::from_parameters(weight, Some(bias)),
            Err(Error::Shape { arg: "bias", .. })
        ));
    }
}
