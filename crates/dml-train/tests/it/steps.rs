//! What a step is: the same as by hand, averaged, clipped, scheduled, averaged over time.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Batch, Dataset, Optimizer, Sampler};
use dml_nn::{Layer, Sgd, SgdConfig};
use dml_train::schedule::{Step, WarmUp};
use dml_train::{
    Clip, Criterion, EmaConfig, Ended, Flow, Iteration, LossValue, Losses, Method, MetricLossOnly,
    NamedModule, Pace, Position, TrainError, Trainer,
};

use crate::blobs::{self, Blobs, WIDTH, adam, network, sampler, triplets, trunk, weights};

type Log = Rc<RefCell<Vec<Iteration>>>;

fn log() -> (Log, impl FnMut(&Iteration) -> dml_train::HookResult) {
    let log = Log::default();
    let own = log.clone();
    (log, move |done| {
        own.borrow_mut().push(done.clone());
        Ok(Flow::Continue)
    })
}

#[test]
fn a_run_is_the_loop_that_one_would_write() -> Result<(), Box<dyn std::error::Error>> {
    let (log, tell) = log();
    let data = Blobs::new(64, 1);
    let method = MetricLossOnly::new(trunk(3, 0.0), triplets());
    let order = sampler(&data);
    let mut trainer = Trainer::builder(method, Blobs::new(64, 1), order)
        .with_seed(9)
        .on_iteration(tell)
        .build()?;
    assert_eq!(trainer.run(2)?, Ended::Finished);

    let by_hand = network(3, WIDTH, 4, 0.0);
    let mut optimizer = adam(by_hand.parameters().into_iter().collect())?;
    let mut loader =
        dml_train::Loader::new(Blobs::new(64, 1), sampler(&data), 9, Position::START, 0);
    let mut losses = Vec::new();
    for epoch in 1..=2u64 {
        for rows in sampler(&data).epoch(epoch) {
            let (examples, _) = loader.next_batch()?;
            assert_eq!(examples.rows(), rows);
            let embeddings = by_hand.forward_t(&examples.views()[0], true)?;
            let loss = triplets().forward(&Batch::new(&embeddings, examples.labels())?)?;
            optimizer.step(&loss.backward()?)?;
            losses.push(f64::from(loss.to_scalar::<f32>()?));
        }
    }
    let log = log.borrow();
    let told: Vec<f64> = log.iter().map(|done| done.loss).collect();
    assert_eq!(told, losses);
    assert!(losses[losses.len() - 1] < losses[0]);
    let parameters = by_hand.parameters();
    for (name, values) in weights(&trainer) {
        let var = parameters.get(name.strip_prefix("trunk/").unwrap());
        assert_eq!(var.unwrap().flatten_all()?.to_vec1::<f32>()?, values);
    }
    let last = log.last().unwrap();
    assert_eq!((last.epoch, last.iteration, last.step), (2, 7, 16));
    assert_eq!(last.learning_rates, [("trunk".to_owned(), 0.02)]);
    assert_eq!(last.total, 12 * 2 * 9);
    assert!(last.kept < last.total && last.norms.min <= last.norms.mean);
    Ok(())
}

/// One number that is learnt: the loss is the mean of x · w, whose gradient is the mean of x.
#[derive(Debug)]
pub(crate) struct Slope(pub(crate) NamedModule, pub(crate) Criterion);

impl Method for Slope {
    fn represent(&self, view: &Tensor, train: bool) -> dml_core::Result<Tensor> {
        self.0.forward(view, train)
    }

    fn losses(
        &self,
        representations: &[Tensor],
        _: &dml_core::Examples,
        _: u64,
    ) -> dml_core::Result<Losses> {
        let loss = representations[0].mean_all()?;
        Ok(Losses::of(&representations[0]).with(LossValue::new("slope", loss, 2.0)))
    }

    fn modules(&self) -> Vec<&NamedModule> {
        vec![&self.0]
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.1]
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut dml_train::ParameterGroup> {
        vec![self.0.parameter_group_mut(), self.1.parameter_group_mut()]
    }
}

fn slope(change: impl FnOnce(NamedModule) -> NamedModule) -> Slope {
    slope_from(
        candle_core::Var::new(&[[0f32]], &Device::Cpu).unwrap(),
        1.0,
        change,
    )
}

