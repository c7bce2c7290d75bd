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
    assert!(
        error.to_string().contains("tensors.safetensors: expected"),
        "{error}"
    );
    assert!(error.to_string().contains("CRC-32"), "{error}");
    fs::write(place.join("state.json"), "{").unwrap();
    assert!(matches!(
        checkpoints.read(7),
        Err(TrainError::Damaged { .. })
    ));
    let none = checkpoints.read(8);
    assert!(matches!(none, Err(TrainError::NoCheckpoint { .. })));
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

/// Writes checkpoints of the steps 1 and 2.
fn two(folder: &Path) -> Result<Checkpoints> {
    let checkpoints = checkpoints(folder, 4);
    for step in [1, 2] {
        let mut snapshot = snapshot(step);
        let hook = serde_json::json!({"length": 1234, "columns": ["a", "b"]});
        snapshot.state.hooks.insert("log".to_owned(), hook);
        snapshot.state.epoch_loss = (0.123, 7);
        checkpoints.write(&snapshot, None)?;
    }
    Ok(checkpoints)
}

#[test]
fn no_changed_byte_of_any_file_gives_another_checkpoint() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = two(folder.path())?;
    let newest = folder.path().join("step-000000000002");
    assert_eq!(
        names(&newest),
        ["manifest.json", "state.json", "tensors.safetensors"]
    );
    for name in names(&newest) {
        let path = newest.join(name);
        let whole = fs::read(&path).unwrap();
        let mut places = 0;
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            // Another digit in the place of a digit, another letter in the place of a letter.
            bytes[place] = match bytes[place] {
                b'9' | b'z' | b'f' => bytes[place] - 1,
                other => other.wrapping_add(1),
            };
            fs::write(&path, &bytes).unwrap();
            let latest = checkpoints.read_latest()?.unwrap();
            let read = latest.snapshot.state.counters.step;
            assert_eq!(read, 1, "byte {place} of {}", path.display());
            places += 1;
        }
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(checkpoints.read_latest()?.unwrap().damaged.len(), 1);
        }
        fs::write(&path, [&whole[..], b" "].concat()).unwrap();
        assert_eq!(checkpoints.read_latest()?.unwrap().damaged.len(), 1);
        fs::write(&path, &whole).unwrap();
        assert_eq!(
            checkpoints
                .read_latest()?
                .unwrap()
                .snapshot
                .state
                .counters
                .step,
            2
        );
        assert!(places > 100);
    }
    Ok(())
}

#[test]
fn files_of_another_checkpoint_and_another_number_are_damage() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = two(folder.path())?;
    let at = |name: &str| folder.path().join(name);
    // A whole checkpoint under another number.
    fs::rename(at("step-000000000002"), at("step-000000000008")).unwrap();
    let latest = checkpoints.read_latest()?.unwrap();
    let damaged: Vec<u64> = latest.damaged.iter().map(|(step, _)| *step).collect();
    assert_eq!((latest.snapshot.state.counters.step, damaged), (1, vec![8]));
    fs::rename(at("step-000000000008"), at("step-000000000002")).unwrap();
    // The state of one with the tensors of another, both undamaged.
    for name in ["state.json", "tensors.safetensors", "manifest.json"] {
        let (own, other) = (
            at("step-000000000002").join(name),
            at("step-000000000001").join(name),
        );
        let kept = fs::read(&own).unwrap();
        fs::copy(other, &own).unwrap();
        let latest = checkpoints.read_latest()?.unwrap();
        assert_eq!(latest.snapshot.state.counters.step, 1, "{name}");
        fs::write(own, kept).unwrap();
    }
    Ok(())
}

