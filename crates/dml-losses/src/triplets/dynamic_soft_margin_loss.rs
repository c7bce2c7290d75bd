//! Dynamic soft margin loss: a triplet counts as much as its gap ranks among the gaps seen so far.
//!
//! ```text
//! v = d(a,p) − d(a,n)
//! ℓ = mean over the triplets of F(v) · v
//! F: running sum of the histogram of v, up to and with the bin of v
//! histogram ← (1 − momentum) · histogram + momentum · histogram of the batch,   scaled to sum 1
//! ```
//!
//! The bins lie `delta = 2 |min_val| / num_bins` apart, from `min_val` on; a gap between two of them counts for both, more
//! for the nearer one. The first batch sets the histogram. F has no gradient. (PyTorch Metric Learning sends gradients
//! through the histogram and into earlier batches, and mixes a batch in before it is scaled, so that its momentum
//! depends on the number of triplets.)
//!
//! Without labels and tuples, query i and reference i belong together: its gap is `d(i,i)` less the smallest other
//! distance in row and column i; rows beyond the shorter side count with gap 0.
//!
//! Zhang and Rusinkiewicz, "Learning Local Descriptors With a CDF-Based Dynamic Soft Margin" (ICCV 2019).
//!
//! Triplets that come as a set are not written out: `O(N² log N)` time for each bin that the gaps of a positive spread
//! over, `O(N²)` memory.

mod hardest_gaps;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{Element, with_slice};
use dml_core::kernels::binned_gaps::GapBins;
use dml_core::{Batch, Distance, Error, Loss, Result, Term, Terms, Tuples, check, for_element};

use crate::machinery::requirements;
use crate::machinery::triplet_form::{TripletForm, near_and_far, on_host, sum_of_matrix};

dml_core::config! {
    /// Configuration of [`DynamicSoftMarginLoss`].
    pub struct DynamicSoftMarginLossConfig {
        /// The gap of the first bin, in `[-1e30, -1e-30]`. Default `-2`, the smallest gap of distances of normalised rows.
        pub min_val: f64 = -2.0,
        /// Number of bins, 1 to 65,536. Default `10`.
        pub num_bins: usize = 10,
        /// How much of the histogram a batch replaces, above 0 and at most 1. Default `0.01`.
        pub momentum: f64 = 0.01,
    }
}

/// Gaps weighted by their rank ([formula](self)). One term `loss`, a scalar.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{DynamicSoftMarginLoss, DynamicSoftMarginLossConfig};
///
/// let config = DynamicSoftMarginLossConfig { num_bins: 4, ..Default::default() };
/// let loss = DynamicSoftMarginLoss::new(config, LpDistance::squared())?;
/// let embeddings = Tensor::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // The gaps are 0.8 − 2, in the first bin, and 0.8 − 0.4, in the third. Shares of the bins: 0.1, 0.4, 0.3, 0.2.
/// let value = terms.get("loss").unwrap().values()?.0.to_scalar::<f64>()?;
/// assert!((value - (0.1 * -1.2 + 0.8 * 0.4) / 2.).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// The histogram is what the loss remembers: buffer `hist`, all 0 before the first batch.
#[derive(Debug)]
pub struct DynamicSoftMarginLoss {
    bins: GapBins,
    num_bins: usize,
    momentum: f64,
    histogram: Mutex<Vec<f64>>,
    distance: Arc<dyn Distance>,
}

