//! Margin loss: positives within a boundary β around the anchor, negatives outside of it, both by a margin.
//!
//! ```text
//! ℓ = max(0, h(a,p) − β + margin) + max(0, β − h(a,n) + margin)      h: the distance; for similarities −s, and −β
//! divisor = number of first terms above 0 + number of second terms above 0
//! ```
//!
//! β is one number, or one for each class of the anchor. Where it is learned, a second term `beta_reg_loss` is ν β: once
//! for a single β, else once for each triplet with its anchor's β.
//!
//! Wu, Manmatha, Smola and Krähenbühl, "Sampling Matters in Deep Embedding Learning" (ICCV 2017, arXiv:1706.07567).
//!
//! Triplets that come as a set are summed without being written out, `O(N² log N)` time and `O(N²)` memory. A list of
//! triplets is taken as it is, repeats included.

mod boundary;
mod margin_sum;

use std::sync::Arc;

use candle_core::Var;
use candle_nn::VarBuilder;
use dml_core::{Batch, Distance, Loss, Over, Result, SeedSequence, Term, Terms, Tuples, check};

use crate::TripletsPerAnchor;
use crate::machinery::requirements;
use crate::machinery::triplet_form::TripletForm;
use boundary::{Boundary, PerTriplet};
use margin_sum::MarginSum;

dml_core::config! {
    /// Configuration of [`MarginLoss`].
    pub struct MarginLossConfig {
        /// How far within or outside of the boundary, in units of the distance; in `[-1e30, 1e30]`. Default `0.2`.
        pub margin: f64 = 0.2,
        /// ν, the price of a large boundary; in `[-1e30, 1e30]`. Default `0`.
        pub nu: f64 = 0.0,
        /// β, the boundary, or where it begins if it is learned; finite. Default `1.2`.
        pub beta: f64 = 1.2,
        /// How many triplets of each anchor are looked at when no tuples are given. Default all.
        pub triplets_per_anchor: TripletsPerAnchor = TripletsPerAnchor::All,
        /// Whether β is learned. Default `false`.
        pub learn_beta: bool = false,
        /// For how many classes there is a β each; labels are below it. Default none: one β for all.
        pub num_classes: Option<usize> = None,
        /// Where the random triplets come from: successive calls draw differently, runs of one seed alike. Default `0`.
        pub seed: u64 = 0,
    }
}

/// Hinges on both sides of a boundary ([formula](self)). Terms `margin_loss`, per triplet, and `beta_reg_loss`.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{MarginLoss, MarginLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F64, &Device::Cpu);
/// // Positives within 1.5, negatives beyond 2.5.
/// let config = MarginLossConfig { margin: 0.5, beta: 2.0, ..Default::default() };
/// let loss = MarginLoss::new(config, LpDistance::unnormalized(), vars)?;
/// let embeddings = Tensor::new(&[[0f64], [2.], [4.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Row 0: its positive is at 2 and its negative at 4. Row 1: both are at 2. Three of the four hinges are above 0.
/// let term = terms.get("margin_loss").unwrap();
/// assert_eq!(term.values()?.0.to_vec1::<f64>()?, [0.5 + 0., 0.5 + 0.5]);
/// assert_eq!(term.divisor(), Some(3.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MarginLoss {
    margin: f64,
    nu: f64,
    boundary: Boundary,
    triplets_per_anchor: TripletsPerAnchor,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

impl MarginLoss {
    /// A loss over `distance`. A learned β is the variable `beta` of `vars`, `[1]` or `[num_classes]`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is not finite or 0 where it counts
    /// things, [`Error::Tensor`](dml_core::Error::Tensor) if `vars` has a `beta` of another shape.
    pub fn new(
        config: MarginLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            margin: check::finite("margin", config.margin)?,
            nu: check::finite("nu", config.nu)?,
            boundary: Boundary::new(&config, &vars)?,
            triplets_per_anchor: config.triplets_per_anchor.checked()?,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }
}

impl Loss for MarginLoss {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "MarginLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let chosen = self.triplets_per_anchor;
        let tuples = chosen.of("MarginLoss", batch, tuples, &self.seeds)?;
        let matrix = batch.distances(&self.distance)?; // [Q, R]
        let form = TripletForm::of(&tuples, batch, &matrix, self.distance.order())?;
        let counts = match &form {
            Some(form) => form.walk().counts(batch.queries()),
            None => counts(&tuples.triplets(batch)?.anchors, batch.queries()),
        };
        if counts.iter().all(|count| *count == 0) {
            let names = ["margin_loss", "beta_reg_loss"];
            return Ok(names.into_iter().map(Term::empty).collect());
        }
        let boundaries = self.boundary.of_anchors(batch, &counts, &matrix)?; // [Q]
        let sum = MarginSum {
            margin: self.margin,
            distance: self.distance.clone(),
            matrix,
            boundaries: boundaries.clone(),
            batch: batch.clone(),
            tuples,
        };
        let (term, divisor) = match form {
            Some(form) => {
                let sum = sum.over(form);
                let divisor = sum.active()? as f64;
                let term = Term::implicit("margin_loss", Over::Triplets, Arc::new(sum));
                (term.with_divisor(divisor), divisor)
            }
            None => sum.explicit("margin_loss")?,
        };
        let regularizer = match self.boundary.learned() {
            None => Term::empty("beta_reg_loss"),
            Some(beta) if self.boundary.is_single() => {
                let price = (beta.as_tensor() * self.nu)?;
                Term::scalar("beta_reg_loss", price.to_dtype(boundaries.dtype())?)?
            }
            Some(_) => {
                let prices = PerTriplet::new((boundaries * self.nu)?, counts);
                Term::implicit("beta_reg_loss", Over::Elements, Arc::new(prices))
                    .with_divisor(divisor)
            }
        };
        Ok([term, regularizer].into_iter().collect())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        let beta = self.boundary.learned().cloned();
        beta.map(|beta| ("beta".to_owned(), beta))
            .into_iter()
            .collect()
    }

    /// β belongs to a class, or to all of them.
    fn reads_classes(&self) -> bool {
        true
    }
}

fn counts(anchors: &[u32], queries: usize) -> Vec<u64> {
    let mut counts = vec![0; queries];
    for &a in anchors {
        counts[a as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
