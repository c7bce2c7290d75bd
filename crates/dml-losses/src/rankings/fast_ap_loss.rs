//! `FastAP` loss: average precision of each row's ranking, counted in bins of distance.
//!
//! ```text
//! h⁺_b, h_b: how many positives, and how many rows at all, lie at bin b (a distance between two bins counts for both)
//! H: running sums over the bins
//! FastAP_i = Σ_b h⁺_b · H⁺_b / H_b / |P_i|
//! ℓ_i = (1 − FastAP_i) · w_i
//! ```
//!
//! Distances of normalised rows raised to a power lie between 0 and 2^power: bins `0..=num_bins` divide that. `w` is how
//! often the tuples name a row, at most 1: tuples choose no pairs here. Rows without a positive are left out.
//!
//! Cakir, He, Xia, Kulis and Sclaroff, "Deep Metric Learning to Rank" (CVPR 2019).
//!
//! `O(N²)` time and memory: the distances and their gradients, which one visit of each row gives.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::has_kernel;
use dml_core::kernels::Real;
use dml_core::kernels::soft_histogram::SoftBins;
use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check, for_element};

use crate::machinery::anchor_formula::anchor_values;
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::requirements;
use crate::machinery::row_terms::term_over_rows;
use crate::machinery::side::{Anchor, Side};
use crate::machinery::soft_histograms::soft_histograms;

dml_core::config! {
    /// Configuration of [`FastAPLoss`].
    #[derive(Eq)]
    pub struct FastAPLossConfig {
        /// Into how many steps the range of distances is divided; 1 to 65,536. Default `10`.
        pub num_bins: usize = 10,
    }
}

/// One minus the average precision in bins ([formula](self)). One term `loss`, per row that has a positive.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{FastAPLoss, FastAPLossConfig};
///
/// let config = FastAPLossConfig { num_bins: 2 };
/// let loss = FastAPLoss::new(config, LpDistance::squared())?;
/// let rows = &[[1f64, 0.], [0., 1.], [0., -1.], [0., -1.]];
/// let embeddings = Tensor::new(rows, &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1, 2])?, &Tuples::all())?;
/// // Row 0: its positive and both negatives are at 2, so 1 − 1/3. Row 1: its positive is at 2, its negatives at 4.
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// assert!((values[0] - 2. / 3.).abs() < 1e-12 && values[1].abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FastAPLoss {
    bins: SoftBins,
    distance: Arc<dyn Distance>,
}

impl FastAPLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if there are no bins,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the Euclidean one of normalised rows,
    /// to any power.
    pub fn new(config: FastAPLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        let bins = check::count("num_bins", config.num_bins, check::MOST_BINS)?;
        let power = requirements::unit_euclidean_power("FastAPLoss", &distance)?;
        Ok(Self {
            bins: SoftBins::new(0.0, 2f64.powf(power) / bins as f64, bins),
            distance: Arc::new(distance),
        })
    }

    /// `FastAP` of every row `[N]`; 0 for a row without positives.
    fn precision(&self, matrix: &Tensor, pairs: &AnchorPairs) -> Result<Tensor> {
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                anchor_values::<T>("fast_ap", matrix, pairs, |_, row, anchor| {
                    precision_of_row(self.bins, row, anchor)
                })
            });
        }
        let relation = pairs.batch().require_relation("FastAPLoss")?;
        let pairs = relation.mask();
        let (positives, negatives) = soft_histograms(matrix, &pairs, self.bins)?; // [N, bins + 1]
        let found = positives.cumsum(1)?;
        let seen = (&positives + negatives)?.cumsum(1)?;
        // Before the first row nothing is found either: 0, whatever it is divided by.
        let seen = seen.le(0f64)?.where_cond(&seen.ones_like()?, &seen)?;
        let counts: Vec<f64> = (0..pairs.queries())
            .map(|q| pairs.positives(q).count().max(1) as f64)
            .collect();
        let counts = Tensor::new(counts, matrix.device())?.to_dtype(matrix.dtype())?;
        let found = ((positives * found)? / seen)?.sum(1)?;
        Ok((found / counts)?)
    }
}

/// `FastAP` of one row; its gradient is left in the sides.
fn precision_of_row<T: Real>(bins: SoftBins, row: &[T], anchor: &mut Anchor<T>) -> f64 {
    let Anchor {
        positives,
        negatives,
    } = anchor;
    if positives.is_empty() {
        return 0.0;
    }
    positives.read(row);
    negatives.read(row);
    let count = positives.x.len() as f64;
    let (near, far) = (
        Binned::new(&positives.x, bins),
        Binned::new(&negatives.x, bins),
    );
    // What a node adds to the precision is h⁺ H⁺ / H: its derivatives in H⁺ and in H go to all nodes up to it.
    let (mut found, mut seen, mut precision) = (0.0, 0.0, 0.0);
    let nodes = near.histogram.iter().zip(&far.histogram);
    let parts: Vec<[f64; 3]> = nodes
        .map(|(own, other)| {
            found += own;
            seen += own + other;
            // Before the first row nothing is found either.
            let (share, part) = if seen <= 0.0 {
                (0.0, 0.0)
            } else {
                (found / seen, own / seen)
            };
            precision += own * share;
            [share, part, part * share]
        })
        .collect();
    let (mut in_found, mut in_seen) = (0.0, 0.0);
    let (mut of_near, mut of_far) = (vec![T::ZERO; parts.len()], vec![T::ZERO; parts.len()]);
    for (node, [share, part, both]) in parts.iter().enumerate().rev() {
        in_found += part;
        in_seen += both;
        of_near[node] = T::from_f64((share + in_found - in_seen) / count);
        of_far[node] = T::from_f64(-in_seen / count);
    }
    near.pull_back(&of_near, bins, positives);
    far.pull_back(&of_far, bins, negatives);
    precision / count
}

/// Distances as bins.
struct Binned {
    bins: Vec<u32>,
    histogram: Vec<f64>,
}

impl Binned {
    fn new<T: Real>(x: &[T], soft: SoftBins) -> Self {
        let (mut bins, mut histogram) = (Vec::new(), Vec::new());
        soft.bins(x, &mut bins);
        soft.histogram(x, &bins, &mut histogram);
        Self { bins, histogram }
    }

    /// Leaves the gradient of each distance in its side, from the gradient of the histogram.
    fn pull_back<T: Real>(&self, gradient: &[T], soft: SoftBins, side: &mut Side<T>) {
        let mut of_bins = Vec::new();
        soft.gradients(gradient, &mut of_bins);
        let index = side.push_gradient(|_| T::ZERO);
        for (gradient, bin) in side.gradients[index].iter_mut().zip(&self.bins) {
            *gradient = of_bins[*bin as usize];
        }
    }
}

impl Loss for FastAPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "FastAPLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        let pairs = AnchorPairs::listed(self, "FastAPLoss", batch, &Tuples::all())?;
        let rows = pairs.anchors_with_positives();
        if rows.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let matrix = batch.distances(&self.distance)?; // [N, N]
        let values = (1.0 - self.precision(&matrix, &pairs)?)?;
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
