//! What logs hold: every iteration once, interruption or not; and the file of `TensorBoard` read back.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dml_core::Objective;
use dml_distances::LpDistance;
use dml_losses::{ContrastiveLoss, ContrastiveLossConfig};
use dml_miners::{HDCMiner, HDCMinerConfig};
use dml_reducers::AvgNonZeroReducer;
use dml_train::log::{CsvLog, JsonLines, TensorBoard};
use dml_train::{
    Checkpoints, CheckpointsConfig, Flow, MetricLossOnly, TrainError, Trainer, TrainerBuilder,
    Validation, ValidationConfig,
};

use crate::blobs::{Blobs, sampler, trunk};

/// A loss of two terms over mined pairs.
fn objective() -> Objective {
    let distance = Arc::new(LpDistance::default());
    let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance.clone()).unwrap();
    let miner = HDCMiner::new(HDCMinerConfig::default(), distance).unwrap();
    Objective::new(Arc::new(loss), Arc::new(AvgNonZeroReducer::default()))
        .with_miner(Arc::new(miner))
}

fn builder(folder: &Path) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        ..CheckpointsConfig::default()
    };
    let validation = ValidationConfig {
        every: 2,
        ..ValidationConfig::default()
    };
    let board = TensorBoard::new(folder.join("board"));
    Trainer::builder(MetricLossOnly::new(trunk(1, 0.2), objective()), data, order)
        .with_checkpoints(Checkpoints::new(folder.join("checkpoints"), config).unwrap())
        .with_validation(Validation::new(validation, |_| Ok(0.25)).unwrap())
        .with_hook(CsvLog::new(folder))
        .with_hook(JsonLines::new(folder.join("log.jsonl")))
        .with_hook(board.every(2).with_epoch_scalars(|model| {
            let weights = &model.parts()[0].learner().parameters()[0].1;
            let first = weights.flatten_all()?.get(0)?.to_scalar::<f32>()?;
            Ok(vec![("epoch/first_weight".to_owned(), f64::from(first))])
        }))
}

/// A run of three epochs that breaks down in iteration 14 and is taken up at 12.
fn interrupted(folder: &Path) -> Result<(), TrainError> {
    let mut failing = builder(folder)
        .on_iteration(|done| {
            if done.step == 14 {
                Err("power cut".into())
            } else {
                Ok(Flow::Continue)
            }
        })
        .build()?;
    assert!(failing.run(3).is_err());
    drop(failing);
    let mut resumed = builder(folder).build()?;
    assert_eq!(resumed.resume()?, Some(12));
    resumed.run(3)?;
    Ok(())
}

/// A table without the columns that depend on the clock.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let timed = |name: &str| name.contains("second");
    let kept: Vec<usize> = (0..rows[0].len()).filter(|i| !timed(rows[0][*i])).collect();
    rows.iter()
        .map(|row| kept.iter().map(|i| row[*i].to_owned()).collect())
        .collect()
}

#[test]
fn tables_are_those_of_a_run_without_interruption() -> Result<(), TrainError> {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    builder(whole.path()).build()?.run(3)?;
    interrupted(broken.path())?;
    let iterations = table(&whole.path().join("iterations.csv"));
    assert_eq!(table(&broken.path().join("iterations.csv")), iterations);
    assert_eq!(iterations.len(), 1 + 24);
    for name in [
        "loss",
        "losses/metric_loss",
        "terms/metric_loss.pos_loss",
        "terms/metric_loss.neg_loss",
        "tuples/mined",
        "tuples/active_fraction",
        "embedding_norm/mean",
        "learning_rate/trunk",
    ] {
        assert!(iterations[0].iter().any(|own| own == name), "{name}");
    }
    let column = |name: &str| -> Vec<f64> {
        let i = iterations[0].iter().position(|own| own == name).unwrap();
        iterations[1..]
            .iter()
            .map(|row| row[i].parse().unwrap())
            .collect()
    };
    assert_eq!(column("step"), (1..=24).map(f64::from).collect::<Vec<_>>());
    let (pos, neg) = (
        column("terms/metric_loss.pos_loss"),
        column("terms/metric_loss.neg_loss"),
    );
    for ((loss, pos), neg) in column("loss").iter().zip(pos).zip(neg) {
        approx::assert_relative_eq!(*loss, pos + neg, max_relative = 1e-5);
    }
    // The mean loss of an epoch after an interruption is that of what is left of it.
    let epochs = table(&broken.path().join("epochs.csv"));
    assert_eq!(epochs.len(), 1 + 3);
    let validation = epochs[0]
        .iter()
        .position(|own| own == "epoch/validation")
        .unwrap();
    let values: Vec<&str> = epochs[1..]
        .iter()
        .map(|row| row[validation].as_str())
        .collect();
    assert_eq!(values, ["NaN", "0.25", "NaN"]);
    Ok(())
}

