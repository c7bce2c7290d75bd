//! Rotary position embedding.
//!
//! ```text
//! (a, b) → (a cos θ − b sin θ, b cos θ + a sin θ)       θ = position · theta^(−2i/dim) for pair i of dim/2
//! half-split:    pair i is (x[i], x[dim/2 + i])         GPT-NeoX, Llama, ModernBERT in transformers
//! interleaved:   pair i is (x[2i], x[2i + 1])           RoFormer, GPT-J
//! ```
//!
//! Su et al. 2021, "`RoFormer`" (arXiv 2104.09864). Angles, cosines and sines are computed in double precision once, when the
//! layer is made. transformers computes angles in single precision, which differ by up to 6e-8 of the position.

use std::sync::Arc;

use candle_core::{D, Device, Tensor};
use dml_core::autograd::{self, Element, has_kernel, with_slice};
use dml_core::kernels::Real;
use dml_core::{Result, check, for_element};

use crate::kernels::rotation::Rotation;
use crate::{Graph, GraphValue, Layer, wide};

dml_core::config! {
    /// Configuration of [`RotaryEmbedding`].
    pub struct RotaryEmbeddingConfig {
        /// Number of coordinates that are rotated, the first ones of each row; even, 2 to 65,536. The others stay as they are.
        pub dim: usize;
        /// Base of the wavelengths; in `[1e-30, 1e30]`. Default 10,000.
        pub theta: f64 = 10_000.0,
        /// Whether pairs are neighbours; else they are half of `dim` apart. Default false.
        pub interleaved: bool = false,
        /// Number of positions for which there are angles, 1 to 4,294,967,295. Default 2,048.
        pub max_positions: usize = 2_048,
    }
}

/// Rotary position embedding ([formula](self)) of queries or keys: `[…, positions, head_dim]` to the same shape, with
/// `head_dim` at least `dim`. Half precision is computed in single.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, RotaryEmbedding, RotaryEmbeddingConfig};
///
/// let rotary = RotaryEmbedding::new(RotaryEmbeddingConfig::new(2))?;
/// let x = Tensor::new(&[[1f64, 0.], [1., 0.]], &Device::Cpu)?;
/// let y = rotary.forward(&x)?.to_vec2::<f64>()?;
/// assert_eq!(y[0], [1., 0.]);
/// assert!((y[1][0] - 1f64.cos()).abs() < 1e-15 && (y[1][1] - 1f64.sin()).abs() < 1e-15);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RotaryEmbedding {
    config: RotaryEmbeddingConfig,
    /// cos θ and sin θ, `[max_positions, dim / 2]`.
    angles: Arc<[Vec<f64>; 2]>,
}

impl RotaryEmbedding {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Size`](dml_core::Error::Size) for more angles than fit into memory.
    pub fn new(config: RotaryEmbeddingConfig) -> Result<Self> {
        let dim = check::count_from("dim", config.dim, 2, 1 << 16)?;
        check::parameter(dim.is_multiple_of(2), "dim", dim as f64, "an even number")?;
        check::positive("theta", config.theta)?;
        let positions = check::at_least_one("max_positions", config.max_positions)?;
        check::elements("max_positions", &[positions, dim], size_of::<f64>())?;
        let pairs = dim / 2;
        let frequencies: Vec<f64> = (0..pairs)
            .map(|i| config.theta.powf(-(2.0 * i as f64) / dim as f64))
            .collect();
        let mut angles = [(); 2].map(|()| Vec::with_capacity(positions * pairs));
        for position in 0..positions {
            for frequency in &frequencies {
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                angles[0].push(cos);
                angles[1].push(sin);
            }
        }
        Ok(Self {
            config,
            angles: Arc::new(angles),
        })
    }

    /// The rows of `input` `[…, positions, head_dim]`, the first of which is at position `first`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for rows shorter than `dim`, [`Error::Count`](dml_core::Error::Count) for
    /// more positions than there are angles for.
    pub fn forward_from(&self, input: &Tensor, first: usize) -> Result<Tensor> {
        let (positions, width) = match *input.dims() {
            [.., positions, width] => (positions, width),
            _ => (0, 0),
        };
        let expected = "[…, positions, head_dim] with head_dim at least dim";
        check::shape(width >= self.config.dim, "input", input, expected)?;
        let end = first.saturating_add(positions);
        check::count_from("positions", end, 0, self.config.max_positions)?;
        if input.elem_count() == 0 {
            return Ok(input.clone());
        }
        let x = input.to_dtype(wide(input.dtype()))?;
        let pairs = self.config.dim / 2;
        let angles = self
            .angles
            .each_ref()
            .map(|list| &list[first * pairs..end * pairs]);
        let y = if has_kernel(&x) {
            for_element!(x, "input", |T| self.fused::<T>(&x, angles))?
        } else {
            let angles = angles.map(|list| {
                let table = Tensor::from_slice(list, (positions, pairs), x.device());
                table.and_then(|table| table.to_dtype(x.dtype()))
            });
            let [cos, sin] = angles;
            self.composite(&x, &cos?, &sin?)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    /// Cosines and sines of a number of positions in a graph, `[positions, dim / 2]` each; `positions` is `[1]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't make a constant.
    pub fn export_angles(
        &self,
        graph: &mut Graph,
        positions: &GraphValue,
    ) -> Result<[GraphValue; 2]> {
        let shape = (self.config.max_positions, self.config.dim / 2);
        let zero = graph.integers(&[0])?;
        let mut angles = |name: &str, list: &[f64]| -> Result<GraphValue> {
            let table = graph.constant(name, &Tensor::from_slice(list, shape, &Device::Cpu)?);
            Ok(graph.node("Slice", &[&table, &zero, positions, &zero]))
        };
        let [cos, sin] = &*self.angles;
        Ok([angles("cos", cos)?, angles("sin", sin)?])
    }

