//! Searches and accuracies against the reference cases.

use dml_testing::assert_conformance;

#[test]
fn every_search_finds_the_neighbours_of_the_reference() {
    assert_conformance(&[
        "inference/FaissKNN/",
        "inference/CustomKNN/",
        "error/FaissKNN/",
        "error/CustomKNN/",
    ]);
}

#[test]
fn every_accuracy_gives_the_numbers_of_the_reference() {
    // All but those of clusterings, which are not here yet.
    assert_conformance(&[
        "accuracy/AccuracyCalculator/all-lone",
        "accuracy/AccuracyCalculator/compare-",
        "accuracy/AccuracyCalculator/defaults",
        "accuracy/AccuracyCalculator/exclude-",
        "accuracy/AccuracyCalculator/huge-labels",
        "accuracy/AccuracyCalculator/include-",
        "accuracy/AccuracyCalculator/k-larger-than-reference",
        "accuracy/AccuracyCalculator/knn-",
        "accuracy/AccuracyCalculator/lone-",
        "accuracy/AccuracyCalculator/ref-",
        "accuracy/AccuracyCalculator/refinc-",
        "accuracy/AccuracyCalculator/self-",
        "error/AccuracyCalculator/",
    ]);
}
