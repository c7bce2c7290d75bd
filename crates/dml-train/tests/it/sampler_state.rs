//! Samplers whose batches depend on what the model has learnt so far.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::{Batch, Dataset, Miner, Pairs, Sampler, Tuples};
use dml_samplers::{
    ShuffleSampler, ShuffleSamplerConfig, TuplesToWeightsSampler, TuplesToWeightsSamplerConfig,
};
use dml_train::{
    Checkpoints, CheckpointsConfig, Flow, MetricLossOnly, TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, sampler, triplets, trunk, weights};

/// Finds rows hard by the signs of their embeddings, so that weights follow the model closely.
#[derive(Debug)]
struct Signs;

impl Miner for Signs {
    fn mine(&self, batch: &Batch) -> dml_core::Result<Tuples> {
        let rows = batch.embeddings().to_vec2::<f32>()?;
        let mut pairs = Pairs::default();
        for (row, values) in (0u32..).zip(&rows) {
            for _ in values.iter().filter(|x| **x * 1000.0 % 2.0 > 0.5) {
                pairs.negative_anchors.push(row);
                pairs.negatives.push(0);
            }
        }
        Ok(pairs.into())
    }
}

fn hard_rows() -> TuplesToWeightsSampler {
    let config = TuplesToWeightsSamplerConfig {
        subset_size: Some(48),
        normalize_embeddings: false,
        batch_size: 8,
        seed: 3,
    };
    let data = Blobs::new(64, 1);
    let first = |rows: &[usize]| {
        Ok(Tensor::ones(
            (rows.len(), 2),
            candle_core::DType::F32,
            &Device::Cpu,
        )?)
    };
    TuplesToWeightsSampler::new(config, Signs, data.labels(), first).unwrap()
}

type Seen = Rc<RefCell<Vec<f64>>>;

/// Six batches a pass, and epochs of `iterations`, after each of which the sampler is refreshed.
fn builder(
    folder: &Path,
    threads: usize,
    iterations: u64,
) -> (TrainerBuilder<MetricLossOnly>, Seen) {
    let sampler = Arc::new(hard_rows());
    let refreshed = sampler.clone();
    let data = Blobs::new(64, 1);
    let config = CheckpointsConfig {
        every_iterations: Some(1),
        ..CheckpointsConfig::default()
    };
    let seen = Seen::default();
    let own = seen.clone();
    let method = MetricLossOnly::new(trunk(1, 0.2), triplets());
    let builder = Trainer::builder(method, Blobs::new(64, 1), sampler)
        .with_loading_threads(threads)
        .with_iterations_per_epoch(iterations)
        .with_checkpoints(Checkpoints::new(folder, config).unwrap())
        .on_iteration(move |done| {
            own.borrow_mut().push(done.loss);
            Ok(Flow::Continue)
        })
        .on_epoch(move |done, model| {
            refreshed.refresh(done.epoch, |rows| {
                Ok(model.embed(&data.fetch(rows, 0)?.views()[0])?.detach())
            })?;
            Ok(Flow::Continue)
        });
    (builder, seen)
}

#[test]
fn no_thread_runs_ahead_of_a_refresh() -> Result<(), TrainError> {
    // Epochs as long as a pass, and such that end in the middle of one.
    for iterations in [6, 4] {
        let run = |threads| -> Result<_, TrainError> {
            let folder = tempfile::tempdir().unwrap();
            let (builder, seen) = builder(folder.path(), threads, iterations);
            builder.build()?.run(4)?;
            let seen = seen.borrow().clone();
            Ok(seen)
        };
        let alone = run(0)?;
        assert_eq!(alone.len() as u64, 4 * iterations);
        for threads in [1, 2] {
            assert_eq!(run(threads)?, alone, "{threads} threads");
        }
    }
    Ok(())
}

#[test]
fn a_run_goes_on_with_the_weights_of_its_rows() -> Result<(), TrainError> {
    for threads in [0, 1, 2] {
        for iterations in [6, 4] {
            let whole = tempfile::tempdir().unwrap();
            let mut expected = builder(whole.path(), threads, iterations).0.build()?;
            expected.run(4)?;
            // At the end of a pass, after its first batch, and in the middle of one that a refresh fell into.
            for stop in [6, 7, 9] {
                let broken = tempfile::tempdir().unwrap();
                let mut failing = builder(broken.path(), threads, iterations)
                    .0
                    .on_iteration(move |done| match done.step {
                        step if step == stop + 1 => Err("power cut".into()),
                        _ => Ok(Flow::Continue),
                    })
                    .build()?;
                assert!(failing.run(4).is_err());
                let mut resumed = builder(broken.path(), threads, iterations).0.build()?;
                assert_eq!(resumed.resume()?, Some(stop));
                resumed.run(4)?;
                assert_eq!(
                    weights(&resumed),
                    weights(&expected),
                    "{threads}, {iterations}, {stop}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn other_data_or_batches_are_refused() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let built = |rows, order: Arc<dyn Sampler>| -> Result<_, TrainError> {
        let method = MetricLossOnly::new(trunk(1, 0.2), triplets());
        let config = CheckpointsConfig::default();
        Trainer::builder(method, Blobs::new(rows, 1), order)
            .with_checkpoints(Checkpoints::new(folder.path(), config)?)
            .build()
    };
    let shuffled = |seed, batch_size| -> Result<Arc<dyn Sampler>, TrainError> {
        let config = ShuffleSamplerConfig {
            batch_size,
            seed,
            ..Default::default()
        };
        Ok(Arc::new(ShuffleSampler::new(config, 64)?))
    };
    built(64, shuffled(1, 16)?)?.run(1)?;
    let refused = |rows, order| -> Result<String, TrainError> {
        let error = built(rows, order)?.resume().unwrap_err();
        assert!(matches!(error, TrainError::OtherData { .. }), "{error}");
        Ok(error.to_string())
    };
    assert_eq!(
        refused(72, shuffled(1, 16)?)?,
        "rows of the data set: expected 64 as in the checkpoint, got 72"
    );
    assert_eq!(
        refused(64, shuffled(1, 8)?)?,
        "batches of the sampler: expected 4 as in the checkpoint, got 8"
    );
    assert!(refused(64, shuffled(2, 16)?)?.starts_with("first pass of the sampler"));
    let other = Arc::new(sampler(&Blobs::new(64, 1)));
    assert!(refused(64, other)?.starts_with("batches of the sampler"));
    assert_eq!(built(64, shuffled(1, 16)?)?.resume()?, Some(4));
    Ok(())
}
