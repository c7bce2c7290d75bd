//! From states of tokens to one vector for each text.
//!
//! ```text
//! Mean               Σ xₜ / n                  Cls         x of the first token
//! MeanSqrtLenTokens  Σ xₜ / √n                 LastToken   x of the last token
//! WeightedMean       Σ t xₜ / Σ t, t = 1 … n   Max         the largest number of each dimension
//! ```
//!
//! Sums run over the n tokens that are no padding. Reimers & Gurevych 2019, "Sentence-BERT" (arXiv 1908.10084).

use candle_core::{DType, Tensor};
use dml_core::{Error, Result};
use dml_nn::{ElementType, Graph, GraphValue};

use super::tokens::{Padding, running_sums};

/// Pooling of the states of a text's tokens ([formula](self)), with the names of sentence-transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Pooling {
    /// Mean of the tokens.
    #[default]
    #[serde(rename = "mean")]
    Mean,
    /// State of the first token.
    #[serde(rename = "cls")]
    Cls,
    /// Largest number of each dimension.
    #[serde(rename = "max")]
    Max,
    /// Sum of the tokens divided by the root of their number.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrtLenTokens,
    /// Mean weighted by the positions, from 1.
    #[serde(rename = "weightedmean")]
    WeightedMean,
    /// State of the last token.
    #[serde(rename = "lasttoken")]
    LastToken,
}

impl Pooling {
    /// States `[batch, length, hidden]` of token ids `[batch, length]` → `[batch, hidden]`.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use dml_models::text::Pooling;
    ///
    /// let states = Tensor::new(&[[[1f32], [3.], [9.]]], &Device::Cpu)?;
    /// let ids = Tensor::new(&[[7u32, 8, 0]], &Device::Cpu)?;
    /// let mean = Pooling::Mean.pool(&states, &ids, 0)?;
    /// assert_eq!(mean.to_vec2::<f32>()?, [[2.]]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::DType`] for ids that do not fit the states, and for a row of padding.
    pub fn pool(self, states: &Tensor, ids: &Tensor, pad_token_id: u32) -> Result<Tensor> {
        self.of(states, &Padding::new(ids, pad_token_id)?)
    }

    pub(super) fn of(self, states: &Tensor, padding: &Padding) -> Result<Tensor> {
        let fits = matches!(*states.dims(), [batch, length, _]
            if [batch, length] == [padding.batch, padding.length]);
        if !fits {
            return Err(Error::Shape {
                arg: "states",
                expected: "[batch, length, hidden] of ids [batch, length]",
                got: states.dims().to_vec(),
            });
        }
        let dtype = states.dtype();
        let wide = match dtype {
            DType::F16 | DType::BF16 => DType::F32,
            other => other,
        };
        let states = states.to_dtype(wide)?;
        let pooled = match self.weights(padding) {
            Some(weights) => {
                let shape = (padding.batch, 1, padding.length);
                let weights = Tensor::from_vec(weights, shape, states.device())?;
                weights.to_dtype(wide)?.matmul(&states)?
            }
            None => largest(&states, padding)?,
        };
        Ok(pooled.squeeze(1)?.to_dtype(dtype)?)
    }

