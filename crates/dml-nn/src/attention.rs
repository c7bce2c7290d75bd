//! Scaled dot-product attention.
//!
//! ```text
//! S = scale · Q Kᵀ + mask        P = softmax of the rows of S        O = (M ∘ P) V
//! ```
//!
//! Vaswani et al. 2017 (arXiv 1706.03762); M are the factors of [dropout](crate::dropout), or 1. On the CPU, f32 and f64
//! are computed blockwise (Dao et al. 2022, arXiv 2205.14135): P is never stored, in the backward pass neither. Memory
//! beyond the result is two numbers per query and head. Half precision, other devices, and masks that are learnt are
//! composed of Candle's operations, with `queries × keys` numbers per head.
//!
//! A query that sees no key has value 0 and passes no gradient. (PyTorch gives NaN.)
//!
//! | function | inputs | result |
//! |---|---|---|
//! | [`scaled_dot_product_attention`] | `[batch, heads, length, width]` | `[batch, heads, queries, value_width]` |
//! | [`multi_head_attention`] | `[batch, length, heads · width]` | `[batch, queries, heads · value_width]` |
//! | [`multi_head_attention_packed`] | `[batch, length, 3 · heads · width]` | `[batch, length, heads · width]` |
//!
//! The last two read the heads where linear layers leave them, so no head is copied, forward or backward.

use candle_core::Tensor;
use dml_core::autograd::{Element, has_kernel, host_node, is_tracked, with_slices, with_strides};
use dml_core::kernels::{Real, SimdReal, zeros};
use dml_core::{Result, check, for_element};

use crate::kernels::attention::{self as kernel, HeadGradients, Mask, Operands};
use crate::kernels::dropout::Factors;
use crate::{Dropout, Graph, GraphValue};

mod composite;
mod layout;
mod masks;

use layout::{Layout, Samples};
use masks::Masks;

/// Options of an attention, with PyTorch's names. Masks can be combined.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionOptions<'a> {
    /// Factor of the products of queries and keys, of magnitude at most 1e30. Default `1 / √width`.
    pub scale: Option<f64>,
    /// Whether query i sees only the keys 0 to i. Default false.
    pub is_causal: bool,
    /// `[batch, keys]` of `u8`; a key whose number is not 0 is ignored by all queries. Default none.
    pub key_padding_mask: Option<&'a Tensor>,
    /// Numbers that are added to the scores: a shape that broadcasts to `[batch, heads, queries, keys]`, in the element type
    /// of the queries. Default none.
    pub attn_mask: Option<&'a Tensor>,
    /// Dropout of the probabilities P. Default none.
    pub dropout: Option<&'a Dropout>,
}

/// Attention of separate heads ([formula](self)): queries `[batch, heads, queries, width]`, keys
/// `[batch, heads, keys, width]`, values `[batch, heads, keys, value_width]` → `[batch, heads, queries, value_width]`.
///
/// Views whose last dimension lies in one piece, such as a transposed `[batch, length, heads, width]`, are read where they
/// are. The result is such a view, so that `transpose(1, 2)` of it is contiguous.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::attention::{AttentionOptions, scaled_dot_product_attention};
///
/// let query = Tensor::new(&[[[[0f32], [0.]]]], &Device::Cpu)?;
/// let value = Tensor::new(&[[[[1f32], [3.]]]], &Device::Cpu)?;
/// let causal = AttentionOptions { is_causal: true, ..Default::default() };
/// let output = scaled_dot_product_attention(&query, &query, &value, &causal)?;
/// assert_eq!(output.flatten_all()?.to_vec1::<f32>()?, [1., 2.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) for shapes that do not fit each other, [`Error::DType`](dml_core::Error::DType)
/// for element types that differ or are not floating-point, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter)
/// for a scale that is not finite.
pub fn scaled_dot_product_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let layout = Layout::heads(query, key, value)?;
    let output = attend(&layout, [query, key, value], options)?;
    Ok(output.transpose(1, 2)?)
}

/// Attention of heads side by side ([formula](self)): queries `[batch, queries, heads · width]`, keys
/// `[batch, keys, heads · width]`, values `[batch, keys, heads · value_width]` → `[batch, queries, heads · value_width]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::attention::{AttentionOptions, multi_head_attention};
///
/// // Two heads of width 1; both keys are equal, so the values are averaged.
/// let query = Tensor::new(&[[[1f32, 2.]]], &Device::Cpu)?;
/// let key = Tensor::new(&[[[5f32, 6.], [5., 6.]]], &Device::Cpu)?;
/// let value = Tensor::new(&[[[1f32, 10.], [3., 30.]]], &Device::Cpu)?;
/// let output = multi_head_attention(&query, &key, &value, 2, &AttentionOptions::default())?;
/// assert_eq!(output.to_vec3::<f32>()?, [[[2., 20.]]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// As [`scaled_dot_product_attention`].
pub fn multi_head_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: usize,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let layout = Layout::joined(query, key, value, heads)?;
    attend(&layout, [query, key, value], options)
}

