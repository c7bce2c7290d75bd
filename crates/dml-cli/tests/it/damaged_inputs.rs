//! Data, weights and runs that are missing, damaged or of another kind: one sentence with the file's name, and code 1.

use std::fs;

use crate::program::Folder;

/// What is done to a folder, the arguments, and what the message says.
type Case = (fn(&Folder), &'static [&'static str], &'static str);

const DATA: [Case; 21] = [
    (
        one_class,
        &["init", "one", "-o", "new.toml"],
        "one: expected at least 2 classes to learn from, got 1",
    ),
    (
        |own| fs::create_dir(own.path("void")).unwrap(),
        &["init", "void", "-o", "new.toml"],
        "void",
    ),
    (
        |own| own.write("t.csv", "text,label\na hat,hat\nshoes,shoes\n"),
        &["init", "t.csv", "-o", "new.toml"],
        "t.csv: a table of texts",
    ),
    (
        |own| own.write("x.index", "no index"),
        &["inspect", "x.index"],
        "nothing that `dml inspect` knows",
    ),
    (|_| (), &["train", "--train", "nowhere"], "nowhere"),
    (
        |own| own.write("empty/x/a.txt", ""),
        &["train", "--train", "empty"],
        "empty",
    ),
    (
        |own| own.write("photos/loose.png", PNG),
        &["train"],
        "loose.png",
    ),
    (
        |own| fs::create_dir(own.path("void")).unwrap(),
        &["train", "--train", "void"],
        "void",
    ),
    (
        one_class,
        &[
            "train",
            "--train",
            "one",
            "--set",
            "data.test_classes=[\"a\"]",
        ],
        "expected",
    ),
    (
        singles,
        &[
            "train",
            "--train",
            "single",
            "--set",
            "data.test_classes=0.4",
        ],
        "expected a class with two images",
    ),
    (
        |own| own.write("photos/hat/1.jpg", "no image"),
        &["train", "--set", "data.unreadable=refuse"],
        "1.jpg",
    ),
    (all_broken, &["train", "--train", "broken"], "broken"),
    (
        |own| own.write("t.csv", "path\na.jpg\n"),
        &["train", "--train", "t.csv"],
        "label",
    ),
    (
        |own| own.write("t.csv", "path,label\n"),
        &["train", "--train", "t.csv"],
        "t.csv",
    ),
    (
        |own| own.write("t.csv", "path,label\n\"a.jpg,b\n"),
        &["train", "--train", "t.csv"],
        "t.csv",
    ),
    (
        |own| own.write("t.csv", "path,label,split\na.jpg,b,train\n"),
        &[
            "train",
            "--train",
            "t.csv",
            "--set",
            "data.train_split=tset",
        ],
        "tset",
    ),
    (
        |own| own.write("t.parquet", "no parquet"),
        &["train", "--train", "t.parquet"],
        "t.parquet",
    ),
    (
        |own| own.write("t.xls", "x"),
        &["train", "--train", "t.xls"],
        "t.xls",
    ),
    (
        |_| (),
        &[
            "train",
            "--test",
            "nowhere",
            "--set",
            "data.test_classes=[\"hat\"]",
        ],
        "excludes",
    ),
    (|_| (), &["init", "nowhere", "-o", "new.toml"], "nowhere"),
    (
        |_| (),
        &["inspect", "photos/hat/1.jpg"],
        "nothing that `dml inspect` knows",
    ),
];

const WEIGHTS: [Case; 7] = [
    (|_| (), &["train", "--weights", "none.pth"], "none.pth"),
    (
        |own| own.write("w.pth", "no weights"),
        &["train", "--weights", "w.pth"],
        "w.pth",
    ),
    (
        |own| own.write("w.safetensors", [255u8; 40]),
        &["train", "--weights", "w.safetensors"],
        "w.safetensors",
    ),
    (
        |own| own.write("w.txt", ""),
        &["train", "--weights", "w.txt"],
        "w.txt",
    ),
    (
        other_network,
        &["train", "--weights", "other.safetensors"],
        "the weights do not fit the network",
    ),
    (
        |_| (),
        &["train", "--set", "backbone={ folder = \"photos\" }"],
        "config.json",
    ),
    (
        |own| own.write("m/config.json", "{}"),
        &["train", "--set", "backbone={ folder = \"m\" }"],
        "model_type",
    ),
];

