//! Parameters that no gradient reaches are named instead of left as they are.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder, VarMap, layer_norm, linear};
use dml_core::{Batch, Examples, Loss, Objective, Term, Terms, Tuples};
use dml_reducers::SumReducer;
use dml_train::{
    CascadedEmbeddings, Criterion, Ended, LossValue, Losses, Method, MetricLossOnly, NamedModule,
    ParameterGroup, Stage, TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, WIDTH, adam, sampler, triplets, trunk, weights};

/// A layer before Candle's layer normalisation, which has no backward pass, and one behind it.
fn normalised() -> TrainerBuilder<MetricLossOnly> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let first = linear(WIDTH, 8, builder.pp("first")).unwrap();
    let norm = layer_norm(8, 1e-5, builder.pp("norm")).unwrap();
    let last = linear(8, 4, builder.pp("last")).unwrap();
    let module = move |x: &Tensor| last.forward(&norm.forward(&first.forward(x)?)?);
    let trunk = NamedModule::from_var_map("trunk", module, &variables).unwrap();
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let trunk = trunk.with_optimizer(adam).unwrap();
    Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order)
}

#[test]
fn operations_without_a_backward_pass_are_found_in_the_first_step() -> Result<(), TrainError> {
    let mut trainer = normalised().build()?;
    let before = weights(&trainer);
    let error = trainer.run(3).unwrap_err();
    match &error {
        TrainError::Unused { parameters } => assert_eq!(
            parameters[..],
            ["first.bias", "first.weight", "norm.bias", "norm.weight"]
                .map(|own| format!("trunk/{own}"))
        ),
        other => panic!("{other}"),
    }
    let message = error.to_string();
    for module in [
        "trunk/first.weight",
        "layer_norm_slow",
        "allow_unused_parameters",
    ] {
        assert!(message.contains(module), "{message}");
    }
    assert_eq!(weights(&trainer), before);
    assert_eq!(trainer.steps(), 0);
    // Again, and not only once.
    assert!(matches!(trainer.run(3), Err(TrainError::Unused { .. })));
    // Whoever knows it may go on.
    let mut trainer = normalised().allow_unused_parameters().build()?;
    let before = weights(&trainer);
    assert_eq!(trainer.run(1)?, Ended::Finished);
    for ((name, after), (_, before)) in weights(&trainer).iter().zip(&before) {
        assert_eq!(after != before, name.starts_with("trunk/last"), "{name}");
    }
    Ok(())
}

/// One number for each of several experts, of which each batch uses some.
#[derive(Debug)]
struct Experts {
    module: NamedModule,
    criterion: Criterion,
    variables: Vec<Var>,
    uses: fn(u64) -> Vec<usize>,
    calls: std::sync::atomic::AtomicU64,
    leaves_out: bool,
}

impl Experts {
    fn new(count: usize, uses: fn(u64) -> Vec<usize>) -> Self {
        let variables: Vec<Var> = (0..count)
            .map(|_| Var::new(&[1f32], &Device::Cpu).unwrap())
            .collect();
        let named = variables.iter().cloned().enumerate();
        let named = named.map(|(i, var)| (format!("expert{i}"), var));
        let module = NamedModule::new("experts", |x: &Tensor| Ok(x.clone()), named);
        Self {
            module: module.with_optimizer(adam).unwrap(),
            criterion: Criterion::new("none", triplets()),
            variables,
            uses,
            calls: Default::default(),
            leaves_out: false,
        }
    }

    fn builder(self) -> TrainerBuilder<Self> {
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        Trainer::builder(self, data, order)
    }
}

impl Method for Experts {
    fn represent(&self, view: &Tensor, train: bool) -> dml_core::Result<Tensor> {
        self.module.forward(view, train)
    }

    fn losses(&self, rows: &[Tensor], _: &Examples, _: u64) -> dml_core::Result<Losses> {
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut sum = rows[0].mean_all()?;
        for expert in (self.uses)(call) {
            sum = (sum + self.variables[expert].as_tensor().sum_all()?)?;
        }
        let losses = Losses::of(&rows[0]).with(LossValue::new("sum", sum, 1.0));
        Ok(match self.leaves_out {
            true => losses.leaving_out("experts"),
            false => losses,
        })
    }

