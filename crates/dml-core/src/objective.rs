//! Miner, loss, reducer and regularizers as one: what a training loop calls.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{
    Batch, Loss, Miner, Reduced, Reducer, Regularizer, Result, SeedSequence, Term, Terms,
    TupleCount, Tuples, check,
};

/// What is minimised: `reduce(loss(batch, mine(batch))) + Σ weight · regularizer(embeddings)`, and the same over the
/// weights of a class loss.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor, Var};
/// use dml_core::{Batch, Indices, Loss, Objective, Over, Reduced, Reducer, Result, Term, Terms, Tuples};
///
/// /// The squared length of each row.
/// #[derive(Debug)]
/// struct Length;
/// impl Loss for Length {
///     fn terms(&self, batch: &Batch, _: &Tuples) -> Result<Terms> {
///         let values = batch.embeddings().sqr()?.sum(1)?;
///         let rows = (0..batch.queries() as u32).collect();
///         Ok(Term::explicit("loss", Over::Elements, values, Indices::Elements(rows))?.into())
///     }
/// }
///
/// #[derive(Debug)]
/// struct Total;
/// impl Reducer for Total {
///     fn reduce_term(&self, term: &Term, _: &Batch) -> Result<Reduced> {
///         let part = term.sum_within(None, None)?;
///         Ok(Reduced::new(part.sum, part.count, term.count()))
///     }
/// }
///
/// let embeddings = Var::new(&[[3f32, 4.], [0., 1.]], &Device::Cpu)?;
/// let objective = Objective::new(Length, Total);
/// let loss = objective.forward(&Batch::new(&embeddings, &[0i64, 1])?)?;
/// assert_eq!(loss.to_scalar::<f32>()?, 26.0);
/// let gradients = loss.backward()?;
/// assert_eq!(gradients.get(embeddings.as_tensor()).unwrap().to_vec2::<f32>()?, [[6., 8.], [0., 2.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Objective {
    miner: Option<Arc<dyn Miner>>,
    loss: Arc<dyn Loss>,
    reducer: Arc<dyn Reducer>,
    regularizers: Vec<(Arc<dyn Regularizer>, f64)>,
    weight_regularizers: Vec<(Arc<dyn Regularizer>, f64)>,
}

/// A reduced loss with the numbers of tuples and values that it is made of; see [`Objective::evaluate`].
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Objective, Reduced, Reducer, Result, Term, Terms, Tuples};
///
/// #[derive(Debug)]
/// struct Length;
/// impl Loss for Length {
///     fn terms(&self, batch: &Batch, _: &Tuples) -> Result<Terms> {
///         Ok(Term::scalar("length", batch.embeddings().sqr()?.sum_all()?)?.into())
///     }
/// }
///
/// #[derive(Debug)]
/// struct Sum;
/// impl Reducer for Sum {
///     fn reduce_term(&self, term: &Term, _: &Batch) -> Result<Reduced> {
///         let part = term.sum_within(None, None)?;
///         Ok(Reduced::new(part.sum, part.count, term.count()))
///     }
/// }
///
/// let batch = Batch::new(&Tensor::new(&[[3f32, 4.]], &Device::Cpu)?, &[0i64])?;
/// let outcome = Objective::new(Length, Sum).evaluate(&batch)?;
/// assert_eq!(outcome.loss.to_scalar::<f32>()?, 25.);
/// assert_eq!(outcome.parts[0].0, "length");
/// assert_eq!((outcome.kept, outcome.total, outcome.mined), (1, 1, None));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Scalar to be minimised.
    pub loss: Tensor,
    /// Number of mined tuples; `None` without a miner.
    pub mined: Option<TupleCount>,
    /// Number of values of the loss that took part in the reduction.
    pub kept: u64,
    /// Number of values of the loss.
    pub total: u64,
    /// The terms of the loss by name, each reduced; their sum is `loss`.
    pub parts: Vec<(&'static str, Tensor)>,
}

impl Objective {
    /// A loss with its reducer, over everything that the relation of a batch allows.
    #[must_use]
    pub fn new(loss: impl Loss + 'static, reducer: impl Reducer + 'static) -> Self {
        Self {
            miner: None,
            loss: Arc::new(loss),
            reducer: Arc::new(reducer),
            regularizers: Vec::new(),
            weight_regularizers: Vec::new(),
        }
    }

