//! The logarithm of the sum of exponentials over some entries of each row: [`crate::log_sum_exp`] on a GPU.

use super::{Buffer, Extent, Launch, Number, Source};

/// `log_sum_exp.cu`.
pub const SOURCE: Source = Source {
    name: "log_sum_exp",
    text: include_str!("log_sum_exp.cu"),
    kernels: &["log_sum_exp", "log_sum_exp_backward"],
};

/// `x` `[rows, width]`, `keep` (not 0 where an entry counts; any one byte without) → `y` `[rows]`.
#[must_use]
pub fn forward(rows: usize, width: usize, has_keep: bool, add_one: bool) -> Launch {
    Launch {
        source: &SOURCE,
        kernel: "log_sum_exp",
        blocks: rows,
        inputs: vec![Extent::real(rows * width), mask(rows * width, has_keep)],
        outputs: vec![Extent::real(rows)],
        numbers: vec![
            Number::size(width),
            Number::flag(has_keep),
            Number::flag(add_one),
        ],
    }
}

/// `x`, `keep`, `y`, gradient `[rows]` → gradient `[rows, width]`.
#[must_use]
pub fn backward(rows: usize, width: usize, has_keep: bool) -> Launch {
    Launch {
        source: &SOURCE,
        kernel: "log_sum_exp_backward",
        blocks: rows,
        inputs: vec![
            Extent::real(rows * width),
            mask(rows * width, has_keep),
            Extent::real(rows),
            Extent::real(rows),
        ],
        outputs: vec![Extent::real(rows * width)],
        numbers: vec![Number::size(width), Number::flag(has_keep)],
    }
}

fn mask(entries: usize, has_keep: bool) -> Extent {
    Extent::new(Buffer::U8, if has_keep { entries } else { 1 })
}
