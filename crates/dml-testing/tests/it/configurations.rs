//! Every component of the registry, with values in its configuration that nobody means: an error or a component that works,
//! never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dml::config::profile;
use dml_testing::fuzz::{self, Role};

#[test]
fn every_component_works_with_its_defaults() {
    for (role, config) in fuzz::defaults() {
        let profile = config["name"].as_str().and_then(profile);
        if profile.is_some_and(|profile| !profile.is_available || !profile.reduces) {
            continue;
        }
        if let Err(error) = fuzz::exercise(role, config.clone()) {
            panic!("{config}: {error}");
        }
    }
}

/// A size that every component is right to accept, and takes seconds for.
const LARGE: u64 = 1_000_000;

#[test]
fn odd_values_are_refused_or_work() {
    let mut values = fuzz::odd_values();
    values.retain(|value| value.as_u64() != Some(LARGE));
    let (mut panicked, mut worked, mut refused) = (Vec::new(), 0, 0);
    for (role, config) in fuzz::defaults() {
        for changed in fuzz::with_odd_values(&config, &values) {
            let run = || fuzz::exercise(role, changed.clone()).is_ok();
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(true) => worked += 1,
                Ok(false) => refused += 1,
                Err(_) => panicked.push(format!("{role:?} {changed}")),
            }
        }
    }
    let list = panicked.join("\n");
    assert!(panicked.is_empty(), "{} panicked:\n{list}", panicked.len());
    // Neither is everything refused, nor is nothing.
    assert!(worked > 1_000 && refused > 1_000, "{worked} {refused}");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_allocated() {
    let refused = |role, text: &str| {
        let config = serde_json::from_str(text).unwrap();
        fuzz::exercise(role, config).unwrap_err().to_string()
    };
    let classes = refused(
        Role::Loss,
        r#"{"name": "ArcFaceLoss", "num_classes": 1000000000000, "embedding_size": 4}"#,
    );
    let expected = "num_classes: expected a whole number in [1, 4294967295], got 1000000000000";
    assert_eq!(classes, expected);
    // Each of the numbers is one that others can use; their product is 2⁶¹.
    let product = refused(
        Role::Loss,
        r#"{"name": "SoftTripleLoss", "num_classes": 2147483648, "embedding_size": 1073741824}"#,
    );
    assert!(
        product.contains("weights of the classes: expected at most"),
        "{product}"
    );
    let bins = refused(Role::Loss, r#"{"name": "HistogramLoss", "delta": 1e-320}"#);
    assert!(
        bins.starts_with("delta: expected a number in [2 / 65536, 2]"),
        "{bins}"
    );
    let margin = refused(
        Role::Loss,
        r#"{"name": "TripletMarginLoss", "margin": 1e308}"#,
    );
    assert!(
        margin.starts_with("margin: expected a finite number in [-1e30, 1e30]"),
        "{margin}"
    );
    let memory = r#"{"name": "CrossBatchMemory", "loss": {"name": "ContrastiveLoss"}, "embedding_size": 1000000,
        "memory_size": 1000000}"#;
    assert!(refused(Role::Loss, memory).starts_with("memory_size: expected at most"));
}