    /// Restricts the loss to the tuples that `miner` chooses.
    #[must_use]
    pub fn with_miner(self, miner: impl Miner + 'static) -> Self {
        Self {
            miner: Some(Arc::new(miner)),
            ..self
        }
    }

    /// Adds `weight · regularizer(embeddings)`, also where the loss itself is empty.
    #[must_use]
    pub fn with_regularizer(
        mut self,
        regularizer: impl Regularizer + 'static,
        weight: f64,
    ) -> Self {
        self.regularizers.push((Arc::new(regularizer), weight));
        self
    }

    /// Adds `weight · regularizer(weights)` for the weights that a class loss learns, one row per class or centre.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if the loss learns no weights of classes.
    pub fn with_weight_regularizer(
        mut self,
        regularizer: impl Regularizer + 'static,
        weight: f64,
    ) -> Result<Self> {
        let (component, reason) = (
            "Objective::with_weight_regularizer",
            "the loss learns no weights of classes",
        );
        check::supported(self.loss.as_class_loss().is_some(), component, reason)?;
        self.weight_regularizers
            .push((Arc::new(regularizer), weight));
        Ok(self)
    }

    /// The loss.
    #[must_use]
    pub fn loss(&self) -> &Arc<dyn Loss> {
        &self.loss
    }

    /// The miner, if tuples are mined.
    #[must_use]
    pub fn miner(&self) -> Option<&Arc<dyn Miner>> {
        self.miner.as_ref()
    }

    /// The reducer.
    #[must_use]
    pub fn reducer(&self) -> &Arc<dyn Reducer> {
        &self.reducer
    }

    /// Where the randomness of miner and loss comes from.
    #[must_use]
    pub fn seeds(&self) -> Vec<SeedSequence> {
        let mut seeds = self.loss.seeds();
        if let Some(miner) = &self.miner {
            seeds.extend(miner.seeds());
        }
        seeds
    }

