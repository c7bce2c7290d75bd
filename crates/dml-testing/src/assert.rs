//! The conformance cases as a test of a crate, on the device of `DML_TEST_DEVICE`.

use dml::candle_core::DType;

use crate::{packed_cases, run, test_device};

/// Runs every packed case of these kinds, calls that must fail included, in single and in double precision.
///
/// # Panics
/// If a case fails, with the list of all that do; and if there is no case of a kind, since a test that runs nothing can't
/// fail.
pub fn assert_conformance(kinds: &[&str]) {
    assert_conformance_in(&[DType::F32, DType::F64], kinds);
}

/// [`assert_conformance`] in given precisions only.
///
/// # Panics
/// As [`assert_conformance`].
pub fn assert_conformance_in(precisions: &[DType], kinds: &[&str]) {
    for kind in kinds {
        assert_kind(precisions, kind);
    }
}

fn assert_kind(precisions: &[DType], kind: &str) {
    let mut cases = packed_cases().unwrap_or_else(|error| panic!("{error:#}"));
    cases.retain(|case| case.kind() == kind);
    assert!(!cases.is_empty(), "no case of kind {kind}");
    let device = test_device();
    let mut failures = Vec::new();
    for case in cases {
        for &precision in precisions {
            let case = case.clone().with_precision(precision);
            let case = case.with_device(device.clone());
            let result = run(&case);
            if !result.is_passed() {
                failures.push(format!("{} ({precision:?}): {result}", case.path));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
