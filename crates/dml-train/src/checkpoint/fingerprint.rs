//! By what a run is recognised: the data and the order that it learns them in.

use dml_core::{Dataset, Sampler};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// Rows, labels and batches, as far as a few numbers tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    /// CRC-32C of the labels.
    labels_crc32c: u32,
    /// Batches of a pass.
    batches: u64,
    /// CRC-32C of the rows of the first pass, batch by batch; none if a pass depends on more than its number.
    first_pass_crc32c: Option<u32>,
}

impl Fingerprint {
    pub(crate) fn of(dataset: &dyn Dataset, sampler: &dyn Sampler) -> Self {
        let labels = dataset.labels().as_slice();
        let add = |crc, number: u64| crc32c::crc32c_append(crc, &number.to_le_bytes());
        let first_pass = || {
            sampler.epoch(1).fold(0, |crc, batch| {
                let crc = add(crc, batch.len() as u64);
                batch.iter().fold(crc, |crc, row| add(crc, *row as u64))
            })
        };
        Self {
            rows: labels.len() as u64,
            labels_crc32c: labels.iter().fold(0, |crc, label| add(crc, *label as u64)),
            batches: sampler.batches() as u64,
            first_pass_crc32c: sampler.state().is_none().then(first_pass),
        }
    }

    /// Whether a run is the one of the checkpoint.
    pub(crate) fn check(self, checkpoint: Self) -> Result<()> {
        for ((what, got), (_, expected)) in self.in_words().into_iter().zip(checkpoint.in_words()) {
            if expected != got {
                return Err(TrainError::OtherData {
                    what,
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }

    /// Each number with what it is of.
    fn in_words(self) -> [(&'static str, String); 4] {
        let crc = |crc: u32| format!("CRC-32C {crc:08x}");
        let first_pass = self.first_pass_crc32c.map(crc);
        let first_pass = first_pass.unwrap_or_else(|| "a state of its own".to_owned());
        [
            ("rows of the data set", self.rows.to_string()),
            ("labels of the data set", crc(self.labels_crc32c)),
            ("batches of the sampler", self.batches.to_string()),
            ("first pass of the sampler", first_pass),
        ]
    }
}