    /// The scalar to be minimised.
    ///
    /// # Errors
    /// As the miner, the loss, the reducer and the regularizers.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.evaluate(batch)?.loss)
    }

    /// The loss of a batch with the number of tuples mined and values kept.
    ///
    /// # Errors
    /// As the miner, the loss, the reducer and the regularizers.
    pub fn evaluate(&self, batch: &Batch) -> Result<Outcome> {
        let batch = &batch.sharing();
        let tuples = match &self.miner {
            // A miner of one's own need not know what to do with NaN, and could mine nothing: all tuples are kept.
            Some(_) if self.spoiled(batch, &Tuples::all())?.is_some() => Tuples::all(),
            Some(miner) => miner.mine(&batch.detach())?,
            None => Tuples::all(),
        };
        let countable = batch.relation().is_some() || !tuples.is_all();
        let mined = (self.miner.is_some() && countable)
            .then(|| tuples.count(batch))
            .transpose()?;
        let outcome = self.evaluate_tuples(batch, &tuples)?;
        Ok(Outcome { mined, ..outcome })
    }

    /// The loss over given tuples; the miner is not asked.
    ///
    /// # Errors
    /// As the loss, the reducer and the regularizers.
    pub fn evaluate_tuples(&self, batch: &Batch, tuples: &Tuples) -> Result<Outcome> {
        let batch = &batch.sharing_already();
        let terms = self.terms(batch, tuples)?;
        let parts = self.reducer.reduce_each(&terms, batch)?;
        let reduced = Reduced::sum(&parts, batch)?;
        let parts = parts.into_iter().map(|(name, part)| (name, part.loss));
        Ok(Outcome {
            loss: reduced.loss,
            mined: None,
            kept: reduced.kept,
            total: reduced.total,
            parts: parts.collect(),
        })
    }

    /// The terms of the loss over given tuples, unreduced, with one more for each regularizer.
    ///
    /// Where a row that takes part is not finite there is one term, `loss`, and it is NaN ([`Batch::spoiled`]): also
    /// for a loss of one's own, whose comparisons may drop the row.
    ///
    /// # Errors
    /// As the loss and the regularizers; [`Error::Unsupported`](crate::Error::Unsupported) for a batch whose relation has weights if the loss does
    /// not [read](Loss::reads_weights) them.
    pub fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = self.spoiled(batch, tuples)? {
            return Ok(terms);
        }
        let mut terms = self.loss.terms(batch, tuples)?;
        // A loss that refuses by itself has named itself; this is for those that do not look.
        if !self.loss.reads_weights() {
            check::unweighted("Objective", batch)?;
        }
        for (regularizer, weight) in &self.regularizers {
            let penalty = (regularizer.penalty(batch.embeddings())? * *weight)?;
            terms.push(Term::scalar("embedding_reg_loss", penalty)?);
        }
        if let Some(loss) = self.loss.as_class_loss() {
            for (regularizer, weight) in &self.weight_regularizers {
                let rows = loss.class_rows()?.to_dtype(batch.embeddings().dtype())?;
                let penalty = (regularizer.penalty(&rows)? * *weight)?;
                terms.push(Term::scalar("weight_reg_loss", penalty)?);
            }
        }
        Ok(terms)
    }

    /// What stands for the terms if a row that takes part is not finite.
    fn spoiled(&self, batch: &Batch, tuples: &Tuples) -> Result<Option<Terms>> {
        match self.loss.as_class_loss() {
            None => batch.spoiled(tuples),
            Some(_) => batch.spoiled_rows(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::{ClassLoss, Relation};
    use candle_core::{Device, Var};

    /// The sum of one weight per class.
    #[derive(Debug)]
    struct Sum(Var);
    impl Loss for Sum {
        fn terms(&self, _: &Batch, _: &Tuples) -> Result<Terms> {
            Ok(Term::scalar("loss", self.0.sum_all()?)?.into())
        }
        fn parameters(&self) -> Vec<(String, Var)> {
            vec![("W".to_owned(), self.0.clone())]
        }
        fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
            Some(self)
        }
    }
    impl ClassLoss for Sum {
        fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
            Ok(embeddings.matmul(&self.0)?)
        }
        fn class_rows(&self) -> Result<Tensor> {
            Ok(self.0.t()?)
        }
    }

    #[derive(Debug)]
    struct Nothing;
    impl Loss for Nothing {
        fn terms(&self, _: &Batch, _: &Tuples) -> Result<Terms> {
            Ok(Terms::default())
        }
    }

    #[derive(Debug)]
    struct Refusing;
    impl Reducer for Refusing {
        fn reduce_term(&self, _: &Term, _: &Batch) -> Result<Reduced> {
            Err(Error::Unsupported {
                component: "Refusing",
                reason: "it reduces nothing",
            })
        }
    }

    #[derive(Debug)]
    struct FirstColumn;
    impl Regularizer for FirstColumn {
        fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
            Ok(rows.narrow(1, 0, 1)?.sum_all()?)
        }
    }

    #[test]
    fn weights_that_nobody_reads_are_refused() -> Result<()> {
        let embeddings = Tensor::zeros((2, 1), candle_core::DType::F32, &Device::Cpu)?;
        let objective = Objective::new(Nothing, Refusing);
        let terms = |relation: Relation| -> Result<Terms> {
            let batch = Batch::unlabeled(&embeddings)?.with_relation(relation)?;
            objective.terms(&batch, &Tuples::all())
        };
        let weighted = Relation::matrix(&[-1.0, 0.5, 0.5, -1.0], 2, 2)?;
        terms(weighted.without_weights())?;
        assert!(matches!(terms(weighted), Err(Error::Unsupported { .. })));
        Ok(())
    }

    #[test]
    fn weights_are_regularized_class_by_class() -> Result<()> {
        let weight = Var::new(&[[1f32, 2., 3.], [10., 20., 30.]], &Device::Cpu)?;
        let embeddings = Var::new(&[[1f32, 1.]], &Device::Cpu)?;
        let objective =
            Objective::new(Sum(weight), Refusing).with_weight_regularizer(FirstColumn, 0.5)?;
        // 66 + 0.5 · (1 + 2 + 3): the first number of each class.
        let loss = objective.forward(&Batch::unlabeled(&embeddings)?)?;
        assert_eq!(loss.to_scalar::<f32>()?, 69.0);
        assert_eq!(objective.loss().parameters()[0].0, "W");
        let refused = Objective::new(Nothing, Refusing).with_weight_regularizer(FirstColumn, 0.5);
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        Ok(())
    }
}
