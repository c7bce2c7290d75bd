//! Hard negatives that a generator makes, and a model that learns to tell them apart.
//!
//! ```text
//! (a, p, n): random triplets,   h = trunk(x),   ñ = generator([h_a, h_p, h_n]),   z = embedder(h),  z̃ = embedder(ñ)
//! L = metric_loss(z) + classifier_loss(z)                                                     (metric)
//!   + w_h ‖ñ° − h_a°‖² / (T·D) + w_r ‖ñ° − h_n°‖² / (T·D) + g_adv_loss(z_a, z_p, z̃)          (adversary)
//!   + synth_loss(z_a, z_p, z̃)                                                                 (both)
//! g_adv_loss(a, p, ñ) = max(0, d(a, ñ) − d(a, p) − m),   x° = x / ‖x‖₂,   d(x, y) = ‖x° − y°‖₂
//! ```
//!
//! Duan, Zheng, Lin, Lu, Zhou 2018, "Deep Adversarial Metric Learning" (CVPR 2018).

use candle_core::Tensor;
use dml_core::{
    Batch, Examples, Indices, IntoLabels, Loss, Objective, Over, PerAnchor, Reducer, Result,
    SeedSequence, TensorExt, Term, Terms, Triplets, Tuples, check, no_grad,
};

use crate::config::config;
use crate::model::{Model, with_embedder};
use crate::{Classifier, Criterion, LossValue, Losses, Method, NamedModule, ParameterGroup};

config! {
    /// Configuration of [`DeepAdversarialMetricLearning`].
    pub struct DeepAdversarialMetricLearningConfig {
        /// So many epochs the metric is trained without the generator. Default 0.
        pub metric_alone_epochs: u64 = 0,
        /// So many epochs after these the generator is trained alone. Default 0.
        pub g_alone_epochs: u64 = 0,
        /// Random triplets of each row, 1 to 1,048,576. Default 100. The losses of synthetic negatives compare all rows of all
        /// triplets, so memory grows with the square of their number.
        pub g_triplets_per_anchor: usize = 100,
        /// m of the adversarial loss; in `[-1e30, 1e30]`. Default 0.05.
        pub g_adv_margin: f64 = 0.05,
        /// `w_h`, the weight of nearness to the anchor. In `[-1e30, 1e30]`. Default 1.
        pub g_hard_weight: f64 = 1.0,
        /// `w_r`, the weight of nearness to the negative that it was made of. In `[-1e30, 1e30]`. Default 1.
        pub g_reg_weight: f64 = 1.0,
        /// Seed of the triplets. Default 0.
        pub seed: u64 = 0,
    }
}

/// Which parts of the method an epoch trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    MetricAlone,
    GeneratorAlone,
    Both,
}

impl Phase {
    /// Whether trunk and embedder learn, and so work as in training.
    fn teaches_model(self) -> bool {
        self != Self::GeneratorAlone
    }
}

/// Trains a model against a generator of negatives ([formula](self)); PML's `DeepAdversarialMetricLearning`.
///
/// Every loss is minimised through everything that it depends on, as in PML: so the adversary's reaches the embedder too.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_reducers::MeanReducer;
/// use dml_train::{DeepAdversarialMetricLearning, Trainer};
///
/// // The generator makes a negative of width 16 from anchor, positive and negative.
/// let (trunk, generator) = (module("trunk", 784, 16)?, module("generator", 48, 16)?);
/// let method = DeepAdversarialMetricLearning::new(
///     Default::default(),
///     trunk,
///     generator,
///     objective()?,
///     objective()?,
///     MeanReducer,
/// )?;
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeepAdversarialMetricLearning {
    model: Model,
    generator: NamedModule,
    classifier: Option<Classifier>,
    metric: Criterion,
    synth: Criterion,
    adversary: Criterion,
    config: DeepAdversarialMetricLearningConfig,
    seeds: SeedSequence,
    phase: Phase,
}

