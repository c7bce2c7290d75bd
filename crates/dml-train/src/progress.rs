//! Reports of iterations and epochs, which hooks get.

use candle_core::Tensor;
use dml_core::Result;

use crate::host_numbers::{doubles, larger, norm, smaller};
use crate::method::number;
use crate::{CollapseStatistics, Losses, NonFinite};

/// Report of one iteration: a step of the optimisers over one batch, or several accumulated ones.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{Flow, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .on_iteration(|done| {
///         assert_eq!((done.epoch, done.examples), (1, 8));
///         let names: Vec<String> = done.scalars().into_iter().map(|(name, _)| name).collect();
///         assert_eq!(names[..2], ["loss", "losses/metric_loss"]);
///         Ok(Flow::Continue)
///     })
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Iteration {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The iteration of the epoch, from 0.
    pub iteration: u64,
    /// Number of iterations so far, this one and those of earlier epochs included.
    pub step: u64,
    /// Weighted sum of the losses before the step, `Σ weight · loss`.
    pub loss: f64,
    /// Each loss by name, unweighted; 0 where the method left it out.
    pub losses: Vec<(String, f64)>,
    /// The terms of losses that have several.
    pub terms: Vec<(String, f64)>,
    /// Number of mined tuples; `None` without a miner.
    pub mined: Option<u64>,
    /// Number of values that took part in the loss.
    pub kept: u64,
    /// Number of values of the loss.
    pub total: u64,
    /// Norms of the embeddings.
    pub norms: Norms,
    /// Statistics of the directions of embeddings that show a collapse; their mean over accumulated batches.
    pub collapse: CollapseStatistics,
    /// Norm of all gradients together, before clipping;
    /// `None` unless [`with_gradient_norm`](crate::TrainerBuilder::with_gradient_norm) is set.
    pub gradient_norm: Option<f64>,
    /// Factor of the loss before gradients were taken, in mixed precision with a loss scale. `None` without one.
    pub loss_scale: Option<f64>,
    /// Whether the step was skipped, which only a loss scale does: a loss, embedding, gradient or running statistic was
    /// not finite. Weights, buffers and schedules are as before the iteration, and the next loss scale is smaller.
    pub skipped: bool,
    /// The learning rate of each module and criterion that has one.
    pub learning_rates: Vec<(String, f64)>,
    /// Number of rows.
    pub examples: usize,
    /// Duration of the iteration in seconds, loading included.
    pub seconds: f64,
}

/// Euclidean norms of embeddings.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_train::Norms;
///
/// let norms = Norms::of(&Tensor::new(&[[3f32, 4.], [0., 1.]], &Device::Cpu)?)?;
/// assert_eq!((norms.mean, norms.min, norms.max), (3.0, 1.0, 5.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Norms {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Norms {
    /// Norms of the rows of embeddings `[rows, dim]`; all 0 without rows, NaN if a row holds NaN.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
    pub fn of(embeddings: &Tensor) -> Result<Self> {
        let (_, dim) = embeddings.dims2()?;
        Ok(Self::of_rows(&doubles(embeddings)?, dim))
    }

    /// Norms of rows of `dim` numbers.
    pub(crate) fn of_rows(values: &[f64], dim: usize) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let norms: Vec<f64> = values.chunks_exact(dim).map(norm).collect();
        Self {
            mean: norms.iter().sum::<f64>() / norms.len() as f64,
            min: norms.iter().copied().fold(f64::INFINITY, smaller),
            max: norms.iter().copied().fold(0.0, larger),
        }
    }

    /// Whether every norm is finite.
    fn is_finite(&self) -> bool {
        self.min.is_finite() && self.max.is_finite()
    }
}

impl Iteration {
    /// An iteration without any numbers yet.
    pub(crate) fn new(epoch: u64, iteration: u64, step: u64) -> Self {
        Self {
            epoch,
            iteration,
            step,
            ..Self::default()
        }
    }

