//! A part of every batch that is chosen by the embeddings of all of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use dml_core::{Batch, Error, SeedSequence};
use dml_train::{
    Checkpoints, CheckpointsConfig, ChooseRows, Flow, MaximumLoss, MetricLossOnly,
    SubsetBatchMiner, TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, random_triplets, sampler, triplets, trunk, weights};
use crate::steps::{Count, InOrder, slope_from, w};

fn builder() -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    Trainer::builder(MetricLossOnly::new(trunk(1, 0.3), triplets()), data, order)
}

#[test]
fn a_step_sees_the_chosen_rows_alone() -> Result<(), TrainError> {
    let start = candle_core::Var::new(&[[0f32]], &Device::Cpu)?;
    // Rows 3 and 4 of the four in a batch, which are the numbers 4 and 3: the last come first.
    let miner = ChooseRows(|batch: &Batch| {
        assert_eq!(batch.queries(), 4);
        assert!(
            !batch.embeddings().track_op(),
            "a graph hangs on the embeddings"
        );
        Ok(vec![3, 2])
    });
    let mut trainer = Trainer::builder(
        slope_from(start, 1.0, |module| module),
        Count::new(),
        AllFour,
    )
    .with_subset_batch_miner(miner)
    .on_iteration(|done| {
        assert_eq!(done.examples, 2);
        Ok(Flow::Continue)
    })
    .build()?;
    trainer.run(1)?;
    // 2 · (4 + 3) / 2
    assert_eq!(w(&trainer), -7.0);
    Ok(())
}

/// The first four rows as one batch.
#[derive(Debug)]
struct AllFour;

impl dml_core::Sampler for AllFour {
    fn epoch(&self, _: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        Box::new(std::iter::once(vec![0, 1, 2, 3]))
    }

    fn batches(&self) -> usize {
        1
    }
}

#[test]
fn choosing_everything_changes_nothing_and_dropout_plays_no_part() -> Result<(), TrainError> {
    let run = |builder: TrainerBuilder<MetricLossOnly>| -> Result<_, TrainError> {
        let mut trainer = builder.build()?;
        trainer.run(2)?;
        Ok(weights(&trainer))
    };
    let expected = run(builder())?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let own = seen.clone();
    let all = ChooseRows(move |batch: &Batch| {
        own.lock().unwrap().push(batch.queries());
        Ok((0..batch.queries()).collect())
    });
    assert_eq!(run(builder().with_subset_batch_miner(all))?, expected);
    assert_eq!(*seen.lock().unwrap(), [12; 16]);
    Ok(())
}

#[test]
fn rows_that_are_not_there_are_refused() -> Result<(), TrainError> {
    let miner = ChooseRows(|_: &Batch| Ok(vec![0, 12]));
    let error = builder().with_subset_batch_miner(miner).build()?.run(1);
    let refused = |error: &TrainError| {
        matches!(
            error,
            TrainError::Core(Error::Index {
                arg: "places",
                position: 1,
                ..
            })
        )
    };
    assert!(error.as_ref().is_err_and(refused), "{error:?}");
    let start = candle_core::Var::new(&[[0f32]], &Device::Cpu)?;
    let mut trainer = Trainer::builder(slope_from(start, 1.0, |w| w), Count::new(), InOrder(1))
        .with_subset_batch_miner(ChooseRows(|_: &Batch| Ok(vec![1])))
        .build()?;
    assert!(trainer.run(1).is_err());
    Ok(())
}

#[test]
fn of_random_subsets_the_one_with_the_largest_loss_is_chosen() -> Result<(), TrainError> {
    let rows: Vec<f32> = (0..16u32).map(|i| (i * 7 % 16) as f32).collect();
    let embeddings = Tensor::from_vec(rows, (8, 2), &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 1, 1, 2, 2, 3, 3])?;
    let loss_of = |rows: &[usize]| -> Result<f32, TrainError> {
        let labels: Vec<i64> = rows.iter().map(|row| (*row / 2) as i64).collect();
        let numbers: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let some = embeddings.index_select(&Tensor::new(numbers, &Device::Cpu)?, 0)?;
        Ok(triplets()
            .forward(&Batch::new(&some, labels)?)?
            .to_scalar()?)
    };
    let one = MaximumLoss::new(triplets(), 5, 1, 7)?;
    let first = one.choose(&batch)?;
    let second = one.choose(&batch)?;
    assert_ne!(first, second, "every batch has draws of its own");
    assert_eq!(
        MaximumLoss::new(triplets(), 5, 1, 7)?.choose(&batch)?,
        first
    );
    let best = MaximumLoss::new(triplets(), 5, 200, 7)?.choose(&batch)?;
    assert_eq!(best.len(), 5);
    assert!(best.windows(2).all(|two| two[0] < two[1]));
    for other in [&first, &second] {
        assert!(loss_of(&best)? >= loss_of(other)?);
    }
    let all = MaximumLoss::new(triplets(), 8, 3, 7)?;
    assert_eq!(all.choose(&batch)?, (0..8).collect::<Vec<_>>());
    assert!(MaximumLoss::new(triplets(), 0, 1, 0).is_err());
    Ok(())
}

#[test]
fn seeds_are_those_of_the_miner_and_of_what_it_judges_by() -> Result<(), TrainError> {
    let miner = MaximumLoss::new(random_triplets(), 5, 2, 7)?;
    let seeds: Vec<u64> = miner.seeds().iter().map(SeedSequence::seed).collect();
    assert_eq!(seeds, [7, 11]);
    Ok(())
}

#[test]
fn the_draws_of_a_miner_go_on_after_an_interruption() -> Result<(), TrainError> {
    let kept = |folder: &Path| -> Result<TrainerBuilder<MetricLossOnly>, TrainError> {
        let config = CheckpointsConfig {
            every_iterations: Some(3),
            ..CheckpointsConfig::default()
        };
        Ok(builder()
            .with_subset_batch_miner(MaximumLoss::new(random_triplets(), 7, 3, 5)?)
            .with_gradient_cache(4)
            .with_checkpoints(Checkpoints::new(folder, config)?))
    };
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = kept(whole.path())?.build()?;
    expected.run(2)?;
    let mut failing = kept(broken.path())?
        .on_iteration(|done| match done.step {
            8 => Err("power cut".into()),
            _ => Ok(Flow::Continue),
        })
        .build()?;
    assert!(failing.run(2).is_err());
    let mut resumed = kept(broken.path())?.build()?;
    assert_eq!(resumed.resume()?, Some(6));
    resumed.run(2)?;
    assert_eq!(weights(&resumed), weights(&expected));
    Ok(())
}
