//! Deep adversarial metric learning: its phases, what learns in each, and what is logged.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::Var;
use dml_core::{Dataset, Objective};
use dml_distances::LpDistance;
use dml_losses::{TripletMarginLoss, TripletMarginLossConfig};
use dml_reducers::MeanReducer;
use dml_train::log::CsvLog;
use dml_train::{
    Classifier, DeepAdversarialMetricLearning, DeepAdversarialMetricLearningConfig, Flow, Method,
    NamedModule, TrainError, Trainer,
};

use crate::blobs::{
    Blobs, CLASSES, WIDTH, adam, named_module, network, normalized_network, sampler, triplets,
    trunk, weights,
};
use crate::methods::{contrastive, group, number, represent};

fn adversarial(
    metric_alone_epochs: u64,
    g_alone_epochs: u64,
) -> dml_core::Result<DeepAdversarialMetricLearning> {
    let config = DeepAdversarialMetricLearningConfig {
        metric_alone_epochs,
        g_alone_epochs,
        g_triplets_per_anchor: 3,
        ..DeepAdversarialMetricLearningConfig::default()
    };
    let triplet = || {
        let distance = LpDistance::default();
        let loss = TripletMarginLoss::new(TripletMarginLossConfig::default(), distance).unwrap();
        Objective::new(loss, MeanReducer)
    };
    let trunk = named_module("trunk", network(2, WIDTH, 5, 0.3)).with_optimizer(adam)?;
    let method = DeepAdversarialMetricLearning::new(
        config,
        trunk,
        group("generator", 15, 5),
        triplet(),
        triplet(),
        MeanReducer,
    )?;
    Ok(method
        .with_embedder(group("embedder", 5, 4))
        .with_classifier(Classifier::new(group("classifier", 4, CLASSES))))
}

#[test]
fn the_adversary_has_its_epochs() -> Result<(), TrainError> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let log = Rc::new(RefCell::new(Vec::new()));
    let own = log.clone();
    let mut trainer = Trainer::builder(adversarial(1, 1)?, data, order)
        .on_iteration(move |done| {
            own.borrow_mut().push(done.clone());
            Ok(Flow::Continue)
        })
        .build()?;
    let names = [
        "metric_loss",
        "classifier_loss",
        "synth_loss",
        "g_adv_loss",
        "g_hard_loss",
        "g_reg_loss",
    ];
    let moves: [(&[&str], &[&str]); 3] = [
        (&["trunk", "embedder", "classifier"], &names[..2]),
        (&["generator"], &names[3..]),
        (&["trunk", "embedder", "classifier", "generator"], &names),
    ];
    for (epoch, (moving, losses)) in (1..).zip(moves) {
        let before = weights(&trainer);
        trainer.run(epoch)?;
        for ((name, before), (_, after)) in before.iter().zip(weights(&trainer)) {
            let module = name.split('/').next().unwrap();
            assert_eq!(
                *before != after,
                moving.contains(&module),
                "epoch {epoch}: {name}"
            );
        }
        let log = log.borrow();
        let last = log.last().unwrap();
        let told: Vec<&str> = last.losses.iter().map(|own| own.0.as_str()).collect();
        assert_eq!(told, names);
        for (name, value) in &last.losses {
            assert_eq!(
                *value != 0.0,
                losses.contains(&name.as_str()),
                "epoch {epoch}: {name}"
            );
        }
    }
    assert!(log.borrow().iter().all(|done| done.loss.is_finite()));
    let few = DeepAdversarialMetricLearningConfig {
        g_triplets_per_anchor: 0,
        ..DeepAdversarialMetricLearningConfig::default()
    };
    let refused = DeepAdversarialMetricLearning::new(
        few,
        trunk(1, 0.0),
        group("generator", 12, 4),
        triplets(),
        triplets(),
        MeanReducer,
    );
    assert!(refused.is_err());
    Ok(())
}

#[test]
fn a_batch_of_one_class_has_no_synthetic_negatives() -> Result<(), TrainError> {
    let method = adversarial(0, 0)?;
    let data = Blobs::new(64, 1);
    let examples = data.fetch(&[0, 8, 16], 1)?;
    let outputs = represent(&method, &examples);
    let losses = method.losses(&outputs, &examples, 1)?;
    let total = number(&losses.total()?.to_dtype(candle_core::DType::F32)?);
    assert!(total.is_finite());
    assert_eq!(number(&losses.values()[3].value), 0.0);
    losses.total()?.backward()?;
    Ok(())
}

#[test]
fn a_table_takes_in_the_terms_of_a_later_phase() -> Result<(), TrainError> {
    let config = DeepAdversarialMetricLearningConfig {
        metric_alone_epochs: 1,
        g_alone_epochs: 1,
        g_triplets_per_anchor: 3,
        ..DeepAdversarialMetricLearningConfig::default()
    };
    let method = DeepAdversarialMetricLearning::new(
        config,
        trunk(1, 0.0),
        group("generator", 12, 4),
        triplets(),
        contrastive(),
        MeanReducer,
    )?;
    let folder = tempfile::tempdir().unwrap();
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut trainer = Trainer::builder(method, data, order)
        .with_hook(CsvLog::new(folder.path()))
        .build()?;
    trainer.run(3)?;
    let table = std::fs::read_to_string(folder.path().join("iterations.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), 1 + 24);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    for term in ["terms/synth_loss.pos_loss", "terms/synth_loss.neg_loss"] {
        let column = rows[0].iter().position(|name| *name == term).unwrap();
        let is_empty: Vec<bool> = rows[1..].iter().map(|row| row[column].is_empty()).collect();
        assert_eq!(
            is_empty,
            [[true; 16].as_slice(), &[false; 8]].concat(),
            "{term}"
        );
    }
    Ok(())
}

#[test]
fn while_the_generator_learns_alone_the_embedder_stands_still() -> Result<(), TrainError> {
    let config = DeepAdversarialMetricLearningConfig {
        g_alone_epochs: 1,
        g_triplets_per_anchor: 3,
        ..DeepAdversarialMetricLearningConfig::default()
    };
    let trunk = named_module("trunk", network(2, WIDTH, WIDTH, 0.0)).with_optimizer(adam)?;
    let embedder = NamedModule::of("embedder", normalized_network(1, 0.3)).with_optimizer(adam)?;
    let method = DeepAdversarialMetricLearning::new(
        config,
        trunk,
        group("generator", 3 * WIDTH, WIDTH),
        triplets(),
        triplets(),
        MeanReducer,
    )?;
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut trainer = Trainer::builder(method.with_embedder(embedder), data, order).build()?;
    let remembered = |trainer: &Trainer<DeepAdversarialMetricLearning>| {
        let embedder = trainer.method().modules()[1];
        let values = |var: &Var| var.to_vec1::<f32>().unwrap();
        let buffers: Vec<Vec<f32>> = embedder
            .buffers()
            .iter()
            .map(|own| values(&own.1))
            .collect();
        (buffers, embedder.seeds()[0].calls())
    };
    let before = remembered(&trainer);
    trainer.run(1)?;
    assert_eq!(remembered(&trainer), before);
    trainer.run(2)?;
    let after = remembered(&trainer);
    assert!(after.0 != before.0 && after.1 > before.1);
    Ok(())
}