    /// As [`Layer::export`], with the angles of [`export_angles`](Self::export_angles).
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for pairs that are interleaved.
    pub fn export_rotated(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        [cos, sin]: &[GraphValue; 2],
    ) -> Result<GraphValue> {
        check::supported(
            !self.config.interleaved,
            "RotaryEmbedding",
            "a graph can only have pairs that are half of dim apart",
        )?;
        let dim = self.config.dim as i64;
        let axis = graph.integers(&[-1])?;
        let mut part = |start: i64, end: i64| -> Result<GraphValue> {
            let (start, end) = (graph.integers(&[start])?, graph.integers(&[end])?);
            Ok(graph.node("Slice", &[x, &start, &end, &axis]))
        };
        let (a, b, rest) = (part(0, dim / 2)?, part(dim / 2, dim)?, part(dim, i64::MAX)?);
        let mut product = |x: &GraphValue, angles: &GraphValue| graph.node("Mul", &[x, angles]);
        let terms = [
            product(&a, cos),
            product(&b, sin),
            product(&b, cos),
            product(&a, sin),
        ];
        let first = graph.node("Sub", &[&terms[0], &terms[1]]);
        let second = graph.node("Add", &[&terms[2], &terms[3]]);
        let axis = [("axis", (-1i64).into())];
        Ok(graph.node_with("Concat", &[&first, &second, &rest], &axis))
    }

    fn fused<T: Element>(&self, x: &Tensor, angles: [&[f64]; 2]) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        let (pairs, interleaved) = (self.config.dim / 2, self.config.interleaved);
        let angles = angles.map(|list| list.iter().map(|x| <T as Real>::from_f64(*x)).collect());
        let rotated = move |x: &[T], backwards: bool| {
            let [cos, sin]: &[Vec<T>; 2] = &angles;
            let rotation = Rotation {
                cos,
                sin,
                pairs,
                interleaved,
                backwards,
            };
            rotation.apply(x, width)
        };
        let value = with_slice(x, |x: &[T]| rotated(x, false))?;
        autograd::unary("rotary", x, value, x.shape(), move |_, _, gradient| {
            with_slice(gradient, |g: &[T]| rotated(g, true))
        })
    }

    /// The same, composed of Candle's operations; cosines and sines are `[positions, dim / 2]`.
    fn composite(&self, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let (dim, width) = (self.config.dim, x.dim(D::Minus1)?);
        let head = x.narrow(D::Minus1, 0, dim)?;
        let [a, b] = if self.config.interleaved {
            let mut shape = x.dims().to_vec();
            shape.pop();
            shape.extend([dim / 2, 2]);
            let pairs = head.contiguous()?.reshape(shape)?;
            let part = |i| pairs.narrow(D::Minus1, i, 1)?.squeeze(D::Minus1);
            [part(0)?, part(1)?]
        } else {
            let part = |i| head.narrow(D::Minus1, i, dim / 2);
            [part(0)?, part(dim / 2)?]
        };
        let first = (a.broadcast_mul(cos)? - b.broadcast_mul(sin)?)?;
        let second = (b.broadcast_mul(cos)? + a.broadcast_mul(sin)?)?;
        let rotated = if self.config.interleaved {
            Tensor::stack(&[&first, &second], D::Minus1)?.reshape(head.shape())?
        } else {
            Tensor::cat(&[&first, &second], D::Minus1)?
        };
        if width == dim {
            return Ok(rotated);
        }
        let rest = x.narrow(D::Minus1, dim, width - dim)?;
        Ok(Tensor::cat(&[&rotated, &rest], D::Minus1)?)
    }
}

impl Layer for RotaryEmbedding {
    /// The rows of the input, the first of which is at position 0.
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        self.forward_from(input, 0)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let last = [("start", (-2i64).into()), ("end", (-1i64).into())];
        let positions = graph.node_with("Shape", &[input], &last);
        let angles = self.export_angles(graph, &positions)?;
        self.export_rotated(graph, input, &angles)
    }
}

#[cfg(test)]
mod tests;
