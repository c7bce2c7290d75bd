//! What the fuzzers run: one function for each [`Target`], which takes any bytes and has to come back.
//!
//! A target reads the bytes as a file of its format, and uses what it read. An error is a right answer; a panic, an abort
//! and a loop without an end are not. Two programs call these functions:
//!
//! - `cargo xtask fuzz` hands them what libFuzzer makes up, without an end;
//! - tests hand them [valid inputs with a few bytes changed](mutated), from a fixed seed, for some seconds ([`survives`]).

#[cfg(feature = "images")]
mod annotations;
#[cfg(feature = "images")]
mod array;
mod checkpoint;
mod collection;
mod configuration;
#[cfg(feature = "images")]
mod csv;
#[cfg(feature = "parquet")]
mod exchange;
mod idx;
#[cfg(feature = "images")]
mod image;
mod index;
#[cfg(feature = "images")]
mod json_lines;
mod mutated;
#[cfg(feature = "parquet")]
mod parquet;
mod scratch;
#[cfg(feature = "images")]
mod tar;
mod tuples;

use std::panic::{AssertUnwindSafe, catch_unwind};

use dml::candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use configuration::{Role, defaults, exercise, odd_values, with_odd_values};
pub use mutated::mutated;

/// A function to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the fuzz target in `fuzz/`.
    pub name: &'static str,
    /// Reads the bytes and uses what it read.
    pub run: fn(&[u8]),
    /// Inputs that are valid.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target that this build has: images and Parquet files are behind the features of these names.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "images")]
    Target::new("annotations", annotations::run, annotations::seeds),
    #[cfg(feature = "images")]
    Target::new("array", array::run, array::seeds),
    Target::new("checkpoint", checkpoint::run, checkpoint::seeds),
    Target::new("collection", collection::run, collection::seeds),
    Target::new("configuration", configuration::run, configuration::seeds),
    #[cfg(feature = "images")]
    Target::new("csv", csv::run, csv::seeds),
    #[cfg(feature = "parquet")]
    Target::new("exchange", exchange::run, exchange::seeds),
    Target::new("idx", idx::run, idx::seeds),
    #[cfg(feature = "images")]
    Target::new("image", image::run, image::seeds),
    Target::new("index", index::run, index::seeds),
    #[cfg(feature = "images")]
    Target::new("json_lines", json_lines::run, json_lines::seeds),
    #[cfg(feature = "parquet")]
    Target::new("parquet", parquet::run, parquet::seeds),
    #[cfg(feature = "images")]
    Target::new("tar", tar::run, tar::seeds),
    Target::new("tuples", tuples::run, tuples::seeds),
];

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, run, seeds }
    }
}

/// The target of that name.
///
/// # Panics
/// If there is none in this build.
#[must_use]
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| panic!("no fuzz target is called `{name}` in this build"))
}

/// Runs a target on its seeds, and on `rounds` mutations of each.
///
/// # Panics
/// If the target does. The message holds the input.
pub fn survives(name: &str, rounds: usize) {
    let target = target(name);
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    for seed in (target.seeds)() {
        for round in 0..=rounds {
            let input = match round {
                0 => seed.clone(),
                _ => mutated(&seed, &mut rng),
            };
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                panic!("{name}: the target panicked on {}", shown(&input));
            }
        }
    }
}

/// An input as text, or in hexadecimal digits where it is none.
fn shown(input: &[u8]) -> String {
    match std::str::from_utf8(input) {
        Ok(text) => format!("{text:?}"),
        Err(_) => input.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// `count` rows of `dim` numbers that differ, `sin(step · i)` for the i-th of all.
fn rows(count: usize, dim: usize, step: f32) -> Tensor {
    let numbers: Vec<f32> = (0..count * dim).map(|i| (i as f32 * step).sin()).collect();
    let rows = Tensor::from_vec(numbers, (count, dim), &Device::Cpu);
    rows.expect("as many numbers as the shape has")
}

/// One of `values`.
fn one_of<T: Copy>(values: &[T], rng: &mut impl Rng) -> T {
    values[rng.random_range(0..values.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_for_cargo_fuzz() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
        for target in TARGETS {
            let program = std::path::Path::new(folder).join(target.name);
            assert!(program.with_extension("rs").is_file(), "{target:?}");
        }
    }
}
