//! Flattening of all dimensions after the first.

use candle_core::Tensor;
use dml_core::{Result, check};

use crate::{Graph, GraphValue, Layer};

/// `[batch, …]` → `[batch, rest]`, in row-major order.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Flatten, Layer};
///
/// let x = Tensor::zeros((2, 3, 4, 5), DType::F32, &Device::Cpu)?;
/// assert_eq!(Flatten.forward(&x)?.dims(), [2, 60]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let expected = "[batch, …] with at least two dimensions";
        check::shape(input.rank() > 1, "input", input, expected)?;
        Ok(input.flatten_from(1)?)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        Ok(graph.node_with("Flatten", &[input], &[("axis", 1i64.into())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use dml_core::Error;

    #[test]
    fn a_vector_is_refused() {
        let x = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(Flatten.forward(&x), Err(Error::Shape { .. })));
    }
}
