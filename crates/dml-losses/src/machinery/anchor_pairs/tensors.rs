//! The pairs of every anchor as matrices, for Candle's operations.

use candle_core::Tensor;
use dml_core::{Result, TensorExt};

use super::{Anchor, AnchorPairs, Side};

/// How much each entry of a matrix counts: how often it is a pair, times the weight of the pair.
#[derive(Clone, Debug)]
pub(crate) struct PairWeights {
    /// `[Q, R]`, 0 for what is no pair.
    weights: Tensor,
    /// Whether nothing but 0 and 1 is there.
    is_plain: bool,
}

impl PairWeights {
    /// Which rows have a pair: `[Q]`.
    pub(crate) fn has_pairs(&self) -> Result<Tensor> {
        Ok(self.weights.sum(1)?.gt(0f64)?)
    }

    /// `ln Σ w e^x` over the pairs of each row, with `add_one` `ln(1 + Σ w e^x)`: `[Q, R]` → `[Q]`. A row without pairs
    /// is 0.
    pub(crate) fn log_sum_exp(&self, exponents: &Tensor, add_one: bool) -> Result<Tensor> {
        self.weigh(exponents)?
            .masked_logsumexp(Some(&self.weights), add_one)
    }

    /// As [`log_sum_exp`](Self::log_sum_exp), over these pairs and over others that weigh 1.
    pub(crate) fn log_sum_exp_with(&self, others: &Self, exponents: &Tensor) -> Result<Tensor> {
        let pairs = (&self.weights + &others.weights)?;
        self.weigh(exponents)?.masked_logsumexp(Some(&pairs), false)
    }

    /// `Σ w x / Σ w` over the pairs of each row: `[Q, R]` → `[Q]`. A row without pairs is 0.
    pub(crate) fn mean(&self, x: &Tensor) -> Result<Tensor> {
        // What is no pair may be infinite: it is dropped, not multiplied by 0.
        let is_pair = self.weights.ne(0.0)?;
        let sum = (&self.weights * is_pair.where_cond(x, &x.zeros_like()?)?)?.sum(1)?;
        let total = self.weights.sum(1)?;
        let divisor = total.gt(0.0)?.where_cond(&total, &total.ones_like()?)?;
        Ok((sum / divisor)?)
    }

    /// Which entries are pairs whose value is not 0 or less: `[Q, R]`. NaN is neither.
    pub(crate) fn above_zero(&self, values: &Tensor) -> Result<Tensor> {
        Ok((self.weights.ne(0.0)? * values.le(0.0)?.eq(0u8)?)?)
    }

    /// `x + ln w` for the pairs, `x` for all other entries.
    fn weigh(&self, exponents: &Tensor) -> Result<Tensor> {
        if self.is_plain {
            return Ok(exponents.clone());
        }
        let is_pair = self.weights.gt(0f64)?;
        let factors = is_pair.where_cond(&self.weights, &self.weights.ones_like()?)?;
        Ok((exponents + factors.log()?)?)
    }
}

impl AnchorPairs {
    /// How often each pair is a positive and how often a negative one, as two tensors `[Q, R]` beside the embeddings and
    /// of their type.
    pub(crate) fn tensors(&self) -> Result<(Tensor, Tensor)> {
        // Labels are compared where the embeddings are: nothing of the batch's square comes from the host.
        if let Some(relation) = self.batch.relation().filter(|_| self.is_all) {
            let like = self.batch.embeddings();
            let (near, far) = relation.mask_tensors(like.device())?;
            return Ok((near.to_dtype(like.dtype())?, far.to_dtype(like.dtype())?));
        }
        let [near, far] = self.dense(|times, side, i| *times += side.times(i))?;
        Ok((near, far))
    }

    /// The weight of each positive and of each negative pair, 0 for what is no pair, as [`tensors`](Self::tensors);
    /// `None` where every pair weighs 1.
    pub(crate) fn weight_tensors(&self) -> Result<Option<[Tensor; 2]>> {
        if self.weights.is_none() {
            return Ok(None);
        }
        // Repeats of a pair have one weight.
        Ok(Some(
            self.dense(|weight, side, i| *weight = side.weight(i))?,
        ))
    }

    /// How much each pair counts: first the positives, then the negatives.
    pub(crate) fn pair_weights(&self) -> Result<[PairWeights; 2]> {
        let (near, far) = self.tensors()?;
        let (weights, is_plain) = match self.weight_tensors()? {
            None => ([near, far], self.is_distinct),
            Some([near_weights, far_weights]) => {
                ([(near * near_weights)?, (far * far_weights)?], false)
            }
        };
        Ok(weights.map(|weights| PairWeights { weights, is_plain }))
    }

    /// `ln Σ w e^x` over the negatives of each anchor, repeats and weights included: `[Q, R]` → `[Q]`, and whether an
    /// anchor has any, 0 or 1. Without negatives the sum is empty, and what stands for its logarithm is 0.
    pub(crate) fn negative_log_sum_exp(&self, exponents: &Tensor) -> Result<(Tensor, Tensor)> {
        let [_, negatives] = self.pair_weights()?;
        Ok((
            negatives.log_sum_exp(exponents, false)?,
            negatives.has_pairs()?,
        ))
    }

    /// Numbers of the positive and of the negative pairs `[Q, R]`, 0 elsewhere.
    fn dense(&self, write: impl Fn(&mut f32, &Side<f32>, usize)) -> Result<[Tensor; 2]> {
        let (queries, references) = (self.batch.queries(), self.batch.references());
        let mut dense = [
            vec![0f32; queries * references],
            vec![0f32; queries * references],
        ];
        let mut anchor = Anchor::<f32>::default();
        for q in 0..queries {
            self.find(q, &mut anchor);
            for (dense, side) in dense.iter_mut().zip([&anchor.positives, &anchor.negatives]) {
                for (i, &row) in side.rows.iter().enumerate() {
                    write(&mut dense[q * references + row as usize], side, i);
                }
            }
        }
        let like = self.batch.embeddings();
        let [near, far] = dense.map(|numbers| {
            Tensor::from_vec(numbers, (queries, references), like.device())?.to_dtype(like.dtype())
        });
        Ok([near?, far?])
    }
}
