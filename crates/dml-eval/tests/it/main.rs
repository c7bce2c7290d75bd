//! Searches, matches and accuracies against the reference cases.

mod rooms;
mod scikit_learn;

use dml_testing::assert_conformance;

#[test]
fn every_search_and_match_finds_what_the_reference_does() {
    assert_conformance(&[
        "inference/",
        "error/FaissKNN/",
        "error/CustomKNN/",
        "error/MatchFinder/",
    ]);
}

#[test]
fn every_accuracy_gives_the_numbers_of_the_reference() {
    assert_conformance(&["accuracy/", "error/AccuracyCalculator/"]);
}
