//! Training methods: from rows to representations, and from representations to losses.

use std::fmt::Debug;

use candle_core::{DType, Tensor};
use dml_core::{Batch, Examples, Outcome, Result, TupleCount, check, no_grad};

use crate::{Criterion, NamedModule, ParameterGroup};

/// A training method: its modules, and the losses of a batch that are minimised.
///
/// [`represent`](Method::represent) treats each row by itself, so that a
/// [gradient cache](crate::TrainerBuilder::with_gradient_cache) can call it chunk by chunk; [`losses`](Method::losses)
/// compares rows. Steps, counters, checkpoints and reports are part of the [`Trainer`](crate::Trainer).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use candle_core::Tensor;
/// use dml_core::{Examples, Result};
/// use dml_train::{Criterion, Losses, Method, NamedModule, ParameterGroup, Trainer};
///
/// /// One module, and a loss on the labels of its rows.
/// #[derive(Debug)]
/// struct Simple {
///     trunk: NamedModule,
///     criterion: Criterion,
/// }
///
/// impl Method for Simple {
///     fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
///         self.trunk.forward(view, train)
///     }
///
///     fn losses(&self, embeddings: &[Tensor], examples: &Examples, _epoch: u64) -> Result<Losses> {
///         let (rows, labels) = (examples.rows(), examples.labels());
///         let batch = self.criterion.batch(&embeddings[0], rows, labels)?;
///         Losses::of(&embeddings[0]).with_criterion(&self.criterion, &batch)
///     }
///
///     fn modules(&self) -> Vec<&NamedModule> {
///         vec![&self.trunk]
///     }
///
///     fn criteria(&self) -> Vec<&Criterion> {
///         vec![&self.criterion]
///     }
///
///     fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
///         vec![self.trunk.parameter_group_mut(), self.criterion.parameter_group_mut()]
///     }
/// }
///
/// let (trunk, criterion) = (module("trunk", 784, 16)?, Criterion::from(objective()?));
/// let mut trainer = Trainer::builder(Simple { trunk, criterion }, digits()?, sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
pub trait Method: Debug {
    /// Called before the first iteration of an epoch, and before the rest of one after an interruption. Epochs count from
    /// 1.
    fn begin_epoch(&mut self, _epoch: u64) {}

    /// Representations of the rows of a view, each by itself, as the losses read them: `[rows, …]` → `[rows, width]`.
    ///
    /// # Errors
    /// As the modules.
    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor>;

    /// Representations of the rows of the view at `index`, for methods with a network for each view: images and texts, say.
    /// Default: [`represent`](Method::represent).
    ///
    /// # Errors
    /// As the modules.
    fn represent_view(&self, _index: usize, view: &Tensor, train: bool) -> Result<Tensor> {
        self.represent(view, train)
    }

    /// The losses of a batch; `epoch` counts from 1.
    ///
    /// # Errors
    /// As miners, losses and reducers; [`Error::Missing`](dml_core::Error::Missing) if the data set gives too few views.
    fn losses(&self, representations: &[Tensor], examples: &Examples, epoch: u64)
    -> Result<Losses>;

    /// Embeddings of rows outside of training, as they are used for search. Default: [`represent`](Method::represent) without
    /// recording a graph ([`no_grad`](dml_core::no_grad)).
    ///
    /// # Errors
    /// As the modules.
    fn embed(&self, view: &Tensor) -> Result<Tensor> {
        no_grad(|| self.represent(view, false))
    }

    /// Embeddings of rows of the view at `index` outside of training. Default: [`embed`](Method::embed).
    ///
    /// # Errors
    /// As the modules.
    fn embed_view(&self, _index: usize, view: &Tensor) -> Result<Tensor> {
        self.embed(view)
    }

    /// The modules in a fixed order.
    fn modules(&self) -> Vec<&NamedModule>;

    /// The criteria in a fixed order.
    fn criteria(&self) -> Vec<&Criterion>;

    /// The parameter groups of the modules and then of the criteria, in the order of [`modules`](Method::modules) and
    /// [`criteria`](Method::criteria).
    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup>;

    /// Whether the parameter group of that name makes steps in that epoch.
    fn trains(&self, _name: &str, _epoch: u64) -> bool {
        true
    }
}

/// One loss of a method, with its weight in the sum.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_train::LossValue;
///
/// let loss = LossValue::new("triplets", Tensor::new(0.5f32, &Device::Cpu)?, 2.0);
/// assert_eq!((loss.name.as_str(), loss.weight), ("triplets", 2.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LossValue {
    /// The name.
    pub name: String,
    /// Value as a scalar, before it is weighted.
    pub value: Tensor,
    /// The weight.
    pub weight: f64,
}

