//! Groups of parameters by rules: rates, decay, freezing and unfreezing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use dml_core::Error;
use dml_core::autograd::node;
use dml_nn::{Layer, Linear, LinearConfig, Sequential, Sgd, SgdConfig};
use dml_train::{
    Checkpoints, CheckpointsConfig, Ended, Learns, Method, MetricLossOnly, NamedModule,
    ParameterRule, ParameterRules, ParameterRulesConfig, TrainError, Trainer, TrainerBuilder,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::blobs::{
    Blobs, WIDTH, adam, named_module, network, network_in, normalized_network, sampler, triplets,
    weights,
};

fn rules(rules: Vec<ParameterRule>) -> ParameterRules {
    let config = ParameterRulesConfig {
        rules,
        no_weight_decay_1d: true,
        ..Default::default()
    };
    ParameterRules::new(config).unwrap()
}

fn rule(pattern: &str, learns: Learns) -> ParameterRule {
    ParameterRule {
        learns,
        ..ParameterRule::new(pattern)
    }
}

fn with_rules(module: NamedModule, rules: &ParameterRules) -> NamedModule {
    module
        .with_parameter_rules(rules, |parameters, _| adam(parameters))
        .unwrap()
}

fn builder(trunk: NamedModule) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order).with_seed(5)
}

/// First layer and normalisation from epoch 2 on, the last bias never.
fn thawing(folder: &Path) -> TrainerBuilder<MetricLossOnly> {
    let rules = rules(vec![
        rule("fc1.*", Learns::FromEpoch(2)),
        rule("norm.*", Learns::FromEpoch(2)),
        rule("fc2.bias", Learns::Never),
    ]);
    let trunk = with_rules(NamedModule::of("trunk", normalized_network(1, 0.3)), &rules);
    let checkpoints = Checkpoints::new(folder, CheckpointsConfig::default()).unwrap();
    builder(trunk).with_checkpoints(checkpoints)
}

/// Names of the weights and buffers of a trainer that differ from those before.
fn changed(trainer: &Trainer<MetricLossOnly>, before: &[(String, Vec<f32>)]) -> Vec<String> {
    let now = all(trainer);
    let pairs = now.into_iter().zip(before);
    let differs = pairs.filter(|(now, before)| now != *before);
    differs.map(|((name, _), _)| name).collect()
}

fn all(trainer: &Trainer<MetricLossOnly>) -> Vec<(String, Vec<f32>)> {
    let mut all = weights(trainer);
    let buffers = trainer.method().modules()[0].buffers();
    let values = |(name, var): &(String, Var)| (name.clone(), var.to_vec1().unwrap());
    all.extend(buffers.iter().map(values));
    all
}

#[test]
fn rates_and_weight_decay_follow_the_rules() -> Result<(), Box<dyn std::error::Error>> {
    let half = ParameterRule {
        rate_factor: 0.5,
        ..ParameterRule::new("fc1.*")
    };
    let rules = rules(vec![half]);
    let mut decays = Vec::new();
    let layer = network(3, WIDTH, 4, 0.0);
    let trunk = named_module("trunk", layer).with_parameter_rules(&rules, |parameters, own| {
        let names: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
        decays.push((names, own.weight_decay));
        adam(parameters)
    })?;
    let names = |names: [&str; 1]| names.map(str::to_owned).to_vec();
    assert_eq!(
        decays,
        [
            (names(["fc1.weight"]), None),
            (names(["fc1.bias"]), Some(0.0)),
            (names(["fc2.weight"]), None),
            (names(["fc2.bias"]), Some(0.0)),
        ]
    );
    let mut trainer = builder(trunk).with_iterations_per_epoch(1).build()?;
    let before = weights(&trainer);
    trainer.run(1)?;
    // The first step of Adam is the learning rate, where the gradient is not 0.
    for ((name, after), (_, before)) in weights(&trainer).iter().zip(&before) {
        let step = if name.starts_with("trunk/fc1") {
            0.01
        } else {
            0.02
        };
        let steps = after.iter().zip(before).map(|(a, b)| (a - b).abs());
        let moved: Vec<f32> = steps.filter(|own| *own > 0.0).collect();
        // The loss does not change with the last bias.
        assert!(!moved.is_empty() || name == "trunk/fc2.bias", "{name}");
        if name != "trunk/fc2.bias" {
            assert!(
                moved.iter().all(|own| (own - step).abs() < 1e-4),
                "{name} {moved:?}"
            );
        }
    }
    let group = trainer.method().modules()[0].parameter_group();
    assert_eq!(group.learning_rate(), Some(0.02));
    Ok(())
}

