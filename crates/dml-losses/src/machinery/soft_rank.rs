//! Losses over soft ranks: how many rows lie above each member of a row's group, counted by steps of finite steepness.
//!
//! ```text
//! G_i: the positives of i, and i itself        N_i: its negatives
//! c(j, S) = Σ_{k ∈ S, k ≠ j} 1 / (1 + e^{−(s_ik − s_ij)/t}),   the exponent kept between ±50
//! ℓ_i = mean over j ∈ G_i of f(c(j, G_i), c(j, N_i))
//! ```
//!
//! Every member of a group is compared with every row that counts: `O(N³ / classes)` steps, but beside the matrix of
//! similarities no more memory than its gradient. `f` is written once, over [`Expression`].

use candle_core::{D, DType, Tensor};
use dml_core::autograd::{self, Element, has_kernel};
use dml_core::kernels::soft_rank::SoftRank;
use dml_core::kernels::{PairMask, Real, sum};
use dml_core::tuples::mask_tensors;
use dml_core::{Result, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};

/// Beyond this many temperatures a value is wholly above or below.
const FAR: f64 = 50.0;

/// The value of one member of a group.
pub(crate) trait RankFormula: Sync {
    /// Whether the members of the group are counted; if not, their count is 0.
    const COUNTS_GROUP: bool;

    /// `f`, given how many members of the group lie above this one, and how many negatives.
    fn value<E: Expression>(&self, group: E, negatives: E) -> E;
}

/// The group of each row and its negatives, to be ranked at a temperature.
#[derive(Debug)]
pub(crate) struct SoftRanks {
    pairs: PairMask,
    /// Positives of each row and the row itself, ascending.
    groups: Vec<Vec<u32>>,
    temperature: f64,
}

impl SoftRanks {
    /// The ranks of rows that are compared among themselves.
    pub(crate) fn new(pairs: PairMask, temperature: f64) -> Self {
        let group = |q: usize| {
            let mut group: Vec<u32> = pairs.positives(q).collect();
            if let Err(place) = group.binary_search(&(q as u32)) {
                group.insert(place, q as u32);
            }
            group
        };
        Self {
            groups: (0..pairs.queries()).map(group).collect(),
            pairs,
            temperature,
        }
    }

    /// Whether all groups are equally large.
    pub(crate) fn groups_are_even(&self) -> bool {
        let mut pairs = self.groups.windows(2);
        pairs.all(|two| two[0].len() == two[1].len())
    }

    /// The mean over the group of each row of `matrix` `[N, N]`: `[N]`.
    pub(crate) fn means<F: RankFormula>(
        &self,
        name: &'static str,
        matrix: &Tensor,
        formula: &F,
    ) -> Result<Tensor> {
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| self
                .fused::<T, F>(name, matrix, formula));
        }
        let (positives, negatives) = mask_tensors(&self.pairs, matrix.device())?;
        let itself = Tensor::eye(self.groups.len(), DType::U8, matrix.device())?;
        let group = positives.maximum(&itself)?; // [N, N]
        let mut means = Tensor::zeros(self.groups.len(), matrix.dtype(), matrix.device())?; // [N]
        for member in self.members(matrix) {
            let (at, share) = member?;
            let shares = shares(matrix, &at, self.temperature)?;
            let above = kept_sum(&shares, &negatives)?; // [N]
            let of_group = if F::COUNTS_GROUP {
                // The member itself is as far above itself as below: it has ½ of the sum, and no gradient.
                (kept_sum(&shares, &group)? - 0.5)?
            } else {
                above.zeros_like()?
            };
            let values = Composite::of_all([&of_group, &above], |[g, n]| formula.value(g, n))?;
            means = (means + (values * share)?)?;
        }
        Ok(means)
    }

    fn fused<T: Element, F: RankFormula>(
        &self,
        name: &'static str,
        matrix: &Tensor,
        formula: &F,
    ) -> Result<Tensor> {
        let rank = SoftRank::<T>::new(self.temperature);
        autograd::row_values::<T>(name, matrix, |row, x, gradient| {
            let group = &self.groups[row];
            let counted: &[u32] = if F::COUNTS_GROUP { group } else { &[] };
            let columns = counted.iter().copied().chain(self.pairs.negatives(row));
            let columns: Vec<u32> = columns.collect();
            let values: Vec<T> = columns.iter().map(|&k| x[k as usize]).collect();
            let mut shares = vec![<T as Real>::ZERO; values.len()];
            let mut of_values = shares.clone();
            let share = 1.0 / group.len() as f64;
            let mut mean = 0.0;
            for (place, &j) in group.iter().enumerate() {
                rank.shares(&values, x[j as usize], &mut shares);
                if let Some(itself) = shares[..counted.len()].get_mut(place) {
                    *itself = <T as Real>::ZERO;
                }
                let (own, rest) = shares.split_at_mut(counted.len());
                let (of_own, of_rest) = of_values.split_at_mut(counted.len());
                let value = Dual::at_point([sum(own), sum(rest)], |[g, n]| formula.value(g, n));
                mean += share * value.value;
                let [in_own, in_rest] = value.gradient.map(|g| <T as Real>::from_f64(share * g));
                let at = rank.spread(own, in_own, of_own) + rank.spread(rest, in_rest, of_rest);
                gradient[j as usize] += <T as Real>::from_f64(at);
            }
            for (&k, of_value) in columns.iter().zip(of_values) {
                gradient[k as usize] += of_value;
            }
            <T as Real>::from_f64(mean)
        })
    }

    /// Member by member: its similarity to each row `[N, 1]` and its share of the mean of each group `[N]`, 0 where a group
    /// is smaller.
    fn members(&self, matrix: &Tensor) -> impl Iterator<Item = Result<(Tensor, Tensor)>> {
        let largest = self.groups.iter().map(Vec::len).max().unwrap_or(0);
        (0..largest).map(move |m| {
            let of = |group: &Vec<u32>| group.get(m).or(group.first()).copied().unwrap_or(0);
            let columns: Vec<u32> = self.groups.iter().map(of).collect();
            let share = |group: &Vec<u32>| match m < group.len() {
                true => 1.0 / group.len() as f64,
                false => 0.0,
            };
            let shares: Vec<f64> = self.groups.iter().map(share).collect();
            let columns = Tensor::from_vec(columns, (self.groups.len(), 1), matrix.device())?;
            let shares = Tensor::new(shares, matrix.device())?.to_dtype(matrix.dtype())?;
            Ok((matrix.gather(&columns, 1)?, shares))
        })
    }
}

/// How far above `at` `[N, 1]` each entry of `matrix` `[N, N]` is, from 0 to 1: the composite form of [`SoftRank`].
fn shares(matrix: &Tensor, at: &Tensor, temperature: f64) -> Result<Tensor> {
    let above = (matrix.broadcast_sub(at)? * (1.0 / temperature))?;
    Ok(((above.clamp(-FAR, FAR)?.neg()?.exp()? + 1.0)?).recip()?)
}

/// The sum over the entries of each row that `keep` (0 or 1) lets count: `[N]`.
fn kept_sum(shares: &Tensor, keep: &Tensor) -> Result<Tensor> {
    Ok((shares * keep.to_dtype(shares.dtype())?)?.sum(D::Minus1)?)
}
