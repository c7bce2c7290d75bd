//! The file of `TensorBoard` read back: by a reader that is written out here, and by `TensorBoard`'s own where it is.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use dml_train::TrainError;

use crate::logs::{interrupted, table};

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
    let has_spread = |event: &&Event| event.scalars.contains_key("embedding_spread/deviation");
    assert_eq!(events.iter().filter(has_spread).count(), losses.len());
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

/// What `TensorBoard` itself makes of a folder: each tag with its steps and numbers, as JSON.
const READER: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
board = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
board.Reload()
scalars = {tag: [[e.step, e.value] for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
print(json.dumps({"version": board.file_version, "scalars": scalars}))
"#;

/// A Python that has `TensorBoard`. One that is asked for by `DML_PYTHON` must have it.
fn python() -> Option<String> {
    let asked = std::env::var("DML_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let tried = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output();
    let has_board = tried.is_ok_and(|tried| tried.status.success());
    assert!(
        has_board || asked.is_none(),
        "DML_PYTHON: expected a Python that can `import tensorboard`, got {python}"
    );
    has_board.then_some(python)
}

#[test]
fn tensorboard_itself_reads_every_number() -> Result<(), TrainError> {
    let Some(python) = python() else {
        // Straight to the terminal: the harness keeps what a passing test prints to itself.
        let sentence = "SKIPPED: no Python with tensorboard (set DML_PYTHON); the records are checked by their checksums alone";
        writeln!(std::io::stderr(), "{sentence}").unwrap();
        return Ok(());
    };
    let folder = tempfile::tempdir().unwrap();
    interrupted(folder.path())?;
    let board = folder.path().join("board");
    let read = Command::new(python)
        .args(["-c", READER])
        .arg(&board)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    let read: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read["version"], 2.0, "{said}");
    let scalars: HashMap<String, Vec<(u64, f32)>> =
        serde_json::from_value(read["scalars"].clone()).unwrap();
    // All that is in the file, and every column of the table that does not depend on the clock.
    let mut expected: HashMap<String, Vec<(u64, f32)>> = HashMap::new();
    for event in read_events(&fs::read(board.join("events.out.tfevents.dml")).unwrap()) {
        for (tag, value) in event.scalars {
            expected.entry(tag).or_default().push((event.step, value));
        }
    }
    assert_eq!(scalars, expected);
    for (tag, column) in columns(&folder.path().join("iterations.csv")) {
        assert_eq!(scalars[&tag], column, "{tag}");
    }
    Ok(())
}

/// The numbers of every second iteration by name.
fn columns(path: &Path) -> Vec<(String, Vec<(u64, f32)>)> {
    let table = table(path);
    let step = table[0].iter().position(|own| own == "step").unwrap();
    let scalars = table[0].iter().position(|own| own == "loss").unwrap();
    let column = |i: usize| {
        let numbers = table[1..].iter().map(move |row| {
            (
                row[step].parse().unwrap(),
                row[i].parse::<f64>().unwrap() as f32,
            )
        });
        numbers.filter(|(step, _): &(u64, f32)| step % 2 == 0)
    };
    (scalars..table[0].len())
        .map(|i| (table[0][i].clone(), column(i).collect()))
        .collect()
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