    /// Fraction of the values that took part in the loss; 0 without values.
    #[must_use]
    pub fn active_fraction(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.kept as f64 / self.total as f64
        }
    }

    /// Rows per second.
    #[must_use]
    pub fn examples_per_second(&self) -> f64 {
        self.examples as f64 / self.seconds.max(1e-9)
    }

    /// All numbers by name, as logs write them. A method may bring new names in later epochs, such as the terms of a loss
    /// that has its turn then.
    #[must_use]
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let mut scalars = vec![("loss".to_owned(), self.loss)];
        let named = |kind: &'static str| {
            move |(name, value): &(String, f64)| (format!("{kind}/{name}"), *value)
        };
        scalars.extend(self.losses.iter().map(named("losses")));
        scalars.extend(self.terms.iter().map(named("terms")));
        scalars.extend(
            self.mined
                .map(|mined| ("tuples/mined".to_owned(), mined as f64)),
        );
        let always = [
            ("tuples/kept", self.kept as f64),
            ("tuples/total", self.total as f64),
            ("tuples/active_fraction", self.active_fraction()),
            ("embedding_norm/mean", self.norms.mean),
            ("embedding_norm/min", self.norms.min),
            ("embedding_norm/max", self.norms.max),
            ("embedding_spread/direction", self.collapse.direction),
            ("embedding_spread/deviation", self.collapse.deviation),
        ];
        scalars.extend(always.map(|(name, value)| (name.to_owned(), value)));
        scalars.extend(
            self.gradient_norm
                .map(|norm| ("gradient_norm".to_owned(), norm)),
        );
        scalars.extend(
            self.loss_scale
                .map(|scale| ("loss_scale".to_owned(), scale)),
        );
        scalars.extend(self.learning_rates.iter().map(named("learning_rate")));
        let rate = self.examples_per_second();
        scalars.push(("examples_per_second".to_owned(), rate));
        scalars
    }
}

/// Report of one epoch.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{Flow, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .on_epoch(|done, _| {
///         assert_eq!((done.epoch, done.step, done.validation), (1, 5, None));
///         Ok(Flow::Continue)
///     })
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Epoch {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Number of iterations so far.
    pub step: u64,
    /// Mean loss of the steps that were made, those before an interruption included; NaN if there was none.
    pub mean_loss: f64,
    /// Value of the validation, if the model was evaluated.
    pub validation: Option<f64>,
    /// The best epoch so far and its validation.
    pub best: Option<(u64, f64)>,
    /// Duration of the epoch in seconds, validation included, without the time before an interruption.
    pub seconds: f64,
}

/// The report of an iteration while its batches are added up.
#[derive(Debug)]
pub(crate) struct Sums {
    /// The report, with sums over batches in the place of means.
    report: Iteration,
    norms: Vec<(Norms, CollapseStatistics, usize)>,
    batches: f64,
    /// The first loss or batch of embeddings that is not finite.
    pub(crate) fault: Option<NonFinite>,
    /// Modules and criteria that a batch did not involve, so that no gradient is expected for them.
    pub(crate) left_out: Vec<String>,
}

impl Sums {
    pub(crate) fn new(report: Iteration) -> Self {
        Self {
            report,
            norms: Vec::new(),
            batches: 0.0,
            fault: None,
            left_out: Vec::new(),
        }
    }

    /// Adds a batch.
    pub(crate) fn add(&mut self, losses: &Losses, examples: usize) -> Result<()> {
        let report = &mut self.report;
        let mut total = 0.0;
        for value in losses.values() {
            let loss = number(&value.value)?;
            if value.weight != 0.0 {
                let weighted = value.weight * loss;
                if !weighted.is_finite() {
                    let name = value.name.clone();
                    let value = if loss.is_finite() { weighted } else { loss };
                    self.fault.get_or_insert(NonFinite::Loss { name, value });
                }
                total += weighted;
            }
            add_named(&mut report.losses, &value.name, loss);
        }
        if !total.is_finite() {
            let name = "(sum of all)".to_owned();
            let fault = NonFinite::Loss { name, value: total };
            self.fault.get_or_insert(fault);
        }
        report.loss += total;
        for (name, term) in losses.terms() {
            add_named(&mut report.terms, name, number(term)?);
        }
        if let Some(mined) = losses.mined() {
            *report.mined.get_or_insert(0) += mined;
        }
        report.kept += losses.kept();
        report.total += losses.total_values();
        report.examples += examples;
        if let Some(embeddings) = losses.embeddings() {
            let (rows, dim) = embeddings.dims2()?;
            let values = doubles(embeddings)?;
            let norms = Norms::of_rows(&values, dim);
            if !norms.is_finite() {
                self.fault.get_or_insert(NonFinite::Embeddings);
            }
            self.norms
                .push((norms, CollapseStatistics::of_rows(&values, dim), rows));
        }
        self.left_out.extend_from_slice(&losses.left_out);
        self.batches += 1.0;
        Ok(())
    }