impl DeepAdversarialMetricLearning {
    /// A trunk with outputs of width D, a generator `[triplets, 3 D]` → `[triplets, D]`, what is minimised on real rows
    /// and on triplets with synthetic negatives, and how the adversary's values become one.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for no triplets, or a margin or weight that is
    /// not finite.
    pub fn new(
        config: DeepAdversarialMetricLearningConfig,
        trunk: NamedModule,
        mut generator: NamedModule,
        metric: impl Into<Criterion>,
        synth: Objective,
        adversary_reducer: impl Reducer + 'static,
    ) -> Result<Self> {
        let count = config.g_triplets_per_anchor;
        check::count("g_triplets_per_anchor", count, 1 << 20)?;
        let margin = check::finite("g_adv_margin", config.g_adv_margin)?;
        check::finite("g_hard_weight", config.g_hard_weight)?;
        check::finite("g_reg_weight", config.g_reg_weight)?;
        let seeds = SeedSequence::new(config.seed);
        generator.seeds.push(seeds.handle());
        let adversary = Objective::new(Adversary { margin }, adversary_reducer);
        Ok(Self {
            model: Model::new(trunk),
            generator,
            classifier: None,
            metric: metric.into(),
            synth: Criterion::new("synth_loss", synth),
            adversary: Criterion::new("g_adv_loss", adversary),
            config,
            seeds,
            phase: Phase::Both,
        })
    }

    with_embedder!();

    dml_core::setters! {
        /// Classifies the embeddings of real rows.
        pub fn with_classifier(self, classifier: Classifier) { self.classifier = Some(classifier) }
    }

    fn phase(&self, epoch: u64) -> Phase {
        let metric_alone = self.config.metric_alone_epochs;
        if epoch <= metric_alone {
            Phase::MetricAlone
        } else if epoch <= metric_alone.saturating_add(self.config.g_alone_epochs) {
            Phase::GeneratorAlone
        } else {
            Phase::Both
        }
    }

    /// The losses of triplets whose negatives the generator makes.
    fn synthetic(
        &self,
        outputs: &Tensor,
        examples: &Examples,
        phase: Phase,
        mut losses: Losses,
    ) -> Result<Losses> {
        let (rows, labels) = (examples.rows(), examples.labels());
        let relation = self.metric.relation(rows, labels)?;
        let labels = labels.as_slice();
        let count = self.config.g_triplets_per_anchor;
        let sizes = [labels.len(), count, outputs.dims()[1]];
        check::elements("g_triplets_per_anchor", &sizes, 4)?;
        let per_anchor = PerAnchor::Exactly(count);
        let triplets = Triplets::random(&relation, per_anchor, &mut self.seeds.next_rng());
        if triplets.anchors.is_empty() {
            // Without a triplet nothing is generated, so the generator can get no gradient.
            let losses = losses.leaving_out(self.generator.name());
            return self.without(&SYNTHETIC, outputs, losses);
        }
        let sides = [&triplets.anchors, &triplets.positives, &triplets.negatives];
        let [anchors, positives, negatives] = sides.map(|rows| take(outputs, rows)); // [T, D]
        let (anchors, positives, negatives) = (anchors?, positives?, negatives?);
        let real = Tensor::cat(&[&anchors, &positives, &negatives], 1)?; // [T, 3 D]
        let synthetic = self.generator.forward_through(&real, true)?; // [T, D]
        let all = Tensor::cat(&[&anchors, &positives, &synthetic], 0)?;
        let embeddings = self.model.embed_outputs(&all, phase.teaches_model())?; // [3 T, dim]
        let labels: Vec<i64> = sides
            .into_iter()
            .flatten()
            .map(|row| labels[*row as usize])
            .collect();
        let count = triplets.anchors.len() as u32;
        let places = |k: u32| (k * count..(k + 1) * count).collect::<Vec<u32>>();
        let tuples: Tuples = Triplets::new(places(0), places(1), places(2))?.into();
        let batch = Batch::new(&embeddings, labels.into_labels()?)?;
        losses = if phase == Phase::Both {
            losses.with_outcome(self.synth.evaluate_tuples(&batch, &tuples)?)
        } else {
            self.without(&SYNTHETIC[..1], outputs, losses)?
        };
        losses = losses.with_outcome(self.adversary.evaluate_tuples(&batch, &tuples)?);
        let unit = synthetic.normalize_rows(2.0)?;
        let near = |to: &Tensor| -> Result<Tensor> {
            Ok((&unit - to.normalize_rows(2.0)?)?.sqr()?.mean_all()?)
        };
        let hard = LossValue::new("g_hard_loss", near(&anchors)?, self.config.g_hard_weight);
        let close = LossValue::new("g_reg_loss", near(&negatives)?, self.config.g_reg_weight);
        Ok(losses.with(hard).with(close))
    }

    /// Zeros in the place of losses, so that the names of a run stay the same.
    fn without(&self, names: &[&str], outputs: &Tensor, mut losses: Losses) -> Result<Losses> {
        for name in names {
            losses = losses.with(LossValue::new(*name, outputs.attached_zero()?, 1.0));
        }
        Ok(losses)
    }
}

