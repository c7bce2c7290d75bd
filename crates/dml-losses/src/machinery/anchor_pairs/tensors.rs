//! The pairs of every anchor as matrices, for Candle's operations.

use candle_core::Tensor;
use dml_core::{Result, TensorExt};

use super::{AnchorPairs, Side};

/// How much each entry of a matrix counts: how often it is a pair, times what the pair weighs.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// `[Q, R]`, 0 for what is no pair.
    times: Tensor,
    /// Whether nothing but 0 and 1 is there.
    is_plain: bool,
}

impl Counted {
    /// `[Q, R]`, 0 for what is no pair.
    pub(crate) fn times(&self) -> &Tensor {
        &self.times
    }

    /// The sum of each row: `[Q]`, 0 for a row without pairs.
    pub(crate) fn total(&self) -> Result<Tensor> {
        Ok(self.times.sum(1)?)
    }

    /// `ln Σ times · e^x` over the pairs of each row, with `add_one` `ln(1 + Σ times · e^x)`: `[Q, R]` → `[Q]`. A row
    /// without pairs is 0.
    pub(crate) fn log_sum_exp(&self, exponents: &Tensor, add_one: bool) -> Result<Tensor> {
        self.weigh(exponents)?
            .masked_logsumexp(Some(&self.times), add_one)
    }

    /// `x + ln times` for the pairs, `x` for all other entries.
    pub(crate) fn weigh(&self, exponents: &Tensor) -> Result<Tensor> {
        if self.is_plain {
            return Ok(exponents.clone());
        }
        let is_pair = self.times.gt(0f64)?;
        let factors = is_pair.where_cond(&self.times, &self.times.ones_like()?)?;
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
    pub(crate) fn counted(&self) -> Result<[Counted; 2]> {
        let (near, far) = self.tensors()?;
        let (times, is_plain) = match self.weight_tensors()? {
            None => ([near, far], self.is_distinct),
            Some([near_weights, far_weights]) => {
                ([(near * near_weights)?, (far * far_weights)?], false)
            }
        };
        Ok(times.map(|times| Counted { times, is_plain }))
    }

    /// `ln Σ e^x` over the negatives of each anchor, repeats and weights included: `[Q, R]` → `[Q]`, and whether an anchor
    /// has any, 0 or 1. Without negatives the sum is empty, and what stands for its logarithm is 0.
    pub(crate) fn negative_log_sum_exp(&self, exponents: &Tensor) -> Result<(Tensor, Tensor)> {
        let [_, negatives] = self.counted()?;
        let sums = negatives.log_sum_exp(exponents, false)?; // [Q]
        Ok((sums, negatives.total()?.gt(0.0)?))
    }

    /// Numbers of the positive and of the negative pairs `[Q, R]`, 0 elsewhere.
    fn dense(&self, write: impl Fn(&mut f32, &Side<f32>, usize)) -> Result<[Tensor; 2]> {
        let (queries, references) = (self.batch.queries(), self.batch.references());
        let mut dense = [
            vec![0f32; queries * references],
            vec![0f32; queries * references],
        ];
        let (mut positives, mut negatives) = (Side::<f32>::default(), Side::default());
        for q in 0..queries {
            self.of(q, &mut positives, &mut negatives);
            for (dense, side) in dense.iter_mut().zip([&positives, &negatives]) {
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
