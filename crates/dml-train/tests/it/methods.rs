//! Every trainer: what it minimises, by hand or against PML's definition, and that it learns.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use dml_core::candle_core::Tensor;
use dml_core::{Batch, Dataset, Examples, Objective, TensorExt, Triplets, TupleCount, Tuples};
use dml_distances::{CosineSimilarity, LpDistance};
use dml_losses::{ContrastiveLoss, ContrastiveLossConfig, NTXentLoss, NTXentLossConfig};
use dml_miners::{HDCMiner, HDCMinerConfig};
use dml_reducers::{AvgNonZeroReducer, MeanReducer};
use dml_train::{
    CascadedEmbeddings, Classifier, Criterion, Flow, Iteration, Method, NamedModule, Stage,
    TrainError, TrainWithClassifier, Trainer, TwoStreamMetricLoss,
    UnsupervisedEmbeddingsUsingAugmentations,
};

use crate::blobs::{
    Blobs, CLASSES, WIDTH, adam, named_module, network, sampler, triplets, trunk, weights,
};

pub(crate) fn group(name: &str, inputs: usize, outputs: usize) -> NamedModule {
    let module = named_module(name, network(11, inputs, outputs, 0.0));
    module.with_optimizer(adam).unwrap()
}

pub(crate) fn contrastive() -> Objective {
    let distance = LpDistance::default();
    let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance).unwrap();
    Objective::new(loss, AvgNonZeroReducer::default())
}

fn hdc() -> Objective {
    let miner = HDCMiner::new(HDCMinerConfig::default(), LpDistance::default());
    contrastive().with_miner(miner.unwrap())
}

/// Runs some epochs and gives back what happened.
fn run<M: Method>(
    method: M,
    views: usize,
    epochs: u64,
) -> Result<(Trainer<M>, Vec<Iteration>), TrainError> {
    let log = Rc::new(RefCell::new(Vec::new()));
    let own = log.clone();
    let data = Blobs::new(64, views);
    let order = sampler(&data);
    let mut trainer = Trainer::builder(method, data, order)
        .on_iteration(move |done| {
            own.borrow_mut().push(done.clone());
            Ok(Flow::Continue)
        })
        .build()?;
    trainer.run(epochs)?;
    let log = log.borrow().clone();
    Ok((trainer, log))
}

fn mean_loss(log: &[Iteration]) -> f64 {
    log.iter().map(|done| done.loss).sum::<f64>() / log.len() as f64
}

fn assert_learns(log: &[Iteration]) {
    let (first, last) = (mean_loss(&log[..8]), mean_loss(&log[log.len() - 8..]));
    assert!(last < 0.95 * first, "{first} → {last}");
}

/// The examples of one batch.
fn examples(views: usize) -> Examples {
    let data = Blobs::new(64, views);
    data.fetch(&[0, 8, 16, 1, 9, 17, 2, 10, 18, 3, 11, 19], 4)
        .unwrap()
}

pub(crate) fn represent(method: &dyn Method, examples: &Examples) -> Vec<Tensor> {
    let views = examples.views().iter();
    views
        .map(|view| method.represent(view, true).unwrap())
        .collect()
}

pub(crate) fn number(tensor: &Tensor) -> f32 {
    tensor.to_scalar().unwrap()
}

#[test]
fn a_classifier_learns_beside_the_metric() -> Result<(), TrainError> {
    let method = || {
        let classifier = Classifier::new(group("classifier", 4, CLASSES)).with_weight(0.5);
        TrainWithClassifier::new(trunk(1, 0.0), classifier, triplets())
    };
    let (trainer, log) = run(method(), 1, 8)?;
    assert_learns(&log);
    let names: Vec<&str> = log[0].losses.iter().map(|own| own.0.as_str()).collect();
    assert_eq!(names, ["metric_loss", "classifier_loss"]);
    let sum = log[3].losses[0].1 + 0.5 * log[3].losses[1].1;
    approx::assert_relative_eq!(log[3].loss, sum, epsilon = 1e-9);
    let last = log.last().unwrap().losses[1].1;
    assert!(
        last < 0.7 * log[0].losses[1].1,
        "the classifier learns: {last}"
    );
    assert_eq!(weights(&trainer).len(), 8);
    // Without weight it is left out, and stays.
    let classifier = Classifier::new(group("classifier", 4, CLASSES)).with_weight(0.0);
    let method = TrainWithClassifier::new(trunk(1, 0.0), classifier, triplets());
    let (trainer, _) = run(method, 1, 1)?;
    let fresh = network(11, 4, CLASSES, 0.0);
    let fresh = dml_nn::Layer::parameters(&fresh);
    for (name, values) in weights(&trainer) {
        if let Some(name) = name.strip_prefix("classifier/") {
            let start = fresh.get(name).unwrap().flatten_all()?.to_vec1::<f32>()?;
            assert_eq!(start, values);
        }
    }
    // Labels must be classes.
    let few = Classifier::new(group("classifier", 4, CLASSES - 1));
    let refused = run(
        TrainWithClassifier::new(trunk(1, 0.0), few, triplets()),
        1,
        4,
    );
    assert!(matches!(
        refused,
        Err(TrainError::Core(dml_core::Error::Index { .. }))
    ));
    Ok(())
}

