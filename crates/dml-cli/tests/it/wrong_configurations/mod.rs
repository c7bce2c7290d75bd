//! Wrong configurations and arguments: each has one sentence that names the place, what was found and what was meant, and ends
//! with code 2 before anything is begun.

mod components;
mod contradictions;

use crate::program::{Folder, SMALL};
use components::COMPONENTS;
use contradictions::CONTRADICTIONS;

/// A change of the configuration, and what the message says.
enum Case {
    /// Lines in place of the last line of a section of the small configuration, which is lines 2 to 25.
    Text(&'static str, &'static str),
    /// Arguments of `--set`.
    Set(&'static str, &'static str),
    /// Arguments of `dml`.
    Args(&'static [&'static str], &'static str),
}
use Case::{Args, Set, Text};

/// Files that are no configurations at all.
const FILES: [Case; 19] = [
    Text("[data", "dml.toml:1:"),
    Text("data", "dml.toml:1:"),
    Text("[data]\ntrain = photos", "dml.toml:2:"),
    Text("[data]\ntrain = \"photos", "dml.toml:2:"),
    Text("[data]\ntrain = \"a\"\ntrain = \"b\"", "dml.toml:3:"),
    Text("[data]\n[data]", "dml.toml:2:"),
    Text(
        "[dat]\ntrain = \"photos\"",
        "dml.toml:1:2: there is no section dat: did you mean data?; known: data, backbone,",
    ),
    Text(
        "[Loss]\nname = \"a\"",
        "dml.toml:1:2: there is no section Loss: did you mean loss?",
    ),
    Text("epochs = 3", "dml.toml:1:1: there is no section epochs"),
    Text("data = 3", "dml.toml:1:1: data: expected a table, got 3"),
    Text(
        "loss = 3",
        "dml.toml:1:1: loss: expected a table or the name of a component, got 3",
    ),
    Text(
        "train = \"photos\"",
        "dml.toml:1:1: train: expected a table, got \"photos\"",
    ),
    Text(
        "",
        "data.train: expected a folder of class folders, or a table; `dml init DIR` writes a configuration",
    ),
    Text(
        "[data]\ntrain = 1979-05-27",
        "dml.toml:2:1: expected a string, number, truth value, list or table, got a datetime",
    ),
    Text(
        "[data]\nseed = 99999999999999999999",
        "dml.toml:2:1: expected a whole number of 64 bits, got 99999999999999999999",
    ),
    Text(
        "[optimizer]\nlr = 1e999",
        "dml.toml:2:1: expected a number, got 1e999",
    ),
    Text(
        "[optimizer]\nlr = nan",
        "dml.toml:2:1: expected a number, got nan",
    ),
    Text(
        "[data]\ntrain = \"photos\"",
        "backbone.name: expected the name of an image network (`dml list backbones`), or backbone.folder",
    ),
    Text(
        "[backbone]\nname = \"resnet18\"",
        "data.train: expected a folder",
    ),
];

/// Fields with another name or another kind of value than they have.
const FIELDS: [Case; 34] = [
    Set(
        "data.trian=a",
        "data.trian: there is no field trian: did you mean train?",
    ),
    Set(
        "data.train=3",
        "data.train: expected a path in quotes, got 3",
    ),
    Set(
        "data.test_classes=1.5",
        "data.test_classes: expected a share between 0 and 1 or a list of class names, got 1.5",
    ),
    Set(
        "data.test_classes=0",
        "data.test_classes: expected a share between 0 and 1",
    ),
    Set(
        "data.test_classes=[]",
        "data.test_classes: expected a share between 0 and 1",
    ),
    Set(
        "data.test_classes=[1]",
        "data.test_classes.0: expected a share between 0 and 1",
    ),
    Set(
        "data.test_classes=half",
        "data.test_classes: expected a share between 0 and 1",
    ),
    Set(
        "data.unreadable=ignore",
        "data.unreadable: expected one of refuse, skip, got ignore",
    ),
    Set(
        "data.memory_limit=10",
        "data.memory_limit: expected a whole number from 1048576 to 1099511627776, got 10",
    ),
    Set(
        "data.seed=-1",
        "data.seed: expected a whole number of at least 0, got -1",
    ),
    Set(
        "backbone.name=resnet19",
        "got resnet19; did you mean resnet18?",
    ),
    Set("backbone.name=7", "backbone.name: expected a string, got 7"),
    Set(
        "backbone.size=large",
        "backbone.size: expected a whole number of at least 0, got \"large\"",
    ),
    Set(
        "backbone.size=4",
        "backbone.size: expected a whole number from 8 to 4096, got 4",
    ),
    Set(
        "backbone.freeze=yes",
        "backbone.freeze: expected true or false, got \"yes\"",
    ),
    Set(
        "backbone.lr=0",
        "backbone.lr: expected a number above 0, got 0",
    ),
    Set(
        "backbone.layer_decay=1.5",
        "backbone.layer_decay: expected a number above 0 and up to 1, got 1.5",
    ),
    Set(
        "backbone.unfreeze_at=0",
        "backbone.unfreeze_at: expected a whole number from 1 to 1000000, got 0",
    ),
    Set(
        "head.embeding=3",
        "head.embeding: there is no field embeding: did you mean embedding?",
    ),
    Set(
        "head.embedding=100000",
        "head.embedding: expected a whole number from 0 to 65536, got 100000",
    ),
    Set(
        "head.embedding=2.5",
        "head.embedding: expected a whole number of at least 0, got 2.5",
    ),
    Set(
        "train.epochs=ten",
        "train.epochs: expected a whole number of at least 0, got \"ten\"",
    ),
    Set(
        "train.epochs=2000000",
        "train.epochs: expected a whole number from 0 to 1000000, got 2000000",
    ),
    Set(
        "train.accumulate=0",
        "train.accumulate: expected a whole number from 1 to 1048576, got 0",
    ),
    Set(
        "train.clip=-1",
        "train.clip: expected a number above 0, got -1",
    ),
    Set(
        "train.ema=1",
        "train.ema: expected a number of at least 0 and below 1, got 1",
    ),
    Set(
        "train.gradient_cache=0",
        "train.gradient_cache: expected a whole number from 1",
    ),
    Set(
        "train.loading_threads=2000",
        "train.loading_threads: expected a whole number from 0 to 1024, got 2000",
    ),
    Set(
        "train.augment=[{ name = \"RandomCorp\" }]",
        "train.augment.0.name: expected one of Affine",
    ),
    Set(
        "evaluate.metrics=[\"precision_at_0\"]",
        "evaluate.metrics.0: k: expected",
    ),
    Set(
        "evaluate.metrics=[\"accuracy\"]",
        "evaluate.metrics.0: metric: no metric has that name",
    ),
    Set(
        "evaluate.batch=0",
        "evaluate.batch: expected a whole number from 1",
    ),
    Set("search.k=0", "search.k: expected a whole number from 1"),
    Set(
        "search.index={ name = \"FlatIndx\" }",
        "search.index.name: expected one of CustomKNN",
    ),
];

