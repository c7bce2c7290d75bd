//! Several losses of the same batch, added up.
//!
//! ```text
//! L = Σ wᵢ Lᵢ
//! ```
//!
//! Each part is a whole [`Objective`] with its own reducer, regularizers and, if it likes, its own miner. Parts without
//! a miner share the tuples that are given.

use std::collections::HashMap;

use dml_core::candle_core::{Tensor, Var};
use dml_core::{Batch, Loss, Objective, Result, SeedSequence, Term, Terms, Tuples, check};

use crate::wrappers::inner_names::{prefixed, unprefixed};

/// One of several losses.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Objective, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{ContrastiveLoss, IntraPairVarianceLoss, IntraPairVarianceLossConfig};
/// use dml_losses::{MultipleLosses, WeightedObjective};
/// use dml_reducers::MeanReducer;
///
/// let contrastive = ContrastiveLoss::new(Default::default(), LpDistance::unnormalized())?;
/// let config = IntraPairVarianceLossConfig { pos_eps: 0.25, neg_eps: 0.25 };
/// let variance = IntraPairVarianceLoss::new(config, LpDistance::unnormalized())?;
/// let losses = MultipleLosses::new(vec![
///     WeightedObjective {
///         name: "contrastive".to_owned(),
///         objective: Objective::new(contrastive, MeanReducer),
///         weight: 1.0,
///     },
///     WeightedObjective {
///         name: "variance".to_owned(),
///         objective: Objective::new(variance, MeanReducer),
///         weight: 0.5,
///     },
/// ])?;
/// let embeddings = Tensor::new(&[[0f64], [1.], [4.], [7.]], &Device::Cpu)?;
/// let terms = losses.terms(&Batch::new(&embeddings, &[0i64, 0, 1, 1])?, &Tuples::all())?;
/// // The first loss: the positives are 1 and 3 apart, 2 in the mean; the negatives, 3 or more apart, cost nothing. The
/// // second: one of two positive pairs costs 0.5² and one of four negative pairs 0.75².
/// let want = 1. * 2. + 0.5 * (0.25 / 2. + 0.5625 / 4.);
/// let value = terms.get("loss").unwrap().sum_within(None, None)?.sum.to_scalar::<f64>()?;
/// assert!((value - want).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeightedObjective {
    /// Name of the part, used in the names of its parameters.
    pub name: String,
    /// Loss and reducer, and what else belongs to them.
    pub objective: Objective,
    /// Weight of the loss; any finite number.
    pub weight: f64,
}

impl WeightedObjective {
    /// What stands before the names of its parameters.
    fn prefix(&self) -> String {
        format!("losses.{}.", self.name)
    }
}

/// The weighted sum of several losses ([formula](self)). One term `loss`, a scalar.
///
/// A part that compares two views row by row, such as [`VICRegLoss`](crate::VICRegLoss), gets embeddings and reference set
/// without their labels.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Objective, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{ContrastiveLoss, ContrastiveLossConfig, MultipleLosses, WeightedObjective};
/// use dml_reducers::MeanReducer;
///
/// let part = |name: &str, weight| -> dml_core::Result<WeightedObjective> {
///     let distance = Arc::new(LpDistance::unnormalized());
///     let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance)?;
///     let objective = Objective::new(Arc::new(loss), Arc::new(MeanReducer));
///     Ok(WeightedObjective { name: name.to_owned(), objective, weight })
/// };
/// let losses = MultipleLosses::new(vec![part("near", 1.0)?, part("far", 0.5)?])?;
/// let embeddings = Tensor::new(&[[0f32], [0.5], [0.25]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// // The positives are 0.5 apart, the negatives 0.25, which is 0.75 too near: 1.5 · (0.5 + 0.75).
/// let terms = losses.terms(&batch, &Tuples::all())?;
/// assert_eq!(terms.get("loss").unwrap().sum_within(None, None)?.sum.to_scalar::<f32>()?, 1.875);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultipleLosses {
    parts: Vec<WeightedObjective>,
}

impl MultipleLosses {
    /// The sum of `parts`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a weight that is not finite.
    pub fn new(parts: Vec<WeightedObjective>) -> Result<Self> {
        for part in &parts {
            check::finite("weight", part.weight)?;
        }
        Ok(Self { parts })
    }

    /// The parts in order.
    #[must_use]
    pub fn parts(&self) -> &[WeightedObjective] {
        &self.parts
    }

    /// The batch as a part takes it: without labels where the part compares two views row by row.
    fn as_read_by(part: &WeightedObjective, batch: &Batch) -> Result<Batch> {
        if part.objective.loss().reads_relation() || batch.relation().is_none() {
            return Ok(batch.clone());
        }
        // Of labelled rows without a second view, some may be views of the others.
        let needed = "a second view as its reference set, which one of the losses compares";
        check::present(batch.reference(), "MultipleLosses", needed)?;
        Ok(batch.without_labels())
    }
}

impl Loss for MultipleLosses {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        let mines = |part: &WeightedObjective| part.objective.miner().is_some();
        let reason = "tuples are given, and some of the losses mine their own";
        let fits = tuples.is_all() || !self.parts.iter().any(mines);
        check::supported(fits, "MultipleLosses", reason)?;
        let mut sum = batch.zero()?;
        for part in &self.parts {
            let batch = &Self::as_read_by(part, batch)?;
            let outcome = if mines(part) {
                part.objective.evaluate(batch)?
            } else {
                part.objective.evaluate_tuples(batch, tuples)?
            };
            sum = (sum + (outcome.loss * part.weight)?)?;
        }
        Ok(Term::scalar("loss", sum)?.into())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        let of =
            |part: &WeightedObjective| prefixed(&part.prefix(), part.objective.loss().parameters());
        self.parts.iter().flat_map(of).collect()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let of = |part: &WeightedObjective| part.objective.seeds();
        self.parts.iter().flat_map(of).collect()
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let mut buffers = Vec::new();
        for part in &self.parts {
            buffers.extend(prefixed(&part.prefix(), part.objective.loss().buffers()?));
        }
        Ok(buffers)
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        for part in &self.parts {
            let own = unprefixed(&part.prefix(), buffers);
            part.objective.loss().set_buffers(&own)?;
        }
        Ok(())
    }

    fn takes_reference(&self) -> bool {
        // For a loss that compares views the reference set is the second one.
        let takes = |part: &WeightedObjective| {
            let loss = part.objective.loss();
            loss.takes_reference() || !loss.reads_relation()
        };
        self.parts.iter().all(takes)
    }

    /// Parts that mine their own refuse tuples that are given.
    fn takes_tuples(&self) -> bool {
        let takes = |part: &WeightedObjective| {
            part.objective.loss().takes_tuples() && part.objective.miner().is_none()
        };
        self.parts.iter().all(takes)
    }

    fn reads_relation(&self) -> bool {
        let reads = |part: &WeightedObjective| part.objective.loss().reads_relation();
        self.parts.iter().any(reads)
    }

    fn reads_weights(&self) -> bool {
        let reads = |part: &WeightedObjective| part.objective.loss().reads_weights();
        self.parts.iter().all(reads)
    }

    fn reads_classes(&self) -> bool {
        let reads = |part: &WeightedObjective| part.objective.loss().reads_classes();
        self.parts.iter().any(reads)
    }
}
