//! A linear map of the last dimension.
//!
//! ```text
//! y = x Wᵀ + b,   W of shape [out_features, in_features]
//! ```

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{Element, has_kernel, host_node, if_tracked, sum, with_slices};
use dml_core::kernels::SimdReal;
use dml_core::{Result, check, for_element, in_graph};
use rand::RngCore;

use crate::kernels::linear as kernel;
use crate::lora::AdapterSlot;
use crate::{Graph, GraphValue, Layer, Parameters, init};

dml_core::config! {
    /// Configuration of [`Linear`].
    #[derive(Eq)]
    pub struct LinearConfig {
        /// Size of the last dimension of the input, 1 to 4,294,967,295.
        pub in_features: usize,
        /// Size of the last dimension of the output, 1 to 4,294,967,295.
        pub out_features: usize;
        /// Whether a bias is added. Default true.
        pub bias: bool = true,
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
    adapter: AdapterSlot,
}

impl Linear {
    /// A layer with PyTorch's initialisation ([`init`]).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold the parameters.
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
    /// [`Error::Shape`](dml_core::Error::Shape) unless the weight is `[out_features, in_features]` and the bias
    /// `[out_features]`.
    pub fn from_parameters(weight: Var, bias: Option<Var>) -> Result<Self> {
        let fits = weight.rank() == 2;
        check::shape(fits, "weight", &weight, "[out_features, in_features]")?;
        let (outputs, inputs) = weight.dims2()?;
        check::at_least_one("in_features", inputs)?;
        check::at_least_one("out_features", outputs)?;
        crate::check_bias(bias.as_ref(), outputs)?;
        Ok(Self {
            weight,
            bias,
            adapter: AdapterSlot::default(),
        })
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

impl Linear {
    /// As [`Layer::export`], with constants whose names begin with `prefix`. The weight is stored as a matrix
    /// `[in_features, out_features]`, which `MatMul` takes for inputs of any rank.
    pub(crate) fn export_named(
        &self,
        prefix: &str,
        graph: &mut Graph,
        input: &GraphValue,
    ) -> Result<GraphValue> {
        let reason = "an adapter changes the output; merge it into the weight before the export";
        check::supported(!self.is_adapted(), "Linear", reason)?;
        let weight = self.weight.as_detached_tensor().t()?;
        let weight = graph.constant(&format!("{prefix}weight"), &weight);
        let product = graph.node("MatMul", &[input, &weight]);
        let Some(bias) = &self.bias else {
            return Ok(product);
        };
        let bias = graph.constant(&format!("{prefix}bias"), bias);
        Ok(graph.node("Add", &[&product, &bias]))
    }
}

impl Layer for Linear {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        self.check_input(input)?;
        let Some(adapter) = self.adapter.active() else {
            let bias = self.bias.as_deref().map(in_graph);
            return affine(input, &in_graph(&self.weight), bias.as_ref());
        };
        let weight = self.weight.as_detached_tensor();
        let bias = self.bias.as_ref().map(Var::as_detached_tensor);
        let base = affine(input, &weight, bias.as_ref())?;
        sum(&base, &adapter.forward(input, train)?)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        self.export_named("", graph, input)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push_weight("weight", self.weight.clone(), &self.adapter);
        if let Some(bias) = &self.bias {
            parameters.push("bias", bias.clone());
        }
        parameters
    }
}

impl Linear {
    fn check_input(&self, input: &Tensor) -> Result<()> {
        let fits = input.dims().last() == Some(&self.weight.dims()[1]);
        check::shape(fits, "input", input, "[…, in_features]")
    }

    /// The outputs `start` to `start + count` alone.
    pub(crate) fn outputs(
        &self,
        input: &Tensor,
        train: bool,
        start: usize,
        count: usize,
    ) -> Result<Tensor> {
        if self.is_adapted() {
            let last = input.rank().saturating_sub(1);
            return Ok(self.forward_t(input, train)?.narrow(last, start, count)?);
        }
        self.check_input(input)?;
        let part = |all: &Var| in_graph(all).narrow(0, start, count);
        let bias = self.bias.as_ref().map(part).transpose()?;
        composite(input, &part(&self.weight)?, bias.as_ref())
    }

    /// Whether an adapter changes the output.
    pub(crate) fn is_adapted(&self) -> bool {
        self.adapter.active().is_some()
    }
}

/// `x Wᵀ + b`, with the kernel where it pays.
fn affine(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (_, inputs) = weight.dims2()?;
    let rows = input.elem_count() / inputs;
    let is_fused = has_kernel(input) && input.dtype() == weight.dtype();
    if is_fused && rows >= kernel::FEW_ROWS {
        return for_element!(input, "input", |T| fused::<T>(input, weight, bias));
    }
    composite(input, weight, bias)
}

fn composite(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let rows = input.reshape(((), inputs))?;
    let product =
        crate::in_single_precision(&rows, weight, |x, weight| Ok(x.matmul(&weight.t()?)?))?;
    let result = match bias {
        None => product,
        Some(bias) => product.broadcast_add(bias)?,
    };
    Ok(result.reshape(with_last(input, outputs))?)
}

/// A node on the input as it is: a reshape would cost passes over its gradient.
fn fused<T: Element + SimdReal>(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let none = Tensor::zeros(0, input.dtype(), input.device())?;
    let nodes = [input, weight, bias.unwrap_or(&none)];
    let value = with_slices(nodes, |[x, weight, bias]: [&[T]; 3]| {
        kernel::forward(x, inputs, weight, bias)
    })?;
    let shape = with_last(input, outputs);
    host_node("linear", nodes, value, shape, move |nodes, _, g| {
        let [input, weight, bias] = nodes;
        with_slices([g, input, weight], |[g, x, w]: [&[T]; 3]| {
            let of_input = if_tracked(input, || kernel::input_gradient(g, w, inputs));
            let (of_weight, of_bias) = match weight.track_op() || bias.track_op() {
                true => kernel::weight_gradient(g, outputs, x, inputs),
                false => Default::default(),
            };
            [of_input, of_weight, of_bias]
        })
    })
}

/// The shape of `input` with another last dimension.
fn with_last(input: &Tensor, last: usize) -> Vec<usize> {
    let mut shape = input.dims().to_vec();
    if let Some(place) = shape.last_mut() {
        *place = last;
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
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
        // 440 rows are two chunks of the weight's gradient, 6 rows take the composite form.
        for (bias, batch) in [(false, 2), (true, 2), (false, 44), (true, 44)] {
            let linear = layer(bias, DType::F64);
            let x: Vec<f64> = (0..batch * 50).map(|i| (i * 7 % 11) as f64 - 5.0).collect();
            let x = Var::from_vec(x, (10, batch, 5), &Device::Cpu)?;
            let across = x.as_tensor().transpose(0, 1)?;
            let fused = linear.forward(&across)?;
            assert_eq!(fused.dims(), [batch, 10, 3]);
            let composite = composite(&across, linear.weight(), linear.bias.as_deref())?;
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
                assert!(difference.abs()?.max_all()?.to_scalar::<f64>()? < 1e-10);
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