#[test]
fn lines_are_json() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    interrupted(folder.path())?;
    let text = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<u64> = lines
        .iter()
        .filter(|line| line["event"] == "iteration")
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=24).collect::<Vec<u64>>());
    assert_eq!(lines.len(), 24 + 3);
    assert!(lines[0]["tuples/mined"].as_f64().unwrap() > 0.0);
    assert_eq!(lines[lines.len() - 1]["epoch"], 3);
    Ok(())
}

#[test]
fn the_board_is_read_back_with_its_checksums() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    interrupted(folder.path())?;
    let path = folder.path().join("board/events.out.tfevents.dml");
    let events = read_events(&fs::read(path).unwrap());
    assert_eq!(events[0].version.as_deref(), Some("brain.Event:2"));
    let losses: Vec<(u64, f32)> = events
        .iter()
        .filter_map(|event| Some((event.step, *event.scalars.get("loss")?)))
        .collect();
    let table = table(&folder.path().join("iterations.csv"));
    let column = |name: &str| table[0].iter().position(|own| own == name).unwrap();
    let (step, loss) = (column("step"), column("loss"));
    let expected: Vec<(u64, f32)> = table[1..]
        .iter()
        .map(|row| (row[step].parse().unwrap(), row[loss].parse().unwrap()))
        .filter(|(step, _): &(u64, f32)| step % 2 == 0)
        .collect();
    assert_eq!(losses, expected);
    let validation = |event: &&Event| event.scalars.contains_key("epoch/validation");
    let validated: Vec<u64> = events
        .iter()
        .filter(validation)
        .map(|own| own.step)
        .collect();
    assert_eq!(validated, [16]);
    // Numbers of one's own stand beside those of the epoch, and follow the model.
    let own: Vec<(u64, f32)> = events
        .iter()
        .filter_map(|event| Some((event.step, *event.scalars.get("epoch/first_weight")?)))
        .collect();
    assert_eq!(own.iter().map(|own| own.0).collect::<Vec<_>>(), [8, 16, 24]);
    assert!(own[0].1 != own[1].1 && own[1].1 != own[2].1);
    assert!(events.iter().all(|event| event.wall_time > 1.6e9));
    Ok(())
}

#[derive(Debug, Default)]
struct Event {
    wall_time: f64,
    step: u64,
    version: Option<String>,
    scalars: HashMap<String, f32>,
}

/// A reader of its own: records, checksums, and the protocol buffers inside.
fn read_events(mut file: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_at(8);
        check(length, rest);
        let count = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (content, rest) = rest[4..].split_at(count);
        check(content, rest);
        file = &rest[4..];
        let mut event = Event::default();
        for (field, value) in fields(content) {
            match (field, value) {
                (1, Value::Eight(bytes)) => event.wall_time = f64::from_le_bytes(bytes),
                (2, Value::Varint(step)) => event.step = step,
                (3, Value::Bytes(bytes)) => {
                    event.version = Some(String::from_utf8(bytes.to_vec()).unwrap());
                }
                (5, Value::Bytes(summary)) => {
                    for (_, value) in fields(summary) {
                        let Value::Bytes(value) = value else { panic!() };
                        let parts = fields(value);
                        let (Value::Bytes(tag), Value::Four(number)) = (&parts[0].1, &parts[1].1)
                        else {
                            panic!("a tag and a number");
                        };
                        let tag = String::from_utf8(tag.to_vec()).unwrap();
                        event.scalars.insert(tag, f32::from_le_bytes(*number));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        events.push(event);
    }
    events
}

/// Bit by bit, from the polynomial alone.
fn check(content: &[u8], rest: &[u8]) {
    let mut crc = !0u32;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (0u32.wrapping_sub(crc & 1)));
        }
    }
    let crc = !crc;
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    assert_eq!(masked.to_le_bytes(), rest[..4]);
}

#[derive(Debug)]
enum Value<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

fn fields(mut message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let mut take = |count: usize| {
            let (taken, rest) = message.split_at(count);
            message = rest;
            taken
        };
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut message)),
            1 => Value::Eight(take(8).try_into().unwrap()),
            5 => Value::Four(take(4).try_into().unwrap()),
            2 => {
                let count = varint(&mut message) as usize;
                let (taken, rest) = message.split_at(count);
                message = rest;
                Value::Bytes(taken)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = message[0];
        *message = &message[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}
