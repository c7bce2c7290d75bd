//! Activation functions, composed of Candle's operations, with PyTorch's gradients at the kinks.
//!
//! ```text
//! ReLU        max(0, x)
//! ReLU6       min(max(0, x), 6)
//! SiLU        x / (1 + exp(−x))
//! Hardsigmoid ReLU6(x + 3) / 6
//! Hardswish   x · ReLU6(x + 3) / 6
//! GELU        x · Φ(x)
//! ```

use candle_core::Tensor;
use dml_core::Result;
use dml_nn::{Layer, Relu};

/// An activation function. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Relu,
    Relu6,
    Silu,
    Sigmoid,
    Hardsigmoid,
    Hardswish,
    Gelu,
}

impl Layer for Activation {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::Relu => Relu.forward_t(input, train),
            Self::Relu6 => clipped(input),
            Self::Silu => Ok((input * sigmoid(input)?)?),
            Self::Sigmoid => sigmoid(input),
            Self::Hardsigmoid => Ok((clipped(&(input + 3.0)?)? / 6.0)?),
            Self::Hardswish => Ok(((input * clipped(&(input + 3.0)?)?)? / 6.0)?),
            Self::Gelu => Ok(input.gelu_erf()?),
        }
    }
}

/// `min(max(0, x), 6)` with gradient 0 at both kinks, which Candle's `clamp` has not.
fn clipped(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    let sixes = (&zeros + 6.0)?;
    let below = x.le(&zeros)?.where_cond(&zeros, x)?;
    Ok(x.ge(&sixes)?.where_cond(&sixes, &below)?)
}

/// 1 / (1 + exp(−x)) as (1 + tanh(x / 2)) / 2, which overflows nowhere and has a gradient in Candle.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x * 0.5)?.tanh()? + 1.0)? * 0.5)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

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
        use Activation::*;
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
            Gelu,
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