/// The losses of synthetic negatives.
const SYNTHETIC: [&str; 4] = ["synth_loss", "g_adv_loss", "g_hard_loss", "g_reg_loss"];

impl Method for DeepAdversarialMetricLearning {
    fn begin_epoch(&mut self, epoch: u64) {
        self.phase = self.phase(epoch);
    }

    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        if self.phase == Phase::GeneratorAlone {
            // Only the generator learns: what it starts from stands still.
            return Ok(no_grad(|| self.model.trunk.forward_through(view, false))?.detach());
        }
        self.model.trunk.forward(view, train)
    }

    fn losses(&self, outputs: &[Tensor], examples: &Examples, epoch: u64) -> Result<Losses> {
        let (outputs, labels) = (&outputs[0], examples.labels());
        let phase = self.phase(epoch);
        let embeddings = self.model.embed_outputs(outputs, phase.teaches_model())?;
        let mut losses = Losses::of(&embeddings);
        if phase == Phase::GeneratorAlone {
            losses = self.without(&[self.metric.name()], outputs, losses)?;
            if self.classifier.is_some() {
                losses = self.without(&["classifier_loss"], outputs, losses)?;
            }
        } else {
            let batch = self.metric.batch(&embeddings, examples.rows(), labels)?;
            losses = losses.with_criterion(&self.metric, &batch)?;
            if let Some(classifier) = &self.classifier {
                losses = losses.with(classifier.loss("classifier_loss", &embeddings, labels)?);
            }
        }
        if phase == Phase::MetricAlone {
            return self.without(&SYNTHETIC, outputs, losses);
        }
        self.synthetic(outputs, examples, phase, losses)
    }

    fn embed(&self, view: &Tensor) -> Result<Tensor> {
        no_grad(|| self.model.embed(view, false))
    }

    fn modules(&self) -> Vec<&NamedModule> {
        let mut modules = self.model.modules();
        modules.push(&self.generator);
        modules.extend(self.classifier.iter().map(|classifier| &classifier.module));
        modules
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.metric, &self.synth, &self.adversary]
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        let mut groups = self.model.parameter_groups_mut();
        groups.push(self.generator.parameter_group_mut());
        let classifier = self.classifier.as_mut();
        groups.extend(classifier.map(|own| own.module.parameter_group_mut()));
        groups.push(self.metric.parameter_group_mut());
        groups.push(self.synth.parameter_group_mut());
        groups.push(self.adversary.parameter_group_mut());
        groups
    }

    fn trains(&self, name: &str, epoch: u64) -> bool {
        let is_generator = name == self.generator.name();
        match self.phase(epoch) {
            Phase::MetricAlone => !is_generator,
            Phase::GeneratorAlone => is_generator,
            Phase::Both => true,
        }
    }
}

/// The adversary: synthetic negatives shall be nearer than positives, by a margin.
#[derive(Debug)]
struct Adversary {
    margin: f64,
}

fn take(rows: &Tensor, places: &[u32]) -> Result<Tensor> {
    let places = Tensor::from_slice(places, places.len(), rows.device())?;
    Ok(rows.index_select(&places, 0)?)
}

impl Loss for Adversary {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        let triplets = tuples.triplets(batch)?;
        let rows = batch.embeddings().normalize_rows(2.0)?;
        let anchors = take(&rows, &triplets.anchors)?;
        let near = (&anchors - take(&rows, &triplets.positives)?)?.row_norms(2.0)?; // [T]
        let far = (&anchors - take(&rows, &triplets.negatives)?)?.row_norms(2.0)?; // [T]
        let values = ((far - near)? - self.margin)?.hinge()?;
        Ok(Term::explicit("loss", Over::Triplets, values, Indices::Triplets(triplets))?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_adversary_wants_negatives_nearer_than_positives() -> Result<()> {
        // On the unit circle at 0°, 60° and 180°: distances 1 and 2.
        let half = 3f64.sqrt() / 2.0;
        let rows = Tensor::new(&[[2.0, 0.0], [0.5, half], [-1.0, 0.0]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        let tuples: Tuples = Triplets::new(vec![0], vec![1], vec![2])?.into();
        let terms = Adversary { margin: 0.25 }.terms(&batch, &tuples)?;
        let (values, _) = terms.get("loss").unwrap().values()?;
        approx::assert_relative_eq!(values.to_vec1::<f64>()?[0], 0.75, epsilon = 1e-12);
        Ok(())
    }
}