impl LossValue {
    /// A loss.
    pub fn new(name: impl Into<String>, value: Tensor, weight: f64) -> Self {
        let name = name.into();
        Self {
            name,
            value,
            weight,
        }
    }
}

/// The losses of a batch, with the counts and embeddings that logs report.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_train::{LossValue, Losses};
///
/// let embeddings = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// let losses = Losses::of(&embeddings)
///     .with(LossValue::new("triplets", Tensor::new(0.5f32, &Device::Cpu)?, 1.0))
///     .with(LossValue::new("classes", Tensor::new(2f32, &Device::Cpu)?, 0.25));
/// assert_eq!(losses.total()?.to_scalar::<f32>()?, 1.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Losses {
    values: Vec<LossValue>,
    terms: Vec<(String, Tensor)>,
    mined: Option<u64>,
    kept: u64,
    total: u64,
    embeddings: Option<Tensor>,
    pub(crate) left_out: Vec<String>,
}

impl Losses {
    /// No losses yet, for a batch of these embeddings.
    #[must_use]
    pub fn of(embeddings: &Tensor) -> Self {
        Self {
            embeddings: Some(embeddings.detach()),
            ..Self::default()
        }
    }

    dml_core::setters! {
        /// Adds a loss.
        pub fn with(self, value: LossValue) { self.values.push(value) }

        /// Declares that this batch does not involve the module or criterion of that name. The trainer then expects no gradient
        /// for its parameters, and does not report them as unused.
        pub fn leaving_out(self, name: impl Into<String>) { self.left_out.push(name.into()) }
    }

    /// Adds the loss of an objective, with its counts.
    #[must_use]
    pub fn with_outcome(mut self, (value, outcome): (LossValue, Outcome)) -> Self {
        if let Some(mined) = outcome.mined {
            *self.mined.get_or_insert(0) += TupleCount::total(mined);
        }
        self.kept += outcome.kept;
        self.total += outcome.total;
        if outcome.parts.len() > 1 {
            let name = &value.name;
            let named = |(term, loss)| (format!("{name}.{term}"), loss);
            self.terms.extend(outcome.parts.into_iter().map(named));
        }
        self.with(value)
    }

    /// Adds the loss of a criterion for a batch.
    ///
    /// # Errors
    /// As the criterion.
    pub fn with_criterion(self, criterion: &Criterion, batch: &Batch) -> Result<Self> {
        Ok(self.with_outcome(criterion.evaluate(batch)?))
    }

    /// The same numbers without the graph, which holds the matrices of the batch.
    pub(crate) fn detached(mut self) -> Self {
        for value in &mut self.values {
            value.value = value.value.detach();
        }
        for (_, term) in &mut self.terms {
            *term = term.detach();
        }
        self
    }

    /// The losses in order.
    #[must_use]
    pub fn values(&self) -> &[LossValue] {
        &self.values
    }

    /// The terms of losses that have several, as `loss.term`.
    #[must_use]
    pub fn terms(&self) -> &[(String, Tensor)] {
        &self.terms
    }

    /// Number of mined tuples; `None` without a miner.
    #[must_use]
    pub fn mined(&self) -> Option<u64> {
        self.mined
    }

    /// Number of values that took part in means and sums.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Number of values of the losses.
    #[must_use]
    pub fn total_values(&self) -> u64 {
        self.total
    }

    /// The embeddings `[rows, dim]`, without gradient.
    #[must_use]
    pub fn embeddings(&self) -> Option<&Tensor> {
        self.embeddings.as_ref()
    }

    /// `Σ weight · loss`, which is minimised. Losses with weight 0 are skipped, so a NaN in one of them has no effect.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) if every weight is 0.
    pub fn total(&self) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for LossValue { value, weight, .. } in &self.values {
            if *weight == 0.0 {
                continue;
            }
            let part = if *weight == 1.0 {
                value.clone()
            } else {
                (value * *weight)?
            };
            sum = Some(match sum {
                None => part,
                Some(sum) => {
                    // Criteria over embeddings of half precision give single-precision losses.
                    let part = part.to_dtype(sum.dtype())?;
                    (sum + part)?
                }
            });
        }
        check::present(sum, "Trainer", "a loss of a weight other than 0")
    }
}

/// A scalar as a number.
pub(crate) fn number(scalar: &Tensor) -> Result<f64> {
    Ok(scalar.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}