/// The folder of a trained run.
const RUNS: [Case; 14] = [
    (|_| (), &["evaluate", "nowhere"], "nowhere"),
    (
        |_| (),
        &["report", "photos"],
        "expected a run that has ended",
    ),
    (
        |own| fs::remove_file(own.path("run/metrics.json")).unwrap(),
        &["report", "run"],
        "metrics.json",
    ),
    (
        |own| own.write("run/metrics.json", "{"),
        &["report", "run"],
        "metrics.json",
    ),
    (
        |own| own.write("run/dml.toml", "x"),
        &["report", "run"],
        "dml.toml:1:",
    ),
    (
        |own| own.write("run/figures/figures.json", "[{}]"),
        &["report", "run"],
        "figures.json",
    ),
    (
        |own| fs::remove_file(own.path("run/figures/pca.svg")).unwrap(),
        &["report", "run"],
        "pca.svg",
    ),
    (
        |own| cut(own, "run/model/model.safetensors"),
        &["evaluate", "run"],
        "model.safetensors",
    ),
    (
        |own| fs::remove_dir_all(own.path("run/model")).unwrap(),
        &["embed", "run", "photos", "-o", "e.csv"],
        "model",
    ),
    (
        |own| {
            own.write(
                "run/model/config.json",
                "{\"model_type\": \"dml_image_encoder\", \"backbone\": \"x\"}",
            );
        },
        &["inspect", "run"],
        "1 problem",
    ),
    (
        |own| own.write("texts.txt", "a\nb\n"),
        &["embed", "run", "texts.txt", "-o", "e.csv"],
        "the model reads images",
    ),
    (
        |own| cut_checkpoints(own),
        &["inspect", "run/checkpoints"],
        "problem",
    ),
    (
        |own| cut_checkpoints(own),
        &["train", "--resume", "run"],
        "checkpoints",
    ),
    (|_| (), &["compare", "run", "photos"], "photos"),
];

const PNG: [u8; 8] = [137, 80, 78, 71, 13, 10, 26, 10];

fn one_class(own: &Folder) {
    own.write(
        "one/a/1.jpg",
        fs::read(own.path("photos/hat/1.jpg")).unwrap(),
    );
    own.write(
        "one/a/2.jpg",
        fs::read(own.path("photos/hat/2.jpg")).unwrap(),
    );
}

fn singles(own: &Folder) {
    for class in ["a", "b", "c", "d"] {
        let bytes = fs::read(own.path("photos/hat/1.jpg")).unwrap();
        own.write(&format!("single/{class}/1.jpg"), bytes);
    }
}

fn all_broken(own: &Folder) {
    own.write("broken/a/1.jpg", "no image");
    own.write("broken/b/1.jpg", "no image");
}

fn other_network(own: &Folder) {
    let tensor = dml::candle_core::Tensor::zeros(
        (2, 2),
        dml::candle_core::DType::F32,
        &dml::candle_core::Device::Cpu,
    );
    let tensors = [("features.0.0.weight", tensor.unwrap())];
    own.write(
        "other.safetensors",
        safetensors::serialize(tensors, None).unwrap(),
    );
}

fn cut(own: &Folder, name: &str) {
    let bytes = fs::read(own.path(name)).unwrap();
    own.write(name, &bytes[..bytes.len() / 2]);
}

fn cut_checkpoints(own: &Folder) {
    for entry in fs::read_dir(own.path("run/checkpoints")).unwrap() {
        let path = entry.unwrap().path().join("tensors.safetensors");
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
}

fn check(folder: &Folder, (damage, args, expected): &Case) -> Result<(), String> {
    damage(folder);
    let ended = folder.run(args);
    let lines = ended
        .error
        .trim_end()
        .lines()
        .filter(|line| line.starts_with("error: "))
        .count();
    match (1..=2).contains(&ended.code) && ended.error.contains(expected) && lines == 1 {
        true => Ok(()),
        false => Err(format!("{args:?}: expected {expected:?}, got {ended:?}")),
    }
}

fn check_all(cases: &[Case], folder: impl Fn() -> Folder) {
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| check(&folder(), case).err())
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn data_that_can_not_be_used_is_named() {
    check_all(&DATA, Folder::new);
}

#[test]
fn weights_that_can_not_be_used_are_named() {
    check_all(&WEIGHTS, Folder::new);
}

#[test]
fn runs_that_are_damaged_are_named() {
    let trained = Folder::trained();
    let copied = || {
        let copy = Folder::new();
        copy_tree(&trained.path("run"), &copy.path("run"));
        copy
    };
    check_all(&RUNS, copied);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

#[test]
fn nothing_half_written_is_taken_for_whole() {
    let folder = Folder::trained();
    // A folder in the place of a file can't be written to.
    fs::create_dir(folder.path("e.csv")).unwrap();
    let ended = folder.run(&["embed", "run", "photos", "-o", "e.csv"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.error.contains("can't write e.csv"), "{ended:?}");
    let absent = folder.run(&["embed", "run", "photos", "-o", "no/such/e.csv"]);
    assert_eq!(absent.code, 1, "{absent:?}");
    let left: Vec<_> = fs::read_dir(folder.path("."))
        .unwrap()
        .map(|own| own.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
}
