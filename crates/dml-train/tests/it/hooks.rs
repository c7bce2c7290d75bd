//! Hooks, validation and patience.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dml_train::schedule::{Better, Plateau, PlateauConfig};
use dml_train::{
    Checkpoints, CheckpointsConfig, Criterion, Ended, Epoch, Flow, Hook, HookResult, Method,
    MetricLossOnly, StopWhen, TrainError, Trainer, TrainerBuilder, Validation, ValidationConfig,
};

use crate::blobs::{Blobs, sampler, triplets, trunk, weights};

fn builder() -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    Trainer::builder(MetricLossOnly::new(trunk(1, 0.0), triplets()), data, order)
}

/// Judges by a list of numbers instead of by the model.
fn validation(patience: Option<u64>, every: u64, values: &'static [f64]) -> Validation {
    let config = ValidationConfig {
        every,
        patience,
        ..ValidationConfig::default()
    };
    let mut values = values.iter();
    Validation::new(config, move |_| {
        Ok(*values.next().ok_or("no more values")?)
    })
    .unwrap()
}

#[test]
fn a_hook_may_end_the_run() -> Result<(), TrainError> {
    let mut trainer = builder()
        .on_iteration(|done| {
            Ok(if done.step == 11 {
                Flow::Stop
            } else {
                Flow::Continue
            })
        })
        .build()?;
    assert_eq!(trainer.run(5)?, Ended::Stopped);
    assert_eq!((trainer.epochs(), trainer.steps()), (1, 11));
    // It may also go on, from the very next iteration.
    assert_eq!(trainer.run(2)?, Ended::Finished);
    assert_eq!(trainer.steps(), 16);

    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    let mut trainer = builder()
        .on_epoch(move |done, _| {
            seen.store(done.epoch == 2, Ordering::Relaxed);
            Ok(Flow::Continue)
        })
        .with_hook(StopWhen::new(flag))
        .build()?;
    assert_eq!(trainer.run(9)?, Ended::Stopped);
    assert_eq!(trainer.steps(), 17);
    Ok(())
}

#[test]
fn errors_of_hooks_name_them() -> Result<(), TrainError> {
    let mut trainer = builder().on_epoch(|_, _| Err("no disk".into())).build()?;
    let error = trainer.run(1).unwrap_err();
    let message = dml_core::with_causes(&error).to_string();
    assert_eq!(message, "hook on_epoch failed: no disk");
    let objective = triplets();
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let objective = Criterion::from(objective).with_weight(f64::INFINITY);
    let mut trainer =
        Trainer::builder(MetricLossOnly::new(trunk(1, 0.0), objective), data, order).build()?;
    let error = trainer.run(1).unwrap_err();
    assert!(matches!(error, TrainError::NonFinite { .. }), "{error}");
    Ok(())
}

#[test]
fn patience_ends_the_run_and_the_best_comes_back() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), CheckpointsConfig::default())?;
    let best = Rc::new(RefCell::new(Vec::new()));
    let (own, told) = (best.clone(), Rc::new(RefCell::new(Vec::new())));
    let log = told.clone();
    let method = {
        let plateau = PlateauConfig {
            patience: 0,
            factor: 0.5,
            ..PlateauConfig::default()
        };
        let trunk = trunk(1, 0.0).with_plateau(Plateau::new(plateau)?);
        MetricLossOnly::new(trunk, triplets())
    };
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut trainer = Trainer::builder(method, data, order)
        .with_validation(validation(Some(2), 1, &[0.5, 0.7, 0.7, 0.6, 0.1, 0.9]))
        .with_checkpoints(checkpoints)
        .on_epoch(move |done, model| {
            log.borrow_mut().push((done.validation, done.best));
            if done.best.is_some_and(|(epoch, _)| epoch == done.epoch) {
                let values = |(_, var): &(String, candle_core::Var)| {
                    var.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                };
                let group = model.modules()[0].parameter_group();
                *own.borrow_mut() = group.parameters().iter().map(values).collect();
            }
            Ok(Flow::Continue)
        })
        .build()?;
    assert_eq!(trainer.run(99)?, Ended::OutOfPatience);
    assert_eq!(trainer.epochs(), 5);
    assert_eq!(trainer.best(), Some((2, 0.7)));
    assert_eq!(told.borrow()[2], (Some(0.7), Some((2, 0.7))));
    // Falls after the epochs 3, 4 and 5; the last one has not been used yet.
    assert_eq!(trainer.run(99)?, Ended::OutOfPatience);
    let latest = weights(&trainer);
    trainer.load_best()?;
    let restored: Vec<Vec<f32>> = weights(&trainer).into_iter().map(|own| own.1).collect();
    assert_eq!(restored, *best.borrow());
    assert_ne!(weights(&trainer), latest);
    Ok(())
}