    /// As [`Self::of`], in a graph; `real` says which tokens are no padding.
    pub(super) fn export(
        self,
        graph: &mut Graph,
        states: &GraphValue,
        real: &GraphValue,
    ) -> Result<GraphValue> {
        let one = graph.integers(&[1])?;
        let numbers = graph.cast(real, ElementType::Float);
        let weights = match self {
            Self::Mean | Self::MeanSqrtLenTokens => numbers,
            Self::WeightedMean => {
                let (seen, zero) = (running_sums(graph, &numbers)?, graph.number(0.0)?);
                let seen = graph.node("Greater", &[&seen, &zero]);
                let seen = graph.cast(&seen, ElementType::Float);
                let places = running_sums(graph, &seen)?;
                graph.node("Mul", &[&numbers, &places])
            }
            Self::Cls | Self::LastToken => {
                let is_last = i64::from(self == Self::LastToken);
                let attributes = [("axis", 1i64.into()), ("select_last_index", is_last.into())];
                let place = graph.node_with("ArgMax", &[&numbers], &attributes);
                let batch = [("batch_dims", 1i64.into())];
                return Ok(graph.node_with("GatherND", &[states, &place], &batch));
            }
            Self::Max => {
                let axis = graph.integers(&[2])?;
                let real = graph.node("Unsqueeze", &[real, &axis]);
                let least = graph.number(f64::NEG_INFINITY)?;
                let states = graph.node("Where", &[&real, states, &least]);
                let attributes = [("axes", [1i64].into()), ("keepdims", 0i64.into())];
                return Ok(graph.node_with("ReduceMax", &[&states], &attributes));
            }
        };
        let mut divisor = graph.node("ReduceSum", &[&weights, &one]);
        if self == Self::MeanSqrtLenTokens {
            divisor = graph.node("Sqrt", &[&divisor]);
        }
        let weights = graph.node("Unsqueeze", &[&weights, &one]);
        let sums = graph.node("MatMul", &[&weights, states]);
        let sums = graph.node("Squeeze", &[&sums, &one]);
        Ok(graph.node("Div", &[&sums, &divisor]))
    }

    /// Factors of the tokens, `[batch, length]`; none where the result is no weighted sum.
    fn weights(self, padding: &Padding) -> Option<Vec<f64>> {
        let mut weights = Vec::with_capacity(padding.padded.len());
        for row in padding.rows() {
            let count = row.iter().filter(|padded| **padded == 0).count();
            let first = row.iter().position(|padded| *padded == 0);
            let last = row.iter().rposition(|padded| *padded == 0);
            let place = |i: usize| (i + 1 - first.unwrap_or(0).min(i)) as f64;
            let factor = |(i, padded): (usize, &u8)| -> f64 {
                if *padded == 1 {
                    return 0.0;
                }
                match self {
                    Self::Mean => 1.0 / count as f64,
                    Self::MeanSqrtLenTokens => 1.0 / (count as f64).sqrt(),
                    Self::Cls => f64::from(u8::from(first == Some(i))),
                    Self::LastToken => f64::from(u8::from(last == Some(i))),
                    Self::WeightedMean | Self::Max => place(i),
                }
            };
            let start = weights.len();
            weights.extend(row.iter().enumerate().map(factor));
            if self == Self::WeightedMean {
                let sum: f64 = weights[start..].iter().sum();
                weights[start..]
                    .iter_mut()
                    .for_each(|weight| *weight /= sum);
            }
        }
        (self != Self::Max).then_some(weights)
    }
}

/// `[batch, 1, hidden]`: the largest number of each dimension, the first of equal ones; NaN where there is one.
fn largest(states: &Tensor, padding: &Padding) -> Result<Tensor> {
    let (batch, length, hidden) = states.dims3()?;
    let values = states.detach().flatten_all()?.to_dtype(DType::F64)?;
    let values = values.to_vec1::<f64>()?;
    let mut places = Vec::with_capacity(batch * hidden);
    for (text, row) in padding.rows().enumerate() {
        for dimension in 0..hidden {
            let value = |token: usize| values[(text * length + token) * hidden + dimension];
            let tokens = (0..length).filter(|token| row[*token] == 0);
            let best = tokens.reduce(|best, token| {
                let larger = value(token) > value(best) || value(token).is_nan();
                if larger && !value(best).is_nan() {
                    token
                } else {
                    best
                }
            });
            places.push(best.unwrap_or(0) as u32);
        }
    }
    let places = Tensor::from_vec(places, (batch, 1, hidden), states.device())?;
    Ok(states.contiguous()?.gather(&places, 1)?)
}

#[cfg(test)]
mod tests;
