//! Logs of a run: CSV, JSON lines, `TensorBoard`.
//!
//! Each log is a [`Hook`](crate::Hook). With checkpoints, a log remembers how long its file was, and a resumed run cuts
//! off what was written after that: every iteration stands in it once.

mod csv_log;
mod csv_table;
mod event;
mod growing_file;
mod json_lines;
mod tensor_board;

pub use csv_log::CsvLog;
pub use csv_table::CsvTable;
pub use json_lines::JsonLines;
pub use tensor_board::TensorBoard;

use crate::Epoch;

/// The numbers of an epoch by name.
fn epoch_scalars(done: &Epoch) -> Vec<(String, f64)> {
    let mut scalars = vec![("epoch/mean_loss".to_owned(), done.mean_loss)];
    scalars.extend(
        done.validation
            .map(|value| ("epoch/validation".to_owned(), value)),
    );
    if let Some((epoch, value)) = done.best {
        scalars.push(("epoch/best_epoch".to_owned(), epoch as f64));
        scalars.push(("epoch/best_validation".to_owned(), value));
    }
    scalars.push(("epoch/seconds".to_owned(), done.seconds));
    scalars
}