#[test]
fn a_plateau_needs_a_validation_that_improves_its_way() -> Result<(), TrainError> {
    let built = |better: Better, validation: Option<Validation>| {
        let config = PlateauConfig {
            better,
            ..PlateauConfig::default()
        };
        let trunk = trunk(1, 0.0).with_plateau(Plateau::new(config).unwrap());
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        let builder = Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order);
        match validation {
            None => builder.build(),
            Some(validation) => builder.with_validation(validation).build(),
        }
    };
    let error = built(Better::Higher, None).unwrap_err();
    assert!(
        matches!(error, TrainError::PlateauWithoutValidation { .. }),
        "{error}"
    );
    let error = built(Better::Lower, Some(validation(None, 1, &[]))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "trunk: expected a plateau schedule whose better is Higher, as the validation's, got Lower"
    );
    built(Better::Higher, Some(validation(None, 1, &[])))?;
    Ok(())
}

#[test]
fn validation_has_its_turns_and_its_faults() -> Result<(), TrainError> {
    let mut trainer = builder()
        .with_validation(validation(None, 2, &[0.5, 0.4]))
        .build()?;
    trainer.run(5)?;
    assert_eq!(trainer.best(), Some((2, 0.5)));
    assert!(matches!(trainer.run(6), Err(TrainError::Validation(_))));
    let mut trainer = builder()
        .with_validation(validation(None, 1, &[f64::NAN]))
        .build()?;
    let error = trainer.run(1).unwrap_err();
    let message = dml_core::with_causes(&error).to_string();
    assert_eq!(
        message,
        "the validation failed: expected a finite number, got NaN"
    );
    assert!(matches!(
        trainer.load_best(),
        Err(TrainError::NoCheckpoint { .. })
    ));
    let never = ValidationConfig {
        every: 0,
        ..ValidationConfig::default()
    };
    assert!(Validation::new(never, |_| Ok(0.0)).is_err());
    Ok(())
}

/// Notes what it is told, and forgets nothing.
#[derive(Debug, Default)]
struct Diary(Rc<RefCell<Vec<String>>>, Rc<RefCell<Vec<f32>>>);

impl Hook for Diary {
    fn name(&self) -> &str {
        "diary"
    }

    fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
        self.0.borrow_mut().push(format!("epoch {}", done.epoch));
        Ok(Flow::Continue)
    }

    fn best(&mut self, done: &Epoch, model: &dyn Method) -> HookResult {
        self.0.borrow_mut().push(format!("best {}", done.epoch));
        let first = &model.modules()[0].parameter_group().parameters()[0].1;
        *self.1.borrow_mut() = first.flatten_all()?.to_vec1()?;
        Ok(if done.epoch == 5 {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }

    fn state(&mut self) -> HookResult<serde_json::Value> {
        self.0.borrow_mut().push("state".to_owned());
        Ok(serde_json::Value::Null)
    }

    fn finish(&mut self, ended: Ended) -> HookResult<()> {
        self.0.borrow_mut().push(format!("{ended:?}"));
        Ok(())
    }
}

#[test]
fn hooks_hear_of_the_best_epoch_and_of_the_end() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let told = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut trainer = builder()
        .with_ema(0.9)
        .with_validation(validation(None, 1, &[0.5, 0.4, 0.5, 0.4, 0.6, 0.1]))
        .with_checkpoints(Checkpoints::new(
            folder.path(),
            CheckpointsConfig::default(),
        )?)
        .with_hook(Diary(told.clone(), seen.clone()))
        .build()?;
    assert_eq!(trainer.run(2)?, Ended::Finished);
    assert_eq!(
        *told.borrow(),
        ["epoch 1", "best 1", "state", "epoch 2", "state", "Finished"]
    );
    told.borrow_mut().clear();
    assert_eq!(trainer.run(9)?, Ended::Stopped);
    assert_eq!(
        told.borrow()[2..],
        ["epoch 4", "state", "epoch 5", "best 5", "state", "Stopped"]
    );
    // The weights were those that validation judged, and the latest are back in their place.
    let (_, average) = trainer.ema().unwrap().averages().next().unwrap();
    assert_eq!(average.flatten_all()?.to_vec1::<f32>()?, *seen.borrow());
    assert_ne!(weights(&trainer)[0].1, *seen.borrow());
    Ok(())
}
