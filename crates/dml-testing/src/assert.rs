//! The conformance cases as a test of a crate, on the device of `DML_TEST_DEVICE`.

use dml::candle_core::DType;

use crate::{Case, packed_cases, run, test_device};

/// Runs every packed case whose path `kind/Name/id` starts with one of `prefixes`, in single and in double precision.
///
/// # Panics
/// If a case fails, with the list of all that do; and if no case starts with a prefix, since a test that runs nothing
/// can't fail.
pub fn assert_conformance(prefixes: &[&str]) {
    assert_conformance_in(&[DType::F32, DType::F64], prefixes);
}

/// The same for every packed case of these kinds, calls that must fail included.
///
/// # Panics
/// As [`assert_conformance`].
pub fn assert_conformance_of(kinds: &[&str]) {
    assert_conformance_of_in(&[DType::F32, DType::F64], kinds);
}

/// [`assert_conformance_of`] in given precisions only.
///
/// # Panics
/// As [`assert_conformance`].
pub fn assert_conformance_of_in(precisions: &[DType], kinds: &[&str]) {
    for kind in kinds {
        hold(precisions, |case| case.kind() == *kind);
    }
}

/// [`assert_conformance`] in given precisions only.
///
/// # Panics
/// As [`assert_conformance`].
pub fn assert_conformance_in(precisions: &[DType], prefixes: &[&str]) {
    for prefix in prefixes {
        hold(precisions, |case| case.path.starts_with(prefix));
    }
}

fn hold(precisions: &[DType], is_chosen: impl Fn(&Case) -> bool) {
    let mut cases = packed_cases().unwrap_or_else(|error| panic!("{error:#}"));
    cases.retain(is_chosen);
    assert!(!cases.is_empty(), "no case was chosen");
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