impl DynamicSoftMarginLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if an argument is outside of its range, [`Error::Unsupported`] unless the distance
    /// is the Euclidean one of normalised rows, to any power.
    pub fn new(
        config: DynamicSoftMarginLossConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        requirements::unit_euclidean_power("DynamicSoftMarginLoss", &distance)?;
        let num_bins = check::count("num_bins", config.num_bins, check::MOST_BINS)?;
        let (low, momentum) = (config.min_val, config.momentum);
        let fits = (-check::LARGEST..=-check::SMALLEST).contains(&low);
        check::parameter(fits, "min_val", low, "a number in [-1e30, -1e-30]")?;
        let fits = momentum > 0.0 && momentum <= 1.0;
        let expected = "a number above 0 and at most 1";
        check::parameter(fits, "momentum", momentum, expected)?;
        Ok(Self {
            bins: GapBins::new(low, -2.0 * low / num_bins as f64, num_bins),
            num_bins,
            momentum,
            histogram: Mutex::new(vec![0.0; num_bins]),
            distance: Arc::new(distance),
        })
    }

    /// The share of gaps seen in each bin so far: sum 1, or all 0 before the first batch.
    #[must_use]
    pub fn histogram(&self) -> Vec<f64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<f64>> {
        // A histogram is replaced as a whole: whoever panicked left a good one.
        self.histogram
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Mixes the counts of a batch in; F for each bin.
    fn ranks(&self, counts: &[f64]) -> Vec<f64> {
        let mut histogram = self.lock();
        let first = histogram.iter().all(|share| *share == 0.0);
        let momentum = if first { 1.0 } else { self.momentum };
        let total: f64 = counts.iter().sum();
        if !total.is_finite() {
            // The histogram is for good: gaps that are no numbers don't enter it, and the loss of this batch is NaN.
            return vec![f64::NAN; counts.len()];
        }
        let mix = |(old, new): (&f64, &f64)| (1.0 - momentum) * old + momentum * new / total;
        let mixed: Vec<f64> = histogram.iter().zip(counts).map(mix).collect();
        let sum: f64 = mixed.iter().sum();
        *histogram = mixed.iter().map(|share| share / sum).collect();
        let mut running = 0.0;
        let shares = histogram.iter();
        shares
            .map(|share| {
                running += share;
                running
            })
            .collect()
    }

    /// The loss of gaps `[n]`, and of `zeros` more that are 0.
    fn of_list(&self, gaps: &Tensor, zeros: usize) -> Result<Tensor> {
        let values: Vec<f64> = gaps.detach().to_dtype(DType::F64)?.to_vec1()?;
        let mut counts = self.bins.histogram_of(&values);
        let of_zero = self.bins.histogram_of(&[0.0]);
        for (count, share) in counts.iter_mut().zip(of_zero) {
            *count += zeros as f64 * share;
        }
        let ranks = self.ranks(&counts);
        let total = (values.len() + zeros) as f64;
        let weight = |gap: &f64| ranks[self.bins.place(*gap).0] / total;
        let weights: Vec<f64> = values.iter().map(weight).collect();
        let weights = Tensor::new(weights, gaps.device())?.to_dtype(gaps.dtype())?;
        Ok((gaps * weights)?.sum_all()?)
    }

    /// The loss of triplets that are not written out.
    fn of_form<T: Element>(&self, matrix: &Tensor, form: &TripletForm) -> Result<Tensor> {
        let (_, references) = matrix.dims2()?;
        let walk = form.walk();
        let counts = with_slice(matrix, |m: &[T]| self.bins.histogram(m, references, walk))?;
        let total = walk.count() as f64;
        let weights: Vec<f64> = self.ranks(&counts).iter().map(|f| f / total).collect();
        let (sum, gradient) = with_slice(matrix, |m: &[T]| {
            self.bins.weighted_sum(m, references, walk, &weights)
        })?;
        sum_of_matrix("dynamic_soft_margin", matrix, sum, gradient)
    }
}

impl Loss for DynamicSoftMarginLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "DynamicSoftMarginLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let matrix = batch.distances(&self.distance)?; // [Q, R]
        if tuples.is_all() && batch.relation().is_none() {
            let Some((gaps, zeros)) = hardest_gaps::hardest_gaps(&matrix)? else {
                return Ok(Term::empty("loss").into());
            };
            return Ok(Term::scalar("loss", self.of_list(&gaps, zeros)?)?.into());
        }
        let form = TripletForm::of(tuples, batch, &matrix, self.distance.order())?;
        let value = match form {
            Some(form) if form.walk().count() > 0 => {
                let host = on_host(&matrix)?;
                let value = for_element!(host, "matrix", |T| self.of_form::<T>(&host, &form))?;
                value.to_device(matrix.device())?
            }
            Some(_) => return Ok(Term::empty("loss").into()),
            None => {
                let triplets = tuples.triplets(batch)?; // T triplets
                if triplets.is_empty() {
                    return Ok(Term::empty("loss").into());
                }
                let [near, far] = near_and_far(&matrix, &triplets)?;
                self.of_list(&(near - far)?, 0)?
            }
        };
        Ok(Term::scalar("loss", value)?.into())
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let histogram = Tensor::new(self.histogram(), &Device::Cpu)?;
        Ok(vec![("hist".to_owned(), histogram)])
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        let histogram = buffers
            .get("hist")
            .ok_or(Error::missing("DynamicSoftMarginLoss", "the buffer hist"))?;
        let fits = histogram.dims() == [self.num_bins];
        check::shape(fits, "hist", histogram, "[num_bins]")?;
        *self.lock() = histogram.to_dtype(DType::F64)?.to_vec1()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