/// Self-attention of heads side by side, with queries, keys and values in one tensor ([formula](self)):
/// `[batch, length, 3 · heads · width]`, the queries of all heads first, then the keys, then the values, →
/// `[batch, length, heads · width]`. timm's `qkv` and PyTorch's `in_proj_weight` give this layout.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::attention::{AttentionOptions, multi_head_attention_packed};
///
/// let qkv = Tensor::new(&[[[0f32, 0., 1.], [0., 0., 3.]]], &Device::Cpu)?;
/// let output = multi_head_attention_packed(&qkv, 1, &AttentionOptions::default())?;
/// assert_eq!(output.to_vec3::<f32>()?, [[[2.], [2.]]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// As [`scaled_dot_product_attention`].
pub fn multi_head_attention_packed(
    qkv: &Tensor,
    heads: usize,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let layout = Layout::packed(qkv, heads)?;
    attend(&layout, [qkv], options)
}

/// Attention in a graph, with scale `1 / √width`: queries and values `[batch, heads, length, width]`, keys
/// `[batch, heads, width, length]`, and numbers that are added to the scores → `[batch, length, heads · width]`.
///
/// # Errors
/// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't make a constant.
pub fn export_attention(
    graph: &mut Graph,
    [query, key, value]: [&GraphValue; 3],
    [heads, width]: [i64; 2],
    added: Option<&GraphValue>,
) -> Result<GraphValue> {
    let scale = graph.number(1.0 / (width as f64).sqrt())?;
    let query = graph.node("Mul", &[query, &scale]);
    let scores = graph.node("MatMul", &[&query, key]);
    let scores = match added {
        None => scores,
        Some(added) => graph.node("Add", &[&scores, added]),
    };
    let shares = graph.node_with("Softmax", &[&scores], &[("axis", (-1i64).into())]);
    let sums = graph.node("MatMul", &[&shares, value]);
    let order = [("perm", [0i64, 2, 1, 3].into())];
    let sums = graph.node_with("Transpose", &[&sums], &order);
    let joined = graph.integers(&[0, 0, heads * width])?;
    Ok(graph.node("Reshape", &[&sums, &joined]))
}

fn attend<const N: usize>(
    layout: &Layout,
    inputs: [&Tensor; N],
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    for input in inputs {
        let fits = input.dtype().is_float() && input.dtype() == inputs[0].dtype();
        let arg = "query, key and value";
        check::dtype(fits, arg, input, "one floating-point type")?;
    }
    let sizes = layout.sizes;
    let scale = options.scale.unwrap_or(1.0 / (sizes.width as f64).sqrt());
    check::finite("scale", scale)?;
    let masks = Masks::new(options, &sizes, inputs[0])?;
    let learnt = masks.added.as_ref().is_some_and(is_tracked);
    let dropped = options.dropout.and_then(Dropout::draw);
    if !has_kernel(inputs[0]) || learnt {
        let operands = layout.heads_of(&inputs)?;
        let output = composite::attention(&sizes, operands, scale, &masks, dropped.as_ref())?;
        return layout.result_of_heads(&output);
    }
    let memory = Memory {
        layout: *layout,
        scale,
        masks,
        dropped,
    };
    for_element!(inputs[0], "query", |T| fused::<T, N>(memory, inputs))
}

/// All that the backward pass needs beside inputs and output.
struct Memory {
    layout: Layout,
    scale: f64,
    masks: Masks,
    dropped: Option<Factors>,
}

impl Memory {
    /// `f` on the memory of the inputs and masks.
    fn with<T: Element, R, const N: usize>(
        &self,
        inputs: [&Tensor; N],
        f: impl FnOnce(&Operands<'_, T>, &Mask<'_, T>) -> R,
    ) -> Result<R> {
        let [query, key, value] = std::array::from_fn(|i| inputs[i % N]);
        with_strides(query, |query: &[T], query_strides| {
            with_strides(key, |key: &[T], key_strides| {
                with_strides(value, |value: &[T], value_strides| {
                    let operands = self.layout.operands([
                        (query, query_strides),
                        (key, key_strides),
                        (value, value_strides),
                    ]);
                    self.masks.with(|ignored, added| {
                        let mask = Mask {
                            scale: Real::from_f64(self.scale),
                            causal: self.masks.causal,
                            ignored,
                            added,
                            dropped: self.dropped.as_ref(),
                        };
                        f(&operands, &mask)
                    })
                })?
            })?
        })?
    }
}

fn fused<T: Element + SimdReal, const N: usize>(
    memory: Memory,
    inputs: [&Tensor; N],
) -> Result<Tensor> {
    let forward = memory.with(inputs, |operands, mask| {
        kernel::forward::<T>(operands, mask)
    })?;
    let (value, kept, shape) = (forward.output, forward.kept, memory.layout.result_shape());
    host_node("attention", inputs, value, shape, move |inputs, y, g| {
        let layout = memory.layout;
        let mut gradients = inputs.map(|input| zeros(input.elem_count()));
        let samples = Samples::new(layout, &mut gradients);
        with_slices([y, g], |[output, gradient]: [&[T]; 2]| {
            memory.with(inputs, |operands, mask| {
                let output = (layout.result_rows(output), &kept);
                let gradient = layout.result_rows(gradient);
                let store = |batch, head, gradients: HeadGradients<'_, T>| {
                    samples.put(batch, head, gradients);
                };
                kernel::backward(operands, mask, output, gradient, store);
            })
        })??;
        drop(samples);
        Ok(gradients)
    })
}

#[cfg(test)]
mod tests;
