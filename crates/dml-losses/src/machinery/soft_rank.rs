//! Soft ranks of the positives of each row: what losses over rankings share.

use candle_core::{D, Tensor};
use dml_core::Result;
use dml_core::kernels::PairMask;

/// Beyond this many temperatures a value is wholly above or below.
const FAR: f64 = 50.0;

/// The group of each row: its positives and the row itself, ascending.
#[derive(Debug)]
pub(crate) struct Groups(Vec<Vec<u32>>);

impl Groups {
    pub(crate) fn new(pairs: &PairMask) -> Self {
        let group = |q: usize| {
            let mut group: Vec<u32> = pairs.positives(q).collect();
            if let Err(place) = group.binary_search(&(q as u32)) {
                group.insert(place, q as u32);
            }
            group
        };
        Self((0..pairs.queries()).map(group).collect())
    }

    /// The group of a row.
    pub(crate) fn of(&self, row: usize) -> &[u32] {
        &self.0[row]
    }

    /// Whether all groups are equally large.
    pub(crate) fn are_even(&self) -> bool {
        self.0.windows(2).all(|two| two[0].len() == two[1].len())
    }

    /// Member by member: its similarity to each row `[N, 1]` and the share of the mean that it has in each group `[N]`,
    /// 0 where a group is smaller.
    pub(crate) fn members(
        &self,
        matrix: &Tensor,
    ) -> impl Iterator<Item = Result<(Tensor, Tensor)>> {
        let largest = self.0.iter().map(Vec::len).max().unwrap_or(0);
        (0..largest).map(move |m| {
            let of = |group: &Vec<u32>| group.get(m).or(group.first()).copied().unwrap_or(0);
            let columns: Vec<u32> = self.0.iter().map(of).collect();
            let shares: Vec<f64> = self
                .0
                .iter()
                .map(|group| {
                    if m < group.len() {
                        1.0 / group.len() as f64
                    } else {
                        0.0
                    }
                })
                .collect();
            let columns = Tensor::from_vec(columns, (self.0.len(), 1), matrix.device())?;
            let shares = Tensor::new(shares, matrix.device())?.to_dtype(matrix.dtype())?;
            Ok((matrix.gather(&columns, 1)?, shares))
        })
    }
}

/// How far above `at` `[N, 1]` each entry of `matrix` `[N, N]` is, from 0 to 1: the composite form of
/// [`SoftRank`](dml_core::kernels::soft_rank::SoftRank).
pub(crate) fn shares(matrix: &Tensor, at: &Tensor, temperature: f64) -> Result<Tensor> {
    let above = (matrix.broadcast_sub(at)? * (1.0 / temperature))?;
    Ok(((above.clamp(-FAR, FAR)?.neg()?.exp()? + 1.0)?).recip()?)
}

/// The sum over the entries of each row that `keep` (0 or 1) lets count: `[N]`.
pub(crate) fn kept_sum(shares: &Tensor, keep: &Tensor) -> Result<Tensor> {
    Ok((shares * keep.to_dtype(shares.dtype())?)?.sum(D::Minus1)?)
}