    fn modules(&self) -> Vec<&NamedModule> {
        vec![&self.module]
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.criterion]
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        vec![
            self.module.parameter_group_mut(),
            self.criterion.parameter_group_mut(),
        ]
    }
}

#[test]
fn names_are_bounded_in_the_message_and_whole_in_the_error() {
    let mut trainer = Experts::new(45, |_| vec![3]).builder().build().unwrap();
    let error = trainer.run(1).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("experts/expert0, experts/expert1, experts/expert2, experts/expert4"));
    assert!(
        message.contains("experts/expert20 and 24 more parameters"),
        "{message}"
    );
    assert!(!message.contains("expert21"), "{message}");
    match error {
        TrainError::Unused { parameters } => assert_eq!(parameters.len(), 44),
        other => panic!("{other}"),
    }
}

#[test]
fn parameters_that_take_turns_have_the_steps_that_they_are_given() -> Result<(), TrainError> {
    let turns = |call: u64| vec![call as usize % 4];
    let mut trainer = Experts::new(4, turns).builder().build()?;
    assert!(matches!(trainer.run(1), Err(TrainError::Unused { .. })));
    let mut trainer = Experts::new(4, turns)
        .builder()
        .require_gradients_within(3)
        .build()?;
    match trainer.run(1) {
        Err(TrainError::Unused { parameters }) => assert_eq!(parameters, ["experts/expert3"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(trainer.steps(), 2);
    Experts::new(4, turns)
        .builder()
        .require_gradients_within(4)
        .build()?
        .run(1)?;
    // The batches of one step count together.
    Experts::new(4, turns)
        .builder()
        .with_accumulation(4)
        .build()?
        .run(1)?;
    Ok(())
}

#[test]
fn parts_that_a_method_leaves_out_are_not_waited_for() -> Result<(), TrainError> {
    let mut method = Experts::new(2, |_| vec![0]);
    method.leaves_out = true;
    method.builder().build()?.run(2)?;
    Ok(())
}

/// A loss with a number of its own, which one call of many reads.
#[derive(Debug)]
struct Sometimes {
    own: Var,
    read_at: Option<u64>,
    calls: std::sync::atomic::AtomicU64,
}

impl Loss for Sometimes {
    fn terms(&self, batch: &Batch, _: &Tuples) -> dml_core::Result<Terms> {
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut value = batch.embeddings().mean_all()?;
        if self.read_at == Some(call) {
            value = (value + self.own.as_tensor())?;
        }
        Ok(Term::scalar("loss", value)?.into())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        vec![("own".to_owned(), self.own.clone())]
    }
}

fn sometimes(read_at: Option<u64>, weight: f64) -> TrainerBuilder<CascadedEmbeddings> {
    let loss = Sometimes {
        own: Var::new(1f32, &Device::Cpu).unwrap(),
        read_at,
        calls: Default::default(),
    };
    let objective = Objective::new(loss, SumReducer);
    let criterion = Criterion::new("sometimes", objective).with_weight(weight);
    let stages = [
        Stage::new(2).with_criterion(Criterion::new("always", triplets())),
        Stage::new(2).with_criterion(criterion.with_optimizer(adam).unwrap()),
    ];
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    Trainer::builder(CascadedEmbeddings::new(trunk(1, 0.0), stages), data, order)
}

#[test]
fn what_a_loss_learns_has_an_epoch() -> Result<(), TrainError> {
    // Eight batches an epoch.
    sometimes(Some(7), 1.0).build()?.run(2)?;
    let mut trainer = sometimes(Some(8), 1.0).build()?;
    match trainer.run(2) {
        Err(TrainError::Unused { parameters }) => assert_eq!(parameters, ["sometimes/own"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(trainer.steps(), 7);
    sometimes(None, 0.0).build()?.run(2)?;
    sometimes(None, 1.0)
        .allow_unused_parameters()
        .build()?
        .run(2)?;
    Ok(())
}

#[test]
fn frozen_parts_are_not_waited_for() -> Result<(), TrainError> {
    let embedder = crate::blobs::named_module("embedder", crate::blobs::network(5, 4, 2, 0.0));
    let method = MetricLossOnly::new(trunk(1, 0.0).frozen(), triplets())
        .with_embedder(embedder.with_optimizer(adam)?);
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    Trainer::builder(method, data, order).build()?.run(1)?;
    Ok(())
}
