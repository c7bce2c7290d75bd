//! Values put together by anchor first, then reduced over all rows of the batch.
//!
//! ```text
//! vₐ = mean (or sum) of the ℓᵢ whose pair has anchor a;  0 for a row without pairs
//! L  = inner reducer over v₀ … v_{Q−1}, one element a row
//! ```
//!
//! So an anchor with many pairs counts no more than one with few. A pair that is listed several times counts once,
//! with its last value. References may be more or fewer than the queries. Terms over elements go to the inner
//! reducer as they are.

use std::sync::Arc;

use dml_core::candle_core::Tensor;
use dml_core::{AnchorSums, Batch, Indices, Over, Reduced, Reducer, Result, Term, check};

/// How the values of one anchor become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Aggregation {
    /// Their mean.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "default", alias = "mean"))]
    Mean,
    /// Their sum.
    #[cfg_attr(feature = "serde", serde(rename = "row_sum", alias = "sum"))]
    Sum,
}

dml_core::config! {
    /// Configuration of [`PerAnchorReducer`].
    pub struct PerAnchorReducerConfig {
        /// How the values of one anchor become one. Default the mean, written `"default"`; the sum is `"row_sum"`.
        pub aggregation_func: Aggregation = Aggregation::default(),
    }
}

/// One value per anchor, then an inner reducer ([formula](self)).
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, candle_core::{Device, Tensor}};
/// use dml_reducers::{MeanReducer, PerAnchorReducer, PerAnchorReducerConfig};
///
/// let reducer = PerAnchorReducer::new(PerAnchorReducerConfig::default(), MeanReducer);
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?, &[0i64, 0, 0])?;
/// let values = Tensor::new(&[1f32, 5., 6.], &Device::Cpu)?;
/// let pairs = Indices::Pairs { anchors: vec![0, 0, 2], others: vec![1, 2, 0] };
/// let term = Term::explicit("pos_loss", Over::PositivePairs, values, pairs)?;
/// // Rows 0, 1 and 2 have 3, 0 and 6.
/// assert_eq!(reducer.reduce(&term.into(), &batch)?.loss.to_scalar::<f32>()?, 3.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PerAnchorReducer {
    aggregation: Aggregation,
    reducer: Arc<dyn Reducer>,
    triplets: bool,
}

impl PerAnchorReducer {
    /// `reducer` reduces the values of the anchors.
    #[must_use]
    pub fn new(config: PerAnchorReducerConfig, reducer: impl Reducer + 'static) -> Self {
        Self {
            aggregation: config.aggregation_func,
            reducer: Arc::new(reducer),
            triplets: false,
        }
    }

    /// Takes triplets, too, and puts them together by their anchor. Without this they are refused, as PyTorch Metric
    /// Learning does. Each triplet counts, repeated ones repeatedly.
    #[must_use]
    pub fn with_triplets(self) -> Self {
        Self {
            triplets: true,
            ..self
        }
    }

    fn element_per_anchor(&self, by_anchor: AnchorSums) -> Result<Term> {
        let AnchorSums { sums, counts } = by_anchor;
        let values = match self.aggregation {
            Aggregation::Sum => sums,
            Aggregation::Mean => {
                let shares: Vec<f64> = counts.iter().map(|&n| 1.0 / n.max(1) as f64).collect();
                let shares = Tensor::new(shares, sums.device())?.to_dtype(sums.dtype())?;
                (sums * shares)?
            }
        };
        let rows = (0..counts.len() as u32).collect();
        Term::explicit("loss", Over::Elements, values, Indices::Elements(rows))
    }
}

/// As [`Term::sums_by_anchor`], but each pair counts once, with its last value.
fn sums_of_distinct_pairs(term: &Term, batch: &Batch) -> Result<AnchorSums> {
    let anchors = batch.queries();
    let (values, indices) = term.values()?;
    let (rows, others) = match &indices {
        Indices::Pairs { anchors, others } => (anchors, others),
        _ => return AnchorSums::new(&values, indices.anchors(), anchors),
    };
    let number = |&row: &u32| row as usize;
    check::indices("anchors", rows.iter().map(number), anchors)?;
    check::indices("others", others.iter().map(number), batch.references())?;
    let kept = last_places(rows, others, batch.references());
    if kept.len() == rows.len() {
        return AnchorSums::new(&values, rows, anchors);
    }
    let rows: Vec<u32> = kept.iter().map(|&place| rows[place as usize]).collect();
    let kept = Tensor::new(kept, values.device())?;
    AnchorSums::new(&values.index_select(&kept, 0)?, &rows, anchors)
}

/// Where each distinct pair stands last, in order.
fn last_places(rows: &[u32], others: &[u32], width: usize) -> Vec<u32> {
    // One bit a pair: a 32nd of the distances that the pairs came from, and no hashing.
    let height = rows.iter().max().map_or(0, |&row| row as usize + 1);
    let mut seen = vec![0u64; (height * width).div_ceil(64)];
    let mut kept = Vec::with_capacity(rows.len());
    for (place, (&row, &other)) in rows.iter().zip(others).enumerate().rev() {
        let bit = row as usize * width + other as usize;
        let mask = 1 << (bit % 64);
        if seen[bit / 64] & mask == 0 {
            seen[bit / 64] |= mask;
            kept.push(place as u32);
        }
    }
    kept.reverse();
    kept
}

impl Reducer for PerAnchorReducer {
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for triplets unless [`with_triplets`](PerAnchorReducer::with_triplets) allows them,
    /// [`Error::Index`](dml_core::Error::Index) for a row outside of the batch, and as the inner reducer.
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        let by_anchor = match term.over() {
            Over::Scalar | Over::Elements => return self.reducer.reduce_any(term, batch),
            Over::PositivePairs | Over::NegativePairs => sums_of_distinct_pairs(term, batch)?,
            over => {
                let can = self.triplets || over != Over::Triplets;
                let reason = "triplets are reduced per anchor only after `with_triplets`";
                check::supported(can, "PerAnchorReducer", reason)?;
                term.sums_by_anchor(batch.queries())?
            }
        };
        self.reducer
            .reduce_any(&self.element_per_anchor(by_anchor)?, batch)
    }
}

#[cfg(test)]
mod tests;