#[test]
fn what_is_no_checkpoint_is_in_nobodys_way() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = two(folder.path())?;
    let at = |name: &str| folder.path().join(name);
    for name in ["step-9", "step-+00000000009", "step-000000000009x", "notes"] {
        fs::create_dir(at(name)).unwrap();
    }
    for name in [
        ".part-x",
        ".part-old-x",
        ".part-000000000003",
        ".part-gone-000000000003",
    ] {
        fs::write(at(name), "a file").unwrap();
    }
    fs::write(at(".tmpAbC123"), "half").unwrap();
    // A file, and a folder that is empty, in the place of the latest.
    fs::write(at("step-000000000011"), "a file").unwrap();
    fs::create_dir(at("step-000000000010")).unwrap();
    let latest = checkpoints.read_latest()?.unwrap();
    assert_eq!(latest.snapshot.state.counters.step, 2);
    assert_eq!(checkpoints.put_aside(latest.damaged)?.len(), 2);
    checkpoints.sweep()?;
    let expected = [
        ".part-old-x",
        ".part-x",
        "damaged-000000000010",
        "damaged-000000000011",
        "notes",
        "step-+00000000009",
        "step-000000000001",
        "step-000000000002",
        "step-000000000009x",
        "step-9",
    ];
    assert_eq!(names(folder.path()), expected);
    // A file in the place of the next one's working folder.
    fs::write(at(".part-000000000003"), "a file").unwrap();
    checkpoints.write(&snapshot(3), None)?;
    assert_eq!(checkpoints.steps()?, [1, 2, 3]);
    Ok(())
}

#[test]
fn a_folder_is_emptied_for_another_run() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = two(folder.path())?;
    for name in ["damaged-000000000001", ".part-000000000007", "notes"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let lock = checkpoints.lock()?;
    assert!(matches!(
        checkpoints.remove_all(),
        Err(TrainError::Locked(_))
    ));
    drop(lock);
    checkpoints.remove_all()?;
    assert_eq!(names(folder.path()), ["notes"]);
    Ok(())
}

#[test]
fn another_format_is_named() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = two(folder.path())?;
    let place = folder.path().join("step-000000000002");
    let state = fs::read_to_string(place.join("state.json")).unwrap();
    let manifest = fs::read_to_string(place.join("manifest.json")).unwrap();
    let of = |text: &str, format: u32| {
        text.replacen("\"format\": 2", &format!("\"format\": {format}"), 1)
    };
    // As the version wrote that had no manifest.
    fs::remove_file(place.join("manifest.json")).unwrap();
    fs::write(place.join("state.json"), of(&state, 1)).unwrap();
    let error = checkpoints.read_latest().unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Format {
                expected: 2,
                got: 1,
                ..
            }
        ),
        "{error}"
    );
    // As a later version may.
    fs::write(place.join("manifest.json"), of(&manifest, 3)).unwrap();
    fs::write(place.join("state.json"), of(&state, 3)).unwrap();
    let error = checkpoints.read_latest().unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Format {
                expected: 2,
                got: 3,
                ..
            }
        ),
        "{error}"
    );
    // One of the two numbers alone is damage.
    for (in_state, in_manifest) in [(2, 3), (3, 2), (1, 2)] {
        fs::write(place.join("manifest.json"), of(&manifest, in_manifest)).unwrap();
        fs::write(place.join("state.json"), of(&state, in_state)).unwrap();
        assert_eq!(checkpoints.read_latest()?.unwrap().damaged.len(), 1);
    }
    Ok(())
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
    // It counts before it has its name back.
    assert_eq!(checkpoints.steps()?, [4]);
    assert_eq!(
        checkpoints
            .read_latest()?
            .unwrap()
            .snapshot
            .state
            .counters
            .step,
        4
    );
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
    let latest = checkpoints.read_latest()?.unwrap();
    assert_eq!(latest.snapshot.state.counters.step, 1);
    // Reading changes nothing.
    assert_eq!(checkpoints.steps()?, [1, 2, 3]);
    let aside = checkpoints.put_aside(latest.damaged)?;
    let steps: Vec<u64> = aside.iter().map(|own| own.step).collect();
    assert_eq!(steps, [3, 2]);
    assert!(aside[0].problem.contains("CRC-32"), "{aside:?}");
    assert!(
        aside[1].problem.contains("state.json: No such"),
        "{aside:?}"
    );
    assert!(aside.iter().all(|own| own.moved_to.is_dir()));
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
