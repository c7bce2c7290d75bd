//! Relations beyond labels in training, rows of several batches in a memory, and losses that compare views.

use std::sync::{Arc, Mutex};

use dml_core::candle_core::{Device, Tensor};
use dml_core::{Batch, Error, Examples, IntoLabels, Loss, Objective, PairKind, Relation, Result};
use dml_distances::LpDistance;
use dml_losses::{
    ContrastiveLoss, ContrastiveLossConfig, CrossBatchMemory, CrossBatchMemoryConfig, VICRegLoss,
    VICRegLossConfig,
};
use dml_reducers::{MeanReducer, SumReducer};
use dml_train::{
    CascadedEmbeddings, Criterion, MaximumLoss, Method, MetricLossOnly, Stage, SubsetBatchMiner,
    TrainError, Trainer, TwoStreamMetricLoss, UnsupervisedEmbeddingsUsingAugmentations,
};

use crate::blobs::{Blobs, sampler, trunk};

fn contrastive(neg_margin: f64) -> Objective {
    let config = ContrastiveLossConfig {
        neg_margin,
        ..Default::default()
    };
    let loss = ContrastiveLoss::new(config, LpDistance::unnormalized()).unwrap();
    Objective::new(loss, SumReducer)
}

fn vicreg() -> Objective {
    let loss = VICRegLoss::new(VICRegLossConfig::default()).unwrap();
    Objective::new(loss, MeanReducer)
}

fn column(x: &[f32]) -> Tensor {
    Tensor::from_slice(x, (x.len(), 1), &Device::Cpu).unwrap()
}

/// Rows of a data set whose labels are all 0, with given embeddings as their views.
fn examples(rows: &[usize], views: &[Tensor]) -> Examples {
    let labels = vec![0i64; 100].into_labels().unwrap();
    Examples::with_views(views.to_vec(), rows, &labels).unwrap()
}

fn loss(method: &dyn Method, rows: &[usize], views: &[Tensor]) -> Result<f32> {
    let losses = method.losses(views, &examples(rows, views), 1)?;
    Ok(losses.values()[0].value.to_scalar()?)
}

#[test]
fn views_of_other_batches_belong_together_where_they_show_the_same_row() -> Result<()> {
    let inner = contrastive(0.0);
    let memory = CrossBatchMemory::new(CrossBatchMemoryConfig::new(1), inner)?;
    let objective = Objective::new(memory, MeanReducer);
    let method = UnsupervisedEmbeddingsUsingAugmentations::new(trunk(1, 0.0), objective);
    // Both views of a row are alike, and rows are far from each other: only a wrong positive costs something.
    for first in [0usize, 4, 8] {
        let rows: Vec<usize> = (first..first + 4).collect();
        let view = column(
            &rows
                .iter()
                .map(|row| 10.0 * *row as f32)
                .collect::<Vec<_>>(),
        );
        assert_eq!(loss(&method, &rows, &[view.clone(), view])?, 0.0);
    }
    // Row 2 comes again, 3 from where its two views are remembered: each of its views is 3 from both.
    let view = column(&[23.0]);
    assert_eq!(loss(&method, &[2], &[view.clone(), view])?, 4.0 * 3.0);
    Ok(())
}

/// Rows are a positive pair up to 1 apart in what the data set knows of them, a negative one beyond 5.
fn by_numbers(rows: &[usize]) -> Relation {
    let numbers: Vec<f64> = rows.iter().map(|row| *row as f64).collect();
    Relation::closure(rows.len(), rows.len(), move |q, r| {
        match (numbers[q] - numbers[r]).abs() {
            0.0..=1.0 => PairKind::POSITIVE,
            5.0.. => PairKind::NEGATIVE,
            _ => PairKind::Ignored,
        }
    })
    .with_diagonal_self_matches()
    .unwrap()
}

fn related(objective: Objective) -> Criterion {
    Criterion::from(objective).with_relation(|rows, labels| {
        assert_eq!(rows.len(), labels.len());
        Ok(by_numbers(rows))
    })
}

#[test]
fn a_criterion_compares_rows_by_its_relation() -> Result<()> {
    let rows = [3, 4, 6, 9];
    let view = column(&[0.0, 0.5, 7.0, 1.25]);
    // Positives (3, 4), 0.5 apart, and negatives (3, 9) and (4, 9), 1.25 and 0.75 apart; all from either side.
    let one = MetricLossOnly::new(trunk(1, 0.0), related(contrastive(2.0)));
    let expected = 2.0 * (0.5 + 0.75 + 1.25);
    assert_eq!(loss(&one, &rows, std::slice::from_ref(&view))?, expected);
    // Labels make a positive pair of every two rows.
    let by_labels = MetricLossOnly::new(trunk(1, 0.0), contrastive(2.0));
    assert_ne!(
        loss(&by_labels, &rows, std::slice::from_ref(&view))?,
        expected
    );
    let stages = [Stage::new(1).with_criterion(related(contrastive(2.0)))];
    let cascade = CascadedEmbeddings::new(trunk(1, 0.0), stages);
    assert_eq!(
        loss(&cascade, &rows, std::slice::from_ref(&view))?,
        expected
    );
    // Between two views a row and its other view are a pair, too: here 0.25 apart.
    let other = column(&[0.25, 0.75, 7.25, 1.5]);
    let views = [view, other];
    let streams = TwoStreamMetricLoss::new(trunk(1, 0.0), related(contrastive(2.0)));
    let across = 4.0 * 0.25 + (0.75 + 0.25) + (0.5 + 1.0) + (1.0 + 1.5);
    assert_eq!(loss(&streams, &rows, &views)?, across);
    // All views as one batch: both streams, and from either to the other.
    let views_of_rows =
        UnsupervisedEmbeddingsUsingAugmentations::new(trunk(1, 0.0), related(contrastive(2.0)));
    assert_eq!(
        loss(&views_of_rows, &rows, &views)?,
        2.0 * expected + 2.0 * across
    );
    Ok(())
}

