//! Folders of checkpoints that more than one run comes to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dml_core::folder_lock::FolderLockError;
use dml_train::log::CsvLog;
use dml_train::{
    Checkpoints, CheckpointsConfig, Flow, MetricLossOnly, TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, sampler, triplets, trunk};

fn builder(folder: &Path, rows: usize) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(rows, 1);
    let order = sampler(&data);
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        keep_last: 3,
        ..CheckpointsConfig::default()
    };
    let method = MetricLossOnly::new(trunk(1, 0.4), triplets());
    Trainer::builder(method, data, order)
        .with_checkpoints(Checkpoints::new(folder, config).unwrap())
        .with_hook(CsvLog::new(folder))
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
            all.insert(path.display().to_string(), Vec::new());
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

fn damage(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let tensors = entry.unwrap().path().join("tensors.safetensors");
        if tensors.exists() {
            fs::write(tensors, "no tensors").unwrap();
        }
    }
}

#[test]
fn a_folder_whose_resumption_was_refused_is_not_written_to() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    builder(folder.path(), 64).build()?.run(2)?;
    // What only a resumed run may put in order.
    fs::create_dir(folder.path().join(".part-000000000099")).unwrap();
    let before = contents(folder.path());
    let refused = |rows: usize, seed: u64| -> Result<(), TrainError> {
        let mut other = builder(folder.path(), rows).with_seed(seed).build()?;
        assert!(other.resume().is_err());
        // A program that takes no notice of the error, once and once more.
        for _ in 0..2 {
            let error = other.run(9).unwrap_err();
            assert!(matches!(error, TrainError::FolderInUse { .. }), "{error}");
        }
        assert_eq!(contents(folder.path()), before);
        Ok(())
    };
    // Other data, and other random numbers.
    refused(48, 0)?;
    refused(64, 7)?;
    // Without asking.
    let error = builder(folder.path(), 64).build()?.run(9).unwrap_err();
    assert!(matches!(error, TrainError::FolderInUse { .. }), "{error}");
    assert_eq!(contents(folder.path()), before);
    // The run itself may.
    let mut own = builder(folder.path(), 64).build()?;
    assert_eq!(own.resume()?, Some(16));
    own.run(3)?;
    Ok(())
}

#[test]
fn damaged_checkpoints_are_not_written_over() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    builder(folder.path(), 64).build()?.run(2)?;
    damage(folder.path());
    let before = contents(folder.path());
    let mut own = builder(folder.path(), 64).build()?;
    let error = own.resume().unwrap_err();
    assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
    assert!(matches!(own.run(3), Err(TrainError::FolderInUse { .. })));
    assert_eq!(contents(folder.path()), before);
    Ok(())
}

#[test]
fn a_resumption_that_failed_ends_an_earlier_claim() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let mut own = builder(folder.path(), 64).build()?;
    own.run(1)?;
    own.run(2)?;
    damage(folder.path());
    assert!(own.resume().is_err());
    assert!(matches!(own.run(3), Err(TrainError::FolderInUse { .. })));
    Ok(())
}

#[test]
fn a_folder_belongs_to_one_run_at_a_time() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mut tried = 0;
    let mut first = builder(folder.path(), 64)
        .on_iteration(move |done| {
            // Before there is a checkpoint, and when there is one.
            if done.step == 1 || done.step == 5 {
                let mut second = builder(&path, 64).build()?;
                let refused = if done.step == 1 {
                    second.run(1).map(|_| ())
                } else {
                    second.resume().map(|_| ())
                };
                let error = refused.unwrap_err();
                let text = error.to_string();
                assert!(
                    text.contains(&format!("process {}", std::process::id())),
                    "{text}"
                );
                assert!(text.contains(&path.display().to_string()), "{text}");
                let held = matches!(error, TrainError::Locked(FolderLockError::Held { .. }));
                assert!(held, "{text}");
                tried += 1;
            }
            if done.epoch == 2 {
                assert_eq!(tried, 2);
            }
            Ok(Flow::Continue)
        })
        .build()?;
    first.run(2)?;
    assert!(!folder.path().join(".lock").exists());
    // Another run goes on from there, and the first notices.
    let mut second = builder(folder.path(), 64).build()?;
    second.resume()?;
    second.run(3)?;
    assert!(matches!(first.run(4), Err(TrainError::FolderInUse { .. })));
    Ok(())
}

#[test]
fn a_run_says_which_checkpoints_it_has_passed_over() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    builder(folder.path(), 64).build()?.run(2)?;
    let state = folder.path().join("step-000000000016/state.json");
    let text = fs::read_to_string(&state).unwrap();
    // A single digit: JSON as before, and another count.
    fs::write(&state, text.replacen("\"step\": 16", "\"step\": 17", 1)).unwrap();
    let mut own = builder(folder.path(), 64).build()?;
    assert_eq!(own.resume()?, Some(15));
    let damaged = own.damaged_checkpoints();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].step, 16);
    assert!(
        damaged[0].problem.contains("state.json: expected"),
        "{damaged:?}"
    );
    assert!(damaged[0].moved_to.ends_with("damaged-000000000016"));
    own.run(2)?;
    Ok(())
}