/// Arguments of the command line.
const ARGUMENTS: [Case; 18] = [
    Args(&[], "Usage: dml"),
    Args(&["trian"], "unrecognized subcommand 'trian'"),
    Args(&["train", "--epoch", "3"], "unexpected argument '--epoch'"),
    Args(&["train", "--epochs", "x"], "invalid value 'x'"),
    Args(
        &["train", "--set", "loss.margin"],
        "expected FIELD=VALUE such as loss.margin=0.2",
    ),
    Args(
        &["train", "--loss", "Tripletloss"],
        "--loss Tripletloss: loss.name: expected one of",
    ),
    Args(&["train", "--lr", "-1"], "--lr"),
    Args(&["train", "none.toml"], "can't read none.toml"),
    Args(
        &["train", "--resume", "photos"],
        "--resume photos: expected the folder of a run, with dml.toml",
    ),
    Args(
        &["train", "--resume", "run", "--overwrite"],
        "cannot be used with",
    ),
    Args(
        &["--threads", "0", "list"],
        "expected a number from 1 to 1024",
    ),
    Args(
        &["evaluate", "photos"],
        "photos: a model alone has no test data: name DATA",
    ),
    Args(&["list", "loses"], "loses: expected one of losses, miners"),
    Args(
        &["embed", "run", "photos", "-o", "e.parquet"],
        "--out e.parquet: expected an ending",
    ),
    Args(
        &["calibrate", "run", "photos"],
        "required arguments were not provided",
    ),
    Args(
        &["calibrate", "run", "photos", "--far", "2"],
        "expected a share from 0 to 1",
    ),
    Args(&["export", "run"], "required arguments were not provided"),
    Args(&["inspect", "nothing"], "nothing: no such file or folder"),
];

fn check(folder: &Folder, case: &Case) -> Result<(), String> {
    let (args, expected): (Vec<&str>, &str) = match case {
        Text(text, expected) => {
            folder.write("dml.toml", text);
            (vec!["train", "--dry-run"], expected)
        }
        Set(set, expected) => {
            folder.write("dml.toml", SMALL);
            (vec!["train", "--dry-run", "--set", set], expected)
        }
        Args(args, expected) => {
            folder.write("dml.toml", SMALL);
            (args.to_vec(), expected)
        }
    };
    let ended = folder.run(&args);
    // What a run begins with may stand before the error.
    let is_error = |line: &&str| line.starts_with("error: ");
    let lines: Vec<&str> = ended.error.trim_end().lines().collect();
    let count = lines.iter().filter(|line| is_error(line)).count();
    let is_one_sentence =
        matches!(case, Args(..)) || count == 1 && lines.last().is_some_and(is_error);
    match ended.code == 2 && ended.error.contains(expected) && is_one_sentence {
        true => Ok(()),
        false => Err(format!("{args:?}: expected {expected:?}, got {ended:?}")),
    }
}

#[test]
fn every_wrong_configuration_is_refused_in_one_sentence() {
    let folder = Folder::new();
    let tables: [&[Case]; 5] = [&FILES, &FIELDS, &COMPONENTS, &CONTRADICTIONS, &ARGUMENTS];
    let cases: Vec<&Case> = tables.iter().copied().flatten().collect();
    assert!(cases.len() > 100, "{}", cases.len());
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| check(&folder, case).err())
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
    // Nothing was begun.
    assert!(!folder.path("run").exists());
}
