//! What the core computes without any component, components one after the other, and the kernels for CUDA, against the
//! reference cases and against the CPU.

// An integration test is no unit test, for which clippy allows these by itself. What is left out is said.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod configurations;
mod cuda;
mod distances;
mod eval;
mod fuzz;
mod losses;
mod miners;
#[cfg(feature = "images")]
mod published_data;
mod reducers;
mod regularizers;
mod samplers;

use dml_testing::assert_conformance;

#[test]
fn tuples_convert_as_in_the_reference() {
    assert_conformance(&["tuples", "tuples_property"]);
}
