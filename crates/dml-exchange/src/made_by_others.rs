//! Files that numpy, faiss, pyarrow and pandas have written (`tests/reference/exchange.py`), and what is in them.

use std::path::{Path, PathBuf};

use dml_core::candle_core::{Device, Tensor};

pub(super) const NUMBERS: [u64; 5] = [3, 1, 4, 15, 9];
pub(super) const TEXTS: [&str; 5] = ["a", "größe", "c d", "𝛼", "e"];

pub(super) fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/made_by_others");
    folder.join(name)
}

/// `[5, 3]` of single precision.
pub(super) fn rows() -> Tensor {
    let number = |place: usize| ((3 * (place / 3) + 7 * (place % 3)) % 11) as f32 / 4.0 - 1.25;
    let numbers: Vec<f32> = (0..15).map(number).collect();
    Tensor::from_vec(numbers, (5, 3), &Device::Cpu).unwrap()
}

/// A folder for what tests write: one that stays for `exchange.py read`, if a variable of the environment names it.
pub(super) enum Kept {
    Here(PathBuf),
    Gone(tempfile::TempDir),
}

impl Kept {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Here(path) => path,
            Self::Gone(folder) => folder.path(),
        }
    }
}

pub(super) fn kept() -> Kept {
    match std::env::var_os("DML_EXCHANGE_OUT") {
        Some(path) => {
            std::fs::create_dir_all(&path).unwrap();
            Kept::Here(path.into())
        }
        None => Kept::Gone(tempfile::tempdir().unwrap()),
    }
}
