//! The losses against the reference cases.

use dml_testing::assert_conformance;

const CASES: &[&str] = &[
    "loss/FastAPLoss/",
    "pipeline/FastAPLoss/",
    "error/FastAPLoss/",
    "loss/HistogramLoss/",
    "error/HistogramLoss/",
    "loss/InstanceLoss/",
    "error/InstanceLoss/",
    "loss/NCALoss/",
    "pipeline/NCALoss/",
    "error/NCALoss/",
    "loss/PNPLoss/",
    "error/PNPLoss/",
    "loss/RankedListLoss/",
    "error/RankedListLoss/",
    "loss/SmoothAPLoss/",
    "error/SmoothAPLoss/",
    "loss/TripletMarginLoss/",
    "pipeline/TripletMarginLoss/",
    "error/TripletMarginLoss/",
];

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(CASES);
}