    /// The report with the means over the batches.
    pub(crate) fn finish(self) -> Iteration {
        let mut report = self.report;
        report.loss /= self.batches;
        for (_, sum) in report.losses.iter_mut().chain(&mut report.terms) {
            *sum /= self.batches;
        }
        let rows: usize = self.norms.iter().map(|(_, _, rows)| rows).sum();
        if rows > 0 {
            let batches = self.norms.iter().filter(|(_, _, rows)| *rows > 0);
            let mean = |of: &dyn Fn(&Norms, &CollapseStatistics) -> f64| -> f64 {
                let share = |(norms, spread, own): &(Norms, CollapseStatistics, usize)| {
                    of(norms, spread) * *own as f64 / rows as f64
                };
                batches.clone().map(share).sum()
            };
            let norms = batches.clone().map(|(norms, _, _)| norms);
            report.norms = Norms {
                mean: mean(&|norms, _| norms.mean),
                min: norms.clone().map(|n| n.min).fold(f64::INFINITY, smaller),
                max: norms.map(|n| n.max).fold(0.0, larger),
            };
            report.collapse = CollapseStatistics {
                direction: mean(&|_, spread| spread.direction),
                deviation: mean(&|_, spread| spread.deviation),
            };
        }
        report
    }
}

fn add_named(sums: &mut Vec<(String, f64)>, name: &str, value: f64) {
    match sums.iter_mut().find(|(own, _)| own == name) {
        Some((_, sum)) => *sum += value,
        None => sums.push((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LossValue;
    use candle_core::Device;

    #[test]
    fn accumulated_batches_are_averaged() -> Result<()> {
        let scalar = |x: f32| Tensor::new(x, &Device::Cpu);
        let mut sums = Sums::new(Iteration::new(1, 0, 1));
        for (loss, rows) in [(1.0, [[3f32, 4.], [0., 1.]]), (2.0, [[0., 2.], [0., 0.]])] {
            let losses = Losses::of(&Tensor::new(&rows, &Device::Cpu)?)
                .with(LossValue::new("a", scalar(loss)?, 1.0))
                .with(LossValue::new("b", scalar(10.0)?, 0.5))
                .with(LossValue::new("off", scalar(f32::NAN)?, 0.0));
            sums.add(&losses, 2)?;
        }
        let iteration = sums.finish();
        assert_eq!(iteration.loss, 6.5);
        assert_eq!(
            iteration.losses[..2],
            [("a".to_owned(), 1.5), ("b".to_owned(), 10.0)]
        );
        assert_eq!(iteration.examples, 4);
        let Norms { mean, min, max } = iteration.norms;
        assert_eq!((mean, min, max), (2.0, 0.0, 5.0));
        // (0.6, 0.8) and (0, 1), then (0, 1) and nothing: lengths of (0.3, 0.9) and (0, 0.5), deviations 0.2 and 0.25.
        let CollapseStatistics {
            direction,
            deviation,
        } = iteration.collapse;
        approx::assert_relative_eq!(direction, (0.9f64.sqrt() + 0.5) / 2.0, epsilon = 1e-7);
        approx::assert_relative_eq!(deviation, (0.2 + 0.25) / 2.0, epsilon = 1e-7);
        assert_eq!(iteration.active_fraction(), 0.0);
        Ok(())
    }
}
