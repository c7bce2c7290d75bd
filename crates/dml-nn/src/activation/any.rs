//! An activation that is chosen at run time.

use candle_core::Tensor;
use dml_core::Result;

use super::{Formula, GeluForm, apply};
use crate::{Graph, GraphValue, Layer, Relu, Role};

/// One of the activations, as a configuration of a network names it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Activation, GeluForm, Layer};
///
/// let x = Tensor::new(&[-1f32, 7.], &Device::Cpu)?;
/// assert_eq!(Activation::Relu6.forward(&x)?.to_vec1::<f32>()?, [0., 6.]);
/// assert_eq!(Activation::Gelu(GeluForm::Erf).forward(&x)?.to_vec1::<f32>()?[1], 7.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Activation {
    /// [`Relu`].
    Relu,
    /// [`Relu6`](crate::Relu6).
    Relu6,
    /// [`Silu`](crate::Silu).
    Silu,
    /// [`Hardswish`](crate::Hardswish).
    Hardswish,
    /// [`Hardsigmoid`](crate::Hardsigmoid).
    Hardsigmoid,
    /// [`Sigmoid`](crate::Sigmoid).
    Sigmoid,
    /// [`Tanh`](crate::Tanh).
    Tanh,
    /// [`Gelu`](crate::Gelu) of that form.
    Gelu(GeluForm),
}

/// An expression with the formula of an activation, which has a type of its own.
macro_rules! with_formula {
    ($activation:expr, |$formula:ident| $body:expr) => {
        $crate::activation::with_formula!(@ $activation, $formula, $body,
            Relu => Relu, Relu6 => Relu6, Silu => Silu, Hardswish => Hardswish, Hardsigmoid => Hardsigmoid,
            Sigmoid => Sigmoid, Tanh => Tanh, Gelu($crate::GeluForm::Erf) => Erf,
            Gelu($crate::GeluForm::Tanh) => ByTangent, Gelu($crate::GeluForm::Quick) => Quick)
    };
    (@ $activation:expr, $formula:ident, $body:expr, $($name:ident $(($form:path))? => $Formula:ident),+) => {
        match $activation {
            $($crate::Activation::$name $(($form))? => {
                let $formula = $crate::activation::$Formula;
                $body
            })+
        }
    };
}
pub(crate) use with_formula;

impl Layer for Activation {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::Relu => Relu.forward_t(input, train),
            other => with_formula!(other, |formula| apply(formula, input)),
        }
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        with_formula!(self, |formula| formula.operators(graph, input))
    }

    fn role(&self) -> Role<'_> {
        match self {
            Self::Relu => Role::Relu,
            other => Role::Activation(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation;
    use crate::{GeluForm, Layer};
    use candle_core::{Device, Tensor, Var};
    use dml_core::Result;

    /// Values and gradients at −4, −3, −1, 0, 0.5, 3, 6 and 7:
    ///
    /// ```python
    /// x = torch.tensor([-4., -3, -1, 0, .5, 3, 6, 7], dtype=torch.float64, requires_grad=True)
    /// y = f(x); y.sum().backward(); print(y, x.grad)
    /// ```
    const X: [f64; 8] = [-4.0, -3.0, -1.0, 0.0, 0.5, 3.0, 6.0, 7.0];

    fn check(f: Activation, values: [f64; 8], gradients: [f64; 8]) -> Result<()> {
        let x = Var::new(&X, &Device::Cpu)?;
        let y = f.forward(&x)?;
        let store = y.sum_all()?.backward()?;
        let gradient = store.get(&x).unwrap().to_vec1::<f64>()?;
        for (got, expected) in [(y.to_vec1::<f64>()?, values), (gradient, gradients)] {
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-6, "{f:?}: {got} {expected}");
            }
        }
        let nan = Tensor::new(&[f32::NAN], &Device::Cpu)?;
        assert!(f.forward(&nan)?.to_vec1::<f32>()?[0].is_nan(), "{f:?}");
        Ok(())
    }

    #[test]
    fn values_and_gradients_are_those_of_pytorch() -> Result<()> {
        use Activation::{Gelu, Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu};
        check(
            Relu6,
            [0.0, 0.0, 0.0, 0.0, 0.5, 3.0, 6.0, 6.0],
            [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
        )?;
        check(
            Silu,
            [
                -0.07194484,
                -0.14227762,
                -0.26894142,
                0.0,
                0.31122967,
                2.85772238,
                5.98516426,
                6.99362264,
            ],
            [
                -0.05266461,
                -0.08810411,
                0.07232949,
                0.5,
                0.73996119,
                1.08810411,
                1.01232643,
                1.0054605,
            ],
        )?;
        check(
            Sigmoid,
            [
                0.01798621, 0.04742587, 0.26894142, 0.5, 0.62245933, 0.95257413, 0.99752738,
                0.99908895,
            ],
            [
                0.01766271, 0.04517666, 0.19661193, 0.25, 0.23500371, 0.04517666, 0.00246651,
                0.00091022,
            ],
        )?;
        check(
            Hardsigmoid,
            [0.0, 0.0, 0.33333333, 0.5, 0.58333333, 1.0, 1.0, 1.0],
            [0.0, 0.0, 0.16666667, 0.16666667, 0.16666667, 0.0, 0.0, 0.0],
        )?;
        check(
            Hardswish,
            [0.0, 0.0, -0.33333333, 0.0, 0.29166667, 3.0, 6.0, 7.0],
            [0.0, 0.0, 0.16666667, 0.5, 0.66666667, 1.0, 1.0, 1.0],
        )?;
        check(
            Gelu(GeluForm::Erf),
            [
                -0.00012668,
                -0.00404969,
                -0.15865525,
                0.0,
                0.34573123,
                2.99595031,
                5.99999999,
                7.0,
            ],
            [
                -0.00050365,
                -0.01194565,
                -0.08331547,
                0.5,
                0.86749512,
                1.01194565,
                1.00000004,
                1.0,
            ],
        )?;
        Ok(())
    }
}
