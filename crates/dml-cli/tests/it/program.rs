//! The command as a process, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A configuration that trains a small network on the photos in a second.
pub(crate) const SMALL: &str = r#"
[data]
train = "photos"
test_classes = ["pants", "shoes"]

[backbone]
name = "mobilenet_v3_small"
size = 32

[head]
embedding = 8

[sampler]
m = 4
batch_size = 8

[train]
epochs = 2
out = "run"

[evaluate]
metrics = ["precision_at_1", "mean_average_precision_at_r", "roc_auc"]
"#;

/// A folder with the photos and a configuration.
pub(crate) struct Folder {
    root: TempDir,
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Folder {
    /// With `photos/` and `dml.toml`.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let own = Self { root };
        copy(&photos(), &own.path("photos"));
        own.write("dml.toml", SMALL);
        own
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The command, to be run in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dml"));
        command.args(args).current_dir(self.root.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(&self.command(args).output().unwrap())
    }

    /// What a command that succeeds prints.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.out
    }

    /// A trained run in `run`.
    pub(crate) fn trained() -> Self {
        let own = Self::new();
        own.done(&["train"]);
        own
    }
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            error: text(&output.stderr),
        }
    }
}

/// The photos of this package.
pub(crate) fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photos")
}

/// Copies class folders.
pub(crate) fn copy(from: &Path, to: &Path) {
    for class in fs::read_dir(from).unwrap() {
        let class = class.unwrap().path();
        if class.is_dir() {
            let target = to.join(class.file_name().unwrap());
            fs::create_dir_all(&target).unwrap();
            for file in fs::read_dir(&class).unwrap() {
                let file = file.unwrap().path();
                fs::copy(&file, target.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
}