#[test]
fn frozen_parts_keep_weights_and_statistics_until_their_epoch() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = thawing(folder.path()).with_gradient_norm().build()?;
    let before = all(&trainer);
    trainer.run(1)?;
    assert_eq!(changed(&trainer, &before), ["trunk/fc2.weight"]);
    let before = all(&trainer);
    trainer.run(2)?;
    // The normalisation behind it takes the first bias away, so that rounding alone decides whether it moves.
    let mut changed = changed(&trainer, &before);
    changed.retain(|name| name != "trunk/fc1.bias");
    assert_eq!(
        changed,
        [
            "trunk/fc1.weight",
            "trunk/norm.weight",
            "trunk/norm.bias",
            "trunk/fc2.weight",
            "norm.running_mean",
            "norm.running_var"
        ]
    );
    Ok(())
}

#[test]
fn statistics_that_were_frozen_stay_so() -> Result<(), TrainError> {
    let network = normalized_network(1, 0.0);
    network.freeze_statistics();
    let rules = rules(vec![rule("norm.*", Learns::FromEpoch(2))]);
    let trunk = with_rules(NamedModule::of("trunk", network), &rules);
    let mut trainer = builder(trunk).build()?;
    let before = all(&trainer);
    trainer.run(3)?;
    let changed = changed(&trainer, &before);
    assert!(!changed.contains(&"norm.running_mean".to_owned()));
    assert!(changed.contains(&"trunk/norm.weight".to_owned()));
    Ok(())
}

#[test]
fn a_resumed_run_thaws_when_the_other_did() -> Result<(), TrainError> {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = thawing(whole.path()).build()?;
    expected.run(3)?;
    thawing(broken.path()).build()?.run(1)?;
    let mut second = thawing(broken.path()).build()?;
    assert_eq!(second.resume()?, Some(8));
    second.run(2)?;
    drop(second);
    let mut resumed = thawing(broken.path()).build()?;
    assert_eq!(resumed.resume()?, Some(16));
    resumed.run(3)?;
    assert_eq!(all(&resumed), all(&expected));
    Ok(())
}

#[test]
fn frozen_parameters_do_not_count_for_clipping() -> Result<(), TrainError> {
    let norm = |trunk: NamedModule| -> Result<f64, TrainError> {
        let norms = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = norms.clone();
        let trainer = builder(trunk)
            .with_gradient_norm()
            .with_iterations_per_epoch(1);
        let mut trainer = trainer
            .on_iteration(move |done| {
                seen.borrow_mut().push(done.gradient_norm.unwrap());
                Ok(dml_train::Flow::Continue)
            })
            .build()?;
        trainer.run(1)?;
        let norm = norms.borrow()[0];
        Ok(norm)
    };
    let part = |pattern: &str| {
        let rules = rules(vec![rule(pattern, Learns::Never)]);
        with_rules(named_module("trunk", network(3, WIDTH, 4, 0.0)), &rules)
    };
    let [whole, first, second] = [
        norm(crate::blobs::trunk(3, 0.0))?,
        norm(part("fc2.*"))?,
        norm(part("fc1.*"))?,
    ];
    assert!((whole.powi(2) - first.powi(2) - second.powi(2)).abs() < 1e-6 * whole.powi(2));
    assert!(first > 0.0 && second > 0.0);
    Ok(())
}

#[test]
fn a_module_learns_from_its_epoch_on() -> Result<(), TrainError> {
    let trunk = crate::blobs::trunk(3, 0.0).frozen_until(3);
    let embedder = named_module("embedder", network(4, 4, 2, 0.0)).with_optimizer(adam)?;
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let method = MetricLossOnly::new(trunk, triplets()).with_embedder(embedder);
    let mut trainer = Trainer::builder(method, data, order)
        .with_ema(0.9)
        .build()?;
    let before = weights(&trainer);
    trainer.run(2)?;
    assert!(
        changed(&trainer, &before)
            .iter()
            .all(|name| name.starts_with("embedder/"))
    );
    trainer.run(3)?;
    assert!(changed(&trainer, &before).contains(&"trunk/fc1.weight".to_owned()));
    Ok(())
}