/// Beginning at `w`, with a learning rate.
pub(crate) fn slope_from(
    w: candle_core::Var,
    lr: f64,
    change: impl FnOnce(NamedModule) -> NamedModule,
) -> Slope {
    let own = w.clone();
    let module = move |x: &Tensor| x.broadcast_mul(&own);
    let sgd = move |parameters| {
        Sgd::new(
            parameters,
            SgdConfig {
                lr,
                ..Default::default()
            },
        )
    };
    let module = NamedModule::new("w", module, [("w".to_owned(), w)]);
    Slope(
        change(module.with_optimizer(sgd).unwrap()),
        Criterion::new("unused", triplets()),
    )
}

/// The numbers 1, 2, 3, …
#[derive(Debug)]
pub(crate) struct Count(dml_core::Labels);

impl Count {
    pub(crate) fn new() -> Self {
        Self(dml_core::IntoLabels::into_labels(vec![0i64; 12]).unwrap())
    }
}

impl Dataset for Count {
    fn labels(&self) -> &dml_core::Labels {
        &self.0
    }

    fn fetch(&self, rows: &[usize], _: u64) -> dml_core::Result<dml_core::Examples> {
        let values: Vec<f32> = rows.iter().map(|row| *row as f32 + 1.0).collect();
        let values = Tensor::from_vec(values, (rows.len(), 1), &Device::Cpu)?;
        dml_core::Examples::new(values, rows, &self.0)
    }
}

/// One row a batch, in order.
#[derive(Debug)]
pub(crate) struct InOrder(pub(crate) usize);

impl Sampler for InOrder {
    fn epoch(&self, _: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        Box::new((0..self.0).map(|row| vec![row]))
    }

    fn batches(&self) -> usize {
        self.0
    }
}

pub(crate) fn w(trainer: &Trainer<Slope>) -> f32 {
    weights(trainer)[0].1[0]
}

/// A frozen module before the one that learns, over all variables of one map.
#[derive(Debug)]
struct Shared(NamedModule, Slope);

impl Method for Shared {
    fn represent(&self, view: &Tensor, train: bool) -> dml_core::Result<Tensor> {
        self.1.represent(&self.0.forward(view, train)?, train)
    }

    fn losses(
        &self,
        representations: &[Tensor],
        examples: &dml_core::Examples,
        epoch: u64,
    ) -> dml_core::Result<Losses> {
        self.1.losses(representations, examples, epoch)
    }

    fn modules(&self) -> Vec<&NamedModule> {
        vec![&self.0, &self.1.0]
    }

