//! The conformance cases as a test of a crate, on the device of `DML_TEST_DEVICE`.

use dml::candle_core::DType;

use crate::{packed_cases, run, test_device};

/// Runs every packed case whose path `kind/Name/id` starts with one of `prefixes`, in single and in double precision.
///
/// # Panics
/// If a case fails, with the list of all that do; and if no case starts with a prefix, since a test that runs nothing
/// can't fail.
pub fn assert_conformance(prefixes: &[&str]) {
    assert_conformance_in(&[DType::F32, DType::F64], prefixes);
}

/// The same in given precisions only.
///
/// # Panics
/// As [`assert_conformance`].
pub fn assert_conformance_in(precisions: &[DType], prefixes: &[&str]) {
    let cases = packed_cases().unwrap_or_else(|error| panic!("{error:#}"));
    let device = test_device();
    let mut failures = Vec::new();
    for prefix in prefixes {
        let chosen: Vec<_> = cases
            .iter()
            .filter(|case| case.path.starts_with(prefix))
            .collect();
        assert!(!chosen.is_empty(), "no case starts with {prefix}");
        for case in chosen {
            for &precision in precisions {
                let case = case.clone().with_precision(precision);
                let case = case.with_device(device.clone());
                let verdict = run(&case);
                if !verdict.is_passed() {
                    failures.push(format!("{} ({precision:?}): {verdict}", case.path));
                }
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
