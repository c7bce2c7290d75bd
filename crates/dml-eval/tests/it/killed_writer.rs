//! A writer that is killed at any moment leaves the state after the last change that returned, or after the next one.

use std::io::{Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dml_core::candle_core::{Device, Tensor};
use dml_eval::{Attributes, Collection, CollectionError, FlatIndex, IdRef, Items};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The variable with the folder of the process that writes, and the one with its first change.
const FOLDER: &str = "DML_TEST_KILLED_WRITER_FOLDER";
const FIRST: &str = "DML_TEST_KILLED_WRITER_FIRST";

/// Makes the change of that number.
fn change(collection: &mut Collection, number: u64) -> Result<(), CollectionError> {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let (first, count) = (rng.random_range(0..500u64), rng.random_range(1..60));
    let ids: Vec<u64> = (first..first + count).collect();
    match rng.random_range(0..10) {
        0..=5 => {
            let values: Vec<f32> = (0..count * 4)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            let rows = Tensor::from_vec(values, (count as usize, 4), &Device::Cpu);
            let rows = rows.map_err(dml_core::Error::from)?;
            let numbers: Vec<i64> = (0..count as i64).map(|i| i + number as i64).collect();
            let items = Items::new(ids, &rows)?.with_column("number", numbers)?;
            collection.upsert(items).map(drop)
        }
        6 | 7 => collection.remove(&ids.into()).map(drop),
        8 => {
            let id = collection.ids().next().map(IdRef::to_id);
            let text = format!("change {number}");
            let attributes = Attributes::from([("text", text.as_str().into())]);
            id.map_or(Ok(()), |id| collection.set_attributes(id, attributes))
        }
        _ => collection.compact(),
    }
}

/// Everything that a collection holds.
fn content(collection: &Collection) -> Vec<String> {
    let items = collection
        .ids()
        .map(|id| format!("{:?}", collection.get(id).expect("rows in memory")));
    let mut items: Vec<String> = items.collect();
    items.sort();
    items
}

/// The process that is killed. Without the variables there is nothing to do.
#[test]
fn writer() {
    let (Some(folder), Ok(first)) = (std::env::var_os(FOLDER), std::env::var(FIRST)) else {
        return;
    };
    let mut collection = if Collection::is_collection(&folder) {
        Collection::open(&folder).unwrap()
    } else {
        Collection::create(&folder, FlatIndex::default()).unwrap()
    };
    for number in first.parse().unwrap().. {
        change(&mut collection, number).unwrap();
        writeln!(stdout(), "made {number}").unwrap();
        stdout().flush().unwrap();
    }
}

/// Starts the writer, kills it after a while, and returns how many changes have returned.
fn killed(folder: &Path, first: u64, after: Duration) -> u64 {
    let mut writer = Command::new(std::env::current_exe().expect("the path of the tests"))
        .args(["killed_writer::writer", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    std::thread::sleep(after);
    writer.kill().expect("a process that runs");
    let output = writer.wait_with_output().expect("its output");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    // The last line may be half a line.
    let (whole, _) = lines.rsplit_once('\n').unwrap_or_default();
    let mut made = whole.lines().filter_map(|line| line.strip_prefix("made "));
    let last = made
        .next_back()
        .map(|last| last.parse::<u64>().expect("a number"));
    last.map_or(first, |last| last + 1)
}

#[test]
fn a_killed_writer_leaves_what_has_returned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collection");
    let mut model = Collection::new(FlatIndex::default());
    let mut made = 0;
    for round in 0..25 {
        let returned = killed(&path, made, Duration::from_millis(5 + round * 17 % 90));
        while made < returned {
            change(&mut model, made).unwrap();
            made += 1;
        }
        if !Collection::is_collection(&path) {
            assert_eq!(made, 0, "a change has returned");
            continue;
        }
        let found = content(&Collection::open(&path).unwrap());
        if found != content(&model) {
            change(&mut model, made).unwrap();
            made += 1;
            assert_eq!(found, content(&model), "round {round}, change {made}");
        }
    }
    assert!(made > 5, "{made}");
}
