//! The losses against the reference cases.

mod properties;
mod without_rows;

use dml::candle_core::DType;
use dml::core::autograd::without_kernels;
use dml_testing::{assert_conformance, assert_conformance_in};

/// The kinds of cases that losses have.
const KINDS: &[&str] = &["loss", "pipeline", "init_property"];

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(KINDS);
}

#[test]
fn composite_forms_give_the_same_numbers() {
    // In double precision: there the order of a sum shows in no digit that counts, and what differs is the formula.
    without_kernels(|| assert_conformance_in(&[DType::F64], KINDS));
}
