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