#[test]
fn a_run_asks_for_the_relation_of_its_rows() -> std::result::Result<(), TrainError> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let own = seen.clone();
    let criterion = Criterion::from(contrastive(1.0)).with_relation(move |rows, labels| {
        own.lock().unwrap().push(rows.to_vec());
        Relation::labels(labels)
    });
    let weights = |criterion: Criterion| -> std::result::Result<_, TrainError> {
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        let method = MetricLossOnly::new(trunk(1, 0.0), criterion);
        let mut trainer = Trainer::builder(method, data, order).build()?;
        trainer.run(1)?;
        Ok(crate::blobs::weights(&trainer))
    };
    let with = weights(criterion)?;
    assert_eq!(with, weights(contrastive(1.0).into())?);
    let data = Blobs::new(64, 1);
    let expected: Vec<Vec<usize>> = dml_core::Sampler::epoch(&sampler(&data), 0).collect();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), expected.len());
    assert!(seen.iter().all(|rows| rows.len() == 12));
    Ok(())
}

#[test]
fn a_loss_of_views_trains_by_every_method_that_has_two() -> std::result::Result<(), TrainError> {
    let first = Tensor::new(&[[1f32, 0.], [0.5, 2.], [-1., 1.]], &Device::Cpu)?;
    let second = Tensor::new(&[[0.9f32, 0.1], [0.25, 2.], [-1., 0.5]], &Device::Cpu)?;
    let batch = Batch::unlabeled(&first)?.with_unlabeled_reference(&second)?;
    let expected = vicreg().forward(&batch)?.to_scalar::<f32>()?;
    let views = [first.clone(), second.clone()];
    let rows = [5, 6, 7];
    let streams = TwoStreamMetricLoss::new(trunk(1, 0.0), vicreg());
    let unlabeled = UnsupervisedEmbeddingsUsingAugmentations::new(trunk(1, 0.0), vicreg());
    let metric = MetricLossOnly::new(trunk(1, 0.0), vicreg());
    for method in [&streams as &dyn Method, &unlabeled, &metric] {
        assert_eq!(loss(method, &rows, &views)?, expected, "{method:?}");
    }
    let three = [first.clone(), second.clone(), second];
    let refused = loss(&unlabeled, &rows, &three);
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    let contradiction =
        Criterion::from(vicreg()).with_relation(|_, labels| Relation::labels(labels));
    let contradiction = MetricLossOnly::new(trunk(1, 0.0), contradiction);
    let refused = loss(&contradiction, &rows, &views);
    assert!(matches!(refused, Err(Error::Unsupported { .. })));

    let data = Blobs::new(64, 2);
    let order = sampler(&data);
    let losses = Arc::new(Mutex::new(Vec::new()));
    let own = losses.clone();
    let mut trainer = Trainer::builder(unlabeled, data, order)
        .on_iteration(move |done| {
            own.lock().unwrap().push(done.loss);
            Ok(dml_train::Flow::Continue)
        })
        .build()?;
    trainer.run(8)?;
    let losses = losses.lock().unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (start, end) = (mean(&losses[..8]), mean(&losses[losses.len() - 8..]));
    assert!(end < 0.95 * start, "{start} {end}");
    Ok(())
}

#[test]
fn the_hardest_subset_is_judged_by_the_relation() -> Result<()> {
    let rows = column(&[0.0, 8.0, 0.5, 20.0]);
    // By the relation only rows 0 and 1 are a pair, 8 apart; by labels row 3 is the farthest.
    let relation = Relation::pairs(&[(0, 1), (1, 0)], &[], 4, 4)?;
    let batch = Batch::new(&rows, [0i64; 4])?.with_relation(relation)?;
    let miner = MaximumLoss::new(contrastive(0.0), 2, 200, 3)?;
    assert_eq!(miner.choose(&batch)?, [0, 1]);
    Ok(())
}

#[test]
fn a_miner_before_a_loss_that_takes_no_tuples_is_refused_before_the_run() {
    let loss: Arc<dyn Loss> = Arc::new(VICRegLoss::new(VICRegLossConfig::default()).unwrap());
    let config = dml_miners::HDCMinerConfig::default();
    let miner = dml_miners::HDCMiner::new(config, LpDistance::default()).unwrap();
    let objective = Objective::new(loss, MeanReducer).with_miner(miner);
    let data = Blobs::new(64, 2);
    let order = sampler(&data);
    let method = TwoStreamMetricLoss::new(trunk(1, 0.0), objective);
    let refused = Trainer::builder(method, data, order).build();
    assert!(matches!(
        refused.err(),
        Some(TrainError::Core(Error::Unsupported { .. }))
    ));
}
