//! Manifold loss: each row should be nearer to the proxy of its meta class than to others, by the paths of a random walk
//! over all rows and proxies.
//!
//! ```text
//! x: the rows, then the proxies      S = e^{2 max(0, s(x,x))}, 0 on the diagonal      D = the row sums of S
//! F = (1 − α) (1 − α D^−½ S D^−½)^−1
//! part(V) = mean over rows i of ln(1 + Σ_j e^{v_ij}),   v_ij = V_ij − V_i,own(i) + margin
//!           over the proxies j ≠ own(i) with v_ij >= 0
//! ℓ = part(F of rows and proxies) + lambdaC · part(cosines of the rows of F of rows and proxies)
//! ```
//!
//! `own(i)` is the proxy of row i: its meta class, which are the labels of the batch; without labels every proxy is given
//! to a row, and the other rows get any, at random. An infinite `lambdaC` leaves only the second part. (PyTorch Metric
//! Learning multiplies it by infinity.)
//!
//! Aziere and Todorovic, "Ensemble Deep Manifold Similarity Learning Using Hard Proxies" (CVPR 2019).
//!
//! One inverse and three products of matrices as large as rows and proxies together.

mod inverse;

use std::sync::Arc;

use candle_core::{DType, Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{
    Batch, Distance, Loss, Result, SeedSequence, TensorExt, Term, Terms, Tuples, check,
};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::requirements;
use inverse::inverse;

dml_core::config! {
    /// Configuration of [`ManifoldLoss`].
    #[expect(non_snake_case, reason = "as in the paper, and in configurations")]
    pub struct ManifoldLossConfig {
        /// Number of columns of the embeddings, 1 to 4,294,967,295.
        pub l: usize;
        /// Number of proxies, 1 to 16,384. Default `50`.
        pub K: usize = 50,
        /// Weight of the second part; in `[0, 1e30]` or infinite. Default `1`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "dml_core::extended_real::serialize"))]
        pub lambdaC: f64 as dml_core::extended_real::Extended = 1.0,
        /// α: probability that the walk goes on, in `[0, 1)`. Default `0.8`.
        pub alpha: f64 = 0.8,
        /// Margin by which the own proxy should be nearer, in `[-1e30, 1e30]`. Default `5e-4`.
        pub margin: f64 = 5e-4,
        /// Seed of the random meta classes. Successive calls draw different ones. Default `0`.
        pub seed: u64 = 0,
    }
}

/// The walks between all proxies are a matrix, of which the inverse is taken.
const MOST_PROXIES: usize = 1 << 14;

/// Proxies reached by a random walk ([formula](self)). One term `loss`, a scalar.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{ManifoldLoss, ManifoldLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = ManifoldLossConfig { K: 2, lambdaC: 0.0, margin: 0.25, ..ManifoldLossConfig::new(2) };
/// let loss = ManifoldLoss::new(config, CosineSimilarity::default(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[1f32, 0.], [-1., 0.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[0f32, 1.]], &Device::Cpu)?, &[1i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // The row reaches both proxies alike: the other one violates the margin by all of it.
/// let value = terms.get("loss").unwrap().values()?.0.to_scalar::<f32>()?;
/// assert!((value - 0.25f32.exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ManifoldLoss {
    proxies: ClassWeights,
    context: f64,
    alpha: f64,
    margin: f64,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

impl ManifoldLoss {
    /// A loss over `distance`. The proxies are the variable `proxies` of `vars`, `[K, l]`; new ones are drawn from the
    /// standard normal distribution.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is outside of its range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` has `proxies` of another shape.
    pub fn new(
        config: ManifoldLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes::new(
            "ManifoldLoss",
            check::count("K", config.K, MOST_PROXIES)?,
            check::at_least_one("l", config.l)?,
        );
        let context = config.lambdaC;
        let fits = (0.0..=check::LARGEST).contains(&context) || context == f64::INFINITY;
        let expected = "a number in [0, 1e30], or infinity";
        check::parameter(fits, "lambdaC", context, expected)?;
        Ok(Self {
            alpha: check::probability_below_one("alpha", config.alpha)?,
            margin: check::finite("margin", config.margin)?,
            proxies: ClassWeights::new(classes, Layout::Rows, "proxies", None, &vars)?,
            context,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }

    /// The proxy of each row.
    fn own(&self, batch: &Batch) -> Result<Vec<u32>> {
        if let Some(labels) = batch.labels() {
            return self.proxies.classes_of(labels);
        }
        let (rows, proxies) = (batch.queries(), self.proxies.num_classes());
        let reason = "without labels as meta classes the batch needs at least K rows";
        check::supported(rows >= proxies, "ManifoldLoss", reason)?;
        let mut rng = self.seeds.next_rng();
        let mut own: Vec<u32> = (0..proxies as u32).collect();
        own.resize_with(rows, || rng.random_range(0..proxies as u32));
        own.shuffle(&mut rng);
        Ok(own)
    }

    /// F `[M, M]` of the M rows of `x`, up to its factor 1 − α.
    fn walks(&self, x: &Tensor) -> Result<Tensor> {
        let similarities = self.distance.matrix(x, None)?; // [M, M]
        let exponents = (similarities.hinge()? * 2.0)?;
        let count = x.dims()[0];
        let others = Tensor::ones((count, count), DType::U8, x.device())?.sub(&Tensor::eye(
            count,
            DType::U8,
            x.device(),
        )?)?;
        // D^−½ S D^−½ from logarithms: similarities of any size neither overflow nor vanish.
        let half = (exponents.masked_logsumexp(Some(&others), false)? * 0.5)?; // [M]
        let steps = exponents
            .broadcast_sub(&half.unsqueeze(1)?)?
            .broadcast_sub(&half.unsqueeze(0)?)?;
        let zeros = steps.zeros_like()?;
        let steps = others.where_cond(&steps, &zeros)?.exp()?;
        let steps = others.where_cond(&steps, &zeros)?;
        let one = Tensor::eye(count, x.dtype(), x.device())?;
        inverse(&(one - (steps * self.alpha)?)?)
    }

    /// The mean of `ln(1 + Σ e^v)` over rows, for `values` `[N, K]`.
    fn part(&self, values: &Tensor, own: &Tensor) -> Result<Tensor> {
        let (_, proxies) = values.dims2()?;
        let of_own = values.gather(own, 1)?; // [N, 1]
        let violations = (values.broadcast_sub(&of_own)? + self.margin)?;
        let columns = Tensor::arange(0u32, proxies as u32, values.device())?.unsqueeze(0)?;
        let others = columns
            .broadcast_as(values.shape())?
            .ne(&own.broadcast_as(values.shape())?)?;
        // What does not count is named, so that NaN counts.
        let counts = (violations.lt(0f64)?.eq(0u8)? * others)?;
        Ok(violations
            .masked_logsumexp(Some(&counts), true)?
            .mean_all()?)
    }
}

impl Loss for ManifoldLoss {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("ManifoldLoss", batch)?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        requirements::no_tuples("ManifoldLoss", tuples)?;
        requirements::no_reference("ManifoldLoss", batch)?;
        let embeddings = batch.embeddings(); // [N, l]
        self.proxies.check_width(embeddings)?;
        let (rows, count) = (batch.queries(), self.proxies.num_classes());
        if rows == 0 {
            return Ok(Term::empty("loss").into());
        }
        check::elements("walks [rows + K, rows + K]", &[rows + count; 2], 8)?;
        let own = self.own(batch)?;
        let own = Tensor::from_vec(own, (rows, 1), embeddings.device())?;
        let proxies = self.proxies.rows_for(embeddings)?;
        let proxies = proxies.to_device(embeddings.device())?;
        let walks = self.walks(&Tensor::cat(&[embeddings, &proxies], 0)?)?;
        let (from_rows, from_proxies) = (walks.narrow(0, 0, rows)?, walks.narrow(0, rows, count)?);
        let intrinsic = || {
            let reached = (from_rows.narrow(1, rows, count)? * (1.0 - self.alpha))?;
            self.part(&reached, &own)
        };
        let context = || {
            let alike = from_rows
                .normalize_rows(2.0)?
                .pairwise_dot(&from_proxies.normalize_rows(2.0)?)?;
            self.part(&alike, &own)
        };
        let value = if self.context == 0.0 {
            intrinsic()?
        } else if self.context.is_infinite() {
            context()?
        } else {
            (intrinsic()? + (context()? * self.context)?)?
        };
        Ok(Term::scalar("loss", value)?.into())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.proxies.parameters()
    }

    fn takes_reference(&self) -> bool {
        false
    }

    fn takes_tuples(&self) -> bool {
        false
    }

    /// A label is the number of a proxy.
    fn reads_classes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
