use std::collections::HashMap;
use std::fs;

use candle_core::{Device, Tensor};

use super::*;
use crate::TrainError;

fn snapshot(step: u64) -> Snapshot {
    let counters = Counters {
        step,
        ..Counters::default()
    };
    let tensor = Tensor::new(&[step as f32, 0.1], &Device::Cpu).unwrap();
    Snapshot {
        state: State::new(counters, 0),
        tensors: HashMap::from([("w".to_owned(), tensor)]),
    }
}

fn checkpoints(folder: &Path, keep_last: usize) -> Checkpoints {
    let config = CheckpointsConfig {
        keep_last,
        ..Default::default()
    };
    Checkpoints::new(folder, config).unwrap()
}

#[test]
fn the_latest_and_the_best_stay() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(&folder.path().join("new"), 2);
    assert!(checkpoints.steps()?.is_empty());
    for step in [1, 2, 3, 10, 11] {
        checkpoints.write(&snapshot(step), Some(2.min(step)))?;
    }
    assert_eq!(checkpoints.steps()?, [2, 10, 11]);
    let read = checkpoints.read(10)?;
    assert_eq!(read.state.counters.step, 10);
    assert_eq!(read.tensors["w"].to_vec1::<f32>()?, [10.0, 0.1]);
    // Written again, as when a run that ended goes on.
    checkpoints.write(&snapshot(11), Some(11))?;
    assert_eq!(checkpoints.steps()?, [10, 11]);
    Ok(())
}

#[test]
fn half_written_ones_are_swept_and_never_read() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 3);
    checkpoints.write(&snapshot(4), None)?;
    let part = folder.path().join(".part-000000000005");
    fs::create_dir(&part).unwrap();
    fs::write(part.join("tensors.safetensors"), "half").unwrap();
    assert_eq!(checkpoints.steps()?, [4]);
    checkpoints.sweep()?;
    assert!(!part.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    Ok(())
}

#[test]
fn damage_is_named() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 1);
    checkpoints.write(&snapshot(7), None)?;
    let place = folder.path().join("step-000000000007");
    let tensors = place.join("tensors.safetensors");
    let mut bytes = fs::read(&tensors).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&tensors, bytes).unwrap();
    let error = checkpoints.read(7).unwrap_err();
    assert!(error.to_string().contains("CRC-32C"), "{error}");
    fs::write(place.join("state.json"), "{").unwrap();
    assert!(matches!(
        checkpoints.read(7),
        Err(TrainError::Damaged { .. })
    ));
    assert!(matches!(checkpoints.read(8), Err(TrainError::Io { .. })));
    Ok(())
}

#[test]
fn numbers_of_zero_are_refused() {
    let none = CheckpointsConfig {
        keep_last: 0,
        ..Default::default()
    };
    assert!(Checkpoints::new("x", none).is_err());
    let never = CheckpointsConfig {
        every_iterations: Some(0),
        ..Default::default()
    };
    assert!(Checkpoints::new("x", never).is_err());
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn of_a_step_that_is_written_again_one_is_there_at_any_moment() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (whole, old) = (at("step-000000000004"), at(".part-old-000000000004"));
    let checkpoints = checkpoints(folder.path(), 3);
    checkpoints.write(&snapshot(4), None)?;
    // Killed when the old one was out of the way and the new one not yet in its place.
    fs::rename(&whole, &old).unwrap();
    fs::create_dir(at(".part-000000000004")).unwrap();
    checkpoints.sweep()?;
    assert_eq!(names(folder.path()), ["step-000000000004"]);
    assert_eq!(checkpoints.read(4)?.state.counters.step, 4);
    // Killed when the new one was in its place, and the old one half removed.
    fs::create_dir(&old).unwrap();
    checkpoints.sweep()?;
    assert_eq!(names(folder.path()), ["step-000000000004"]);
    // Not whole, so not worth putting back.
    fs::rename(&whole, &old).unwrap();
    fs::remove_file(old.join("state.json")).unwrap();
    checkpoints.sweep()?;
    assert!(names(folder.path()).is_empty());
    // And without a killing, nothing is left of it.
    for _ in 0..2 {
        checkpoints.write(&snapshot(5), None)?;
        assert_eq!(names(folder.path()), ["step-000000000005"]);
    }
    Ok(())
}

#[test]
fn damaged_ones_are_passed_over_and_put_aside() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 4);
    assert!(checkpoints.read_latest()?.is_none());
    for step in [1, 2, 3] {
        checkpoints.write(&snapshot(step), None)?;
    }
    let path = |step, name: &str| folder.path().join(format!("step-00000000000{step}/{name}"));
    let flip = |step| {
        let tensors = path(step, "tensors.safetensors");
        let mut bytes = fs::read(&tensors).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(tensors, bytes).unwrap();
    };
    flip(3);
    fs::remove_file(path(2, "state.json")).unwrap();
    let (step, read) = checkpoints.read_latest()?.unwrap();
    assert_eq!((step, read.state.counters.step), (1, 1));
    assert_eq!(checkpoints.steps()?, [1]);
    assert_eq!(
        names(folder.path()),
        [
            "damaged-000000000002",
            "damaged-000000000003",
            "step-000000000001"
        ]
    );
    // Where none is whole, the fault of the latest is told, and all stay where they are.
    flip(1);
    assert!(matches!(
        checkpoints.read_latest(),
        Err(TrainError::Damaged { .. })
    ));
    assert_eq!(checkpoints.steps()?, [1]);
    Ok(())
}

#[test]
fn a_loss_that_is_no_number_is_remembered() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 1);
    for sum in [0.1, f64::NAN, f64::NEG_INFINITY] {
        let mut snapshot = snapshot(3);
        snapshot.state.epoch_loss = (sum, 2);
        checkpoints.write(&snapshot, None)?;
        let (read, count) = checkpoints.read(3)?.state.epoch_loss;
        assert_eq!((read.to_bits(), count), (sum.to_bits(), 2));
    }
    Ok(())
}