    fn criteria(&self) -> Vec<&Criterion> {
        self.1.criteria()
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut dml_train::ParameterGroup> {
        let mut groups = vec![self.0.parameter_group_mut()];
        groups.extend(self.1.parameter_groups_mut());
        groups
    }
}

#[test]
fn a_variable_that_a_frozen_part_shares_has_one_gradient() -> Result<(), TrainError> {
    for dtype in [DType::F32, DType::BF16] {
        let w = Var::from_tensor(&Tensor::zeros((1, 1), dtype, &Device::Cpu)?)?;
        let learning = slope_from(w.clone(), 1.0, |module| module);
        // Optimiser or not, it stays as it is.
        let frozen = NamedModule::new("frozen", |x: &Tensor| Ok(x.clone()), [("w".to_owned(), w)])
            .with_optimizer(adam)?
            .frozen();
        let mut trainer = Trainer::builder(Shared(frozen, learning), Count::new(), InOrder(4))
            .with_input_dtype(dtype)
            .with_accumulation(4)
            .build()?;
        trainer.run(1)?;
        // 2 · (1 + 2 + 3 + 4) / 4
        assert_eq!(weights(&trainer)[1], ("w/w".to_owned(), vec![-5.0]));
    }
    Ok(())
}

#[test]
fn a_variable_under_two_names_of_a_part_is_refused() -> Result<(), TrainError> {
    let w = Var::new(&[[0f32]], &Device::Cpu)?;
    let both = [("a".to_owned(), w.clone()), ("b".to_owned(), w)];
    let module =
        NamedModule::new("trunk", |x: &Tensor| Ok(x.clone()), both).with_optimizer(adam)?;
    let built = |module| {
        let order = InOrder(4);
        Trainer::builder(MetricLossOnly::new(module, triplets()), Count::new(), order).build()
    };
    let error = built(module).unwrap_err();
    assert!(matches!(error, TrainError::Twice { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "b of trunk: is the variable that is called a; expected every variable once"
    );
    Ok(())
}

#[test]
fn gradients_of_several_batches_are_averaged() -> Result<(), TrainError> {
    let (log, tell) = log();
    let mut trainer = Trainer::builder(slope(|w| w), Count::new(), InOrder(4))
        .with_accumulation(2)
        .on_iteration(tell)
        .build()?;
    assert_eq!(trainer.iterations_per_epoch(), 2);
    trainer.run(1)?;
    // 2 · (1 + 2) / 2, then 2 · (3 + 4) / 2.
    assert_eq!(w(&trainer), -10.0);
    assert_eq!(log.borrow()[1].examples, 2);
    assert_eq!(log.borrow()[1].losses, [("slope".to_owned(), -10.5)]);
    assert_eq!(log.borrow()[1].loss, -21.0);
    Ok(())
}

#[test]
fn epochs_of_another_length_go_on_where_the_last_one_ended() -> Result<(), TrainError> {
    let mut trainer = Trainer::builder(slope(|w| w), Count::new(), InOrder(3))
        .with_iterations_per_epoch(2)
        .build()?;
    trainer.run(1)?;
    assert_eq!(w(&trainer), -6.0); // 2 · (1 + 2)
    trainer.run(2)?;
    assert_eq!(w(&trainer), -14.0); // and 2 · (3 + 1)
    assert_eq!((trainer.epochs(), trainer.steps()), (2, 4));
    Ok(())
}

#[test]
fn schedules_multiply_and_clips_hold() -> Result<(), TrainError> {
    let (log, tell) = log();
    let method = slope(|w| {
        w.with_schedule(Pace::Iteration, WarmUp::new(2, 0.5).unwrap())
            .with_schedule(Pace::Epoch, Step::new(1, 0.1).unwrap())
            .with_clip(Clip::value(3.0).unwrap())
    });
    let mut trainer = Trainer::builder(method, Count::new(), InOrder(2))
        .with_clip(Clip::norm(100.0)?)
        .with_gradient_norm()
        .on_iteration(tell)
        .build()?;
    trainer.run(2)?;
    let log = log.borrow();
    let rates: Vec<f64> = log.iter().map(|done| done.learning_rates[0].1).collect();
    assert_eq!(rates, [0.5, 0.75, 0.1, 0.1]);
    let norms: Vec<f64> = log.iter().map(|done| done.gradient_norm.unwrap()).collect();
    assert_eq!(norms, [2.0, 4.0, 2.0, 4.0]);
    let expected = 0.5f32 * 2.0 + 0.75 * 3.0 + 0.1 * 2.0 + 0.1 * 3.0;
    approx::assert_abs_diff_eq!(w(&trainer), -expected, epsilon = 1e-6);
    Ok(())
}

#[test]
fn frozen_parts_stay_and_let_nothing_through() -> Result<(), TrainError> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let embedder = blobs::named_module("embedder", network(5, 4, 2, 0.0)).with_optimizer(adam)?;
    let method = MetricLossOnly::new(trunk(1, 0.5).frozen(), triplets()).with_embedder(embedder);
    let mut trainer = Trainer::builder(method, data, order).build()?;
    let before = weights(&trainer);
    trainer.run(1)?;
    for ((name, before), (_, after)) in before.iter().zip(weights(&trainer)) {
        assert_eq!(*before == after, name.starts_with("trunk"), "{name}");
    }
    // A frozen trunk drops nothing: the same rows give the same numbers in training.
    let view = Tensor::ones((2, WIDTH), candle_core::DType::F32, &Device::Cpu)?;
    let method = trainer.method();
    let represent = |train| dml_train::Method::represent(method, &view, train);
    let embedded = represent(true)?.to_vec2::<f32>()?;
    assert_eq!(embedded, trainer.embed(&view)?.to_vec2::<f32>()?);
    Ok(())
}

#[test]
fn a_frozen_embedder_still_teaches_the_trunk() -> Result<(), TrainError> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let embedder = blobs::named_module("embedder", network(5, 4, 2, 0.0)).frozen();
    let method = MetricLossOnly::new(trunk(1, 0.0), triplets()).with_embedder(embedder);
    let mut trainer = Trainer::builder(method, data, order).build()?;
    let before = weights(&trainer);
    trainer.run(1)?;
    for ((name, before), (_, after)) in before.iter().zip(weights(&trainer)) {
        assert_eq!(*before == after, name.starts_with("embedder"), "{name}");
    }
    Ok(())
}

fn without_ramp(decay: f64) -> EmaConfig {
    EmaConfig {
        ramp: false,
        ..decay.into()
    }
}

#[test]
fn averages_follow_the_weights() -> Result<(), TrainError> {
    let mut trainer = Trainer::builder(slope(|w| w), Count::new(), InOrder(2))
        .with_ema(without_ramp(0.5))
        .build()?;
    trainer.run(1)?;
    // w: 0, −2, −6; averages 0, −1, −3.5.
    let seen = trainer.with_averages(|method| {
        let x = Tensor::ones((1, 1), candle_core::DType::F32, &Device::Cpu)?;
        Method::embed(method, &x)?
            .to_vec2::<f32>()
            .map_err(dml_core::Error::from)
    })??;
    assert_eq!(seen, [[-3.5]]);
    assert_eq!(w(&trainer), -6.0);
    Ok(())
}

#[test]
fn averages_begin_with_weights_that_were_loaded() -> Result<(), TrainError> {
    let mut trainer = Trainer::builder(slope(|w| w), Count::new(), InOrder(2))
        .with_ema(without_ramp(0.5))
        .build()?;
    let w = trainer.method().modules()[0].parameter_group().parameters()[0]
        .1
        .clone();
    w.set(&(w.ones_like()? * 8.0)?)?;
    trainer.run(1)?;
    // w: 8, 6, 2; averages 8, 7, 4.5.
    let average = |trainer: &Trainer<Slope>| -> Result<Vec<f32>, TrainError> {
        let (_, average) = trainer.ema().unwrap().averages().next().unwrap();
        Ok(average.flatten_all()?.to_vec1()?)
    };
    assert_eq!(average(&trainer)?, [4.5]);
    // A run that goes on goes on with its averages: w 0, −4; averages 2.25, −0.875.
    trainer.run(2)?;
    assert_eq!(average(&trainer)?, [-0.875]);
    Ok(())
}

#[test]
fn what_can_not_work_is_said_before_the_run() {
    let order = || InOrder(2);
    let build = |method| Trainer::builder(method, Count::new(), order()).build();
    let bare = || blobs::named_module("trunk", network(1, WIDTH, 4, 0.0));
    let error = build(MetricLossOnly::new(bare(), triplets())).unwrap_err();
    assert!(matches!(error, TrainError::NoOptimizer { group } if group == "trunk"));
    let same = MetricLossOnly::new(trunk(1, 0.0), Criterion::new("trunk", triplets()));
    assert!(matches!(build(same), Err(TrainError::SameName { name }) if name == "trunk"));
    let network = network(1, WIDTH, 4, 0.0);
    let parameters = network.parameters();
    let module = |name, module| {
        let module = NamedModule::new(name, module, parameters.clone());
        module.with_optimizer(adam).unwrap()
    };
    let twice = MetricLossOnly::new(module("trunk", network), triplets())
        .with_embedder(module("embedder", self::network(2, 4, 4, 0.0)));
    assert!(matches!(build(twice), Err(TrainError::Shared { first, .. }) if first == "trunk"));
    for change in [
        |b: dml_train::TrainerBuilder<Slope>| b.with_accumulation(0),
        |b: dml_train::TrainerBuilder<Slope>| b.with_gradient_cache(0),
        |b: dml_train::TrainerBuilder<Slope>| b.with_iterations_per_epoch(0),
        |b: dml_train::TrainerBuilder<Slope>| b.with_ema(1.0),
        |b: dml_train::TrainerBuilder<Slope>| b.with_accumulation(usize::MAX),
        |b: dml_train::TrainerBuilder<Slope>| b.with_loading_threads(usize::MAX),
        |b: dml_train::TrainerBuilder<Slope>| b.require_gradients_within(0),
    ] {
        let builder = Trainer::builder(slope(|w| w), Count::new(), order());
        assert!(matches!(change(builder).build(), Err(TrainError::Core(_))));
    }
    let mut empty = Trainer::builder(slope(|w| w), Count::new(), InOrder(0))
        .build()
        .unwrap();
    assert!(matches!(empty.run(1), Err(TrainError::NoBatches { .. })));
}
