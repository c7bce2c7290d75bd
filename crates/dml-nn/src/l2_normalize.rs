//! Rows divided by their Euclidean length.
//!
//! ```text
//! y = x / ‖x‖₂       0 where x = 0
//! ```
//!
//! The last layer of a network whose embeddings are compared by their cosine.

use candle_core::Tensor;
use dml_core::{Result, TensorExt};

use crate::{Graph, GraphValue, Layer};

/// Embeddings of Euclidean length 1 ([formula](self)): `[rows, dim]` to the same shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{L2Normalize, Layer};
///
/// let x = Tensor::new(&[[3f32, 4.], [0., 0.]], &Device::Cpu)?;
/// assert_eq!(L2Normalize.forward(&x)?.to_vec2::<f32>()?, [[0.6, 0.8], [0., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2Normalize;

impl Layer for L2Normalize {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        input.normalize_rows(2.0)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let attributes = [("axes", [-1i64].into()), ("keepdims", 1i64.into())];
        let length = graph.node_with("ReduceL2", &[input], &attributes);
        // 0 divided by it stays 0.
        let least = graph.number(f64::from(f32::MIN_POSITIVE))?;
        let length = graph.node("Max", &[&length, &least]);
        Ok(graph.node("Div", &[input, &length]))
    }
}