#[test]
fn half_precision_thaws_too() -> Result<(), TrainError> {
    let rules = rules(vec![
        rule("fc1.*", Learns::FromEpoch(2)),
        rule("fc2.bias", Learns::Never),
    ]);
    let network = network_in(DType::BF16, 3, WIDTH, 4, 0.0);
    let trunk = with_rules(named_module("trunk", network), &rules);
    let mut trainer = builder(trunk)
        .with_mixed_precision(dml_train::MixedPrecision::bf16())
        .build()?;
    let before = weights(&trainer);
    trainer.run(1)?;
    assert_eq!(changed(&trainer, &before), ["trunk/fc2.weight"]);
    trainer.run(2)?;
    assert!(changed(&trainer, &before).contains(&"trunk/fc1.weight".to_owned()));
    Ok(())
}

#[test]
fn a_parameter_that_thaws_must_get_a_gradient() -> Result<(), Box<dyn std::error::Error>> {
    for (learns, fails) in [(Learns::FromEpoch(2), true), (Learns::Never, false)] {
        let network = network(3, WIDTH, 4, 0.0);
        let mut parameters: Vec<_> = network.parameters().into_iter().collect();
        parameters.push(("unused".into(), Var::zeros(2, DType::F32, &Device::Cpu)?));
        let trunk = NamedModule::new("trunk", network, parameters);
        let trunk = with_rules(trunk, &rules(vec![rule("unused", learns)]));
        let mut trainer = builder(trunk).build()?;
        trainer.run(1)?;
        let second = trainer.run(2);
        if fails {
            let Err(TrainError::Unused { parameters }) = second else {
                panic!("{second:?}");
            };
            assert_eq!(parameters, ["trunk/unused"]);
        } else {
            assert_eq!(second?, Ended::Finished);
        }
    }
    Ok(())
}

#[test]
fn optimisers_of_different_rates_are_refused() {
    let trunk = named_module("trunk", network(3, WIDTH, 4, 0.0));
    let mut lr = 0.1;
    let error = trunk
        .with_parameter_rules(&rules(Vec::new()), |parameters, _| {
            lr *= 2.0;
            Sgd::new(
                parameters,
                SgdConfig {
                    lr,
                    ..SgdConfig::default()
                },
            )
        })
        .unwrap_err();
    assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
}

/// The identity, which counts its backward passes and the forward passes that are recorded.
#[derive(Debug)]
struct Counting(Arc<[AtomicUsize; 2]>);

impl Counting {
    fn take(&self) -> [usize; 2] {
        self.0.each_ref().map(|own| own.swap(0, Ordering::Relaxed))
    }
}

impl Layer for Counting {
    fn forward_t(&self, input: &Tensor, _: bool) -> dml_core::Result<Tensor> {
        let counts = self.0.clone();
        let output = node(
            "counting",
            [input],
            input.detach(),
            move |_, _, gradient| {
                counts[1].fetch_add(1, Ordering::Relaxed);
                Ok([Some(gradient.clone())])
            },
        )?;
        self.0[0].fetch_add(usize::from(output.track_op()), Ordering::Relaxed);
        Ok(output)
    }
}

#[test]
fn frozen_parts_cost_no_backward_pass_and_embeddings_no_graph() -> Result<(), TrainError> {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut linear = |outputs| {
        let config = LinearConfig::new(WIDTH, outputs);
        Linear::new(config, rng, DType::F32, &Device::Cpu).unwrap()
    };
    let counting = Counting(Arc::default());
    for cache in [None, Some(5)] {
        let network = Sequential::default()
            .with("fc1", linear(WIDTH))
            .with("counting", Counting(counting.0.clone()))
            .with("fc2", linear(4));
        let trunk = NamedModule::of("trunk", network);
        let trunk = with_rules(trunk, &rules(vec![rule("fc1.*", Learns::FromEpoch(2))]));
        let mut builder = builder(trunk).with_iterations_per_epoch(3);
        if let Some(rows) = cache {
            builder = builder.with_gradient_cache(rows);
        }
        let mut trainer = builder.build()?;
        trainer.run(1)?;
        assert_eq!(counting.take(), [0, 0]);
        trainer.run(2)?;
        let [recorded, backward] = counting.take();
        assert!(recorded >= 3 && recorded == backward);
        let rows = Tensor::zeros((3, WIDTH), DType::F32, &Device::Cpu)?;
        assert!(!trainer.embed(&rows)?.track_op());
        assert_eq!(counting.take(), [0, 0]);
    }
    Ok(())
}