#[test]
fn a_cascade_hands_its_tuples_down() -> Result<(), TrainError> {
    let method = || {
        CascadedEmbeddings::new(
            named_module("trunk", network(2, WIDTH, 7, 0.0))
                .with_optimizer(adam)
                .unwrap(),
            [
                Stage::new(3).with_criterion(Criterion::new("metric_loss_0", hdc())),
                Stage::new(2)
                    .with_criterion(Criterion::new("metric_loss_1", hdc()).with_weight(0.5))
                    .with_classifier(Classifier::new(group("classifier_1", 2, CLASSES))),
            ],
        )
    };
    let examples = examples(1);
    let method_1 = method();
    let embeddings = represent(&method_1, &examples);
    let losses = method_1.losses(&embeddings, &examples, 1)?;
    // By hand: the harder half of all pairs of the first slice, and the harder half of these by the second.
    let slice = |start, len| embeddings[0].narrow(1, start, len)?.contiguous();
    let (first, second) = (slice(0, 3)?, slice(3, 2)?);
    let batches = [&first, &second].map(|slice| Batch::new(slice, examples.labels()).unwrap());
    let miner = HDCMiner::new(HDCMinerConfig::default(), LpDistance::default())?;
    let all = miner.filter(&batches[0], &Tuples::all())?;
    let harder = miner.filter(&batches[1], &all)?;
    let count = |tuples: &Tuples, batch: &Batch| tuples.count(batch).map(TupleCount::total);
    let (of_first, of_second) = (count(&all, &batches[0])?, count(&harder, &batches[1])?);
    assert!(of_second < of_first);
    assert_eq!(losses.mined(), Some(of_first + of_second));
    let by_hand = [(&batches[0], &all), (&batches[1], &harder)];
    for (value, (batch, tuples)) in losses.values().iter().zip(by_hand) {
        let loss = contrastive().evaluate_tuples(batch, tuples)?.loss;
        assert_eq!(number(&value.value), number(&loss), "{}", value.name);
    }
    let names: Vec<&str> = losses
        .values()
        .iter()
        .map(|own| own.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["metric_loss_0", "metric_loss_1", "classifier_loss_1"]
    );
    let (_, log) = run(method(), 1, 8)?;
    assert_learns(&log);
    // Slices longer than the embedding.
    let long = CascadedEmbeddings::new(trunk(1, 0.0), [Stage::new(5)]);
    assert!(run(long, 1, 1).is_err());
    Ok(())
}

#[test]
fn streams_are_compared_with_each_other_only() -> Result<(), TrainError> {
    let method = TwoStreamMetricLoss::new(trunk(1, 0.0), triplets());
    let examples = examples(2);
    let views = represent(&method, &examples);
    let losses = method.losses(&views, &examples, 1)?;
    // PML: all triplets of anchors in one stream, positives and negatives in the other, on both put together.
    let labels = examples.labels().as_slice();
    let n = labels.len() as u32;
    let (mut a, mut p, mut q) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        for j in (0..n).filter(|j| labels[*j as usize] == labels[i as usize]) {
            for k in (0..n).filter(|k| labels[*k as usize] != labels[i as usize]) {
                a.push(i);
                p.push(n + j);
                q.push(n + k);
            }
        }
    }
    let both = Tensor::cat(&views, 0)?;
    let batch = Batch::new(&both, labels.repeat(2))?;
    let tuples: Tuples = Triplets::new(a, p, q)?.into();
    let by_hand = triplets().evaluate_tuples(&batch, &tuples)?;
    approx::assert_relative_eq!(
        number(&losses.values()[0].value),
        number(&by_hand.loss),
        max_relative = 1e-6
    );
    assert_eq!(losses.total_values(), by_hand.total);
    let mean = Arc::new(MeanReducer);
    let objective = Objective::new(triplets().loss().clone(), mean);
    assert_learns(&run(TwoStreamMetricLoss::new(trunk(1, 0.0), objective), 2, 8)?.1);
    let one = run(TwoStreamMetricLoss::new(trunk(1, 0.0), triplets()), 1, 1);
    assert!(matches!(
        one,
        Err(TrainError::Core(dml_core::Error::Missing { .. }))
    ));
    Ok(())
}

#[test]
fn views_of_a_row_are_each_others_positives() -> Result<(), TrainError> {
    let objective = || {
        let cosine = Arc::new(CosineSimilarity::default());
        let loss = NTXentLoss::new(NTXentLossConfig::default(), cosine).unwrap();
        Objective::new(loss, MeanReducer)
    };
    let method = UnsupervisedEmbeddingsUsingAugmentations::new(trunk(1, 0.0), objective());
    let examples = examples(2);
    let views = represent(&method, &examples);
    let losses = method.losses(&views, &examples, 1)?;
    // SimCLR by hand: each view's partner against all other views, at temperature 0.07.
    let unit = Tensor::cat(&views, 0)?.normalize_rows(2.0)?;
    let rows = unit.to_vec2::<f32>()?;
    let dot = |i: usize, j: usize| -> f64 {
        let products = rows[i].iter().zip(&rows[j]);
        products
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum::<f64>()
            / 0.07
    };
    let n = examples.len();
    let of = |i: usize| {
        let others = (0..2 * n).filter(|j| *j != i);
        others.map(|j| dot(i, j).exp()).sum::<f64>().ln() - dot(i, (i + n) % (2 * n))
    };
    let by_hand = (0..2 * n).map(of).sum::<f64>() / (2 * n) as f64;
    let loss = f64::from(number(&losses.values()[0].value));
    approx::assert_relative_eq!(loss, by_hand, max_relative = 1e-5);
    assert_learns(&run(method, 3, 8)?.1);
    let one = UnsupervisedEmbeddingsUsingAugmentations::new(trunk(1, 0.0), objective());
    assert!(matches!(
        run(one, 1, 1),
        Err(TrainError::Core(dml_core::Error::Missing { .. }))
    ));
    Ok(())
}
