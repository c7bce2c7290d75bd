//! The losses against the reference cases.

use dml_core::fused::without_kernels;
use dml_testing::assert_conformance;

const CASES: &[&str] = &[
    "loss/CircleLoss/",
    "pipeline/CircleLoss/",
    "error/CircleLoss/",
    "loss/ContrastiveLoss/",
    "pipeline/ContrastiveLoss/",
    "error/ContrastiveLoss/",
    "loss/GeneralizedLiftedStructureLoss/",
    "pipeline/GeneralizedLiftedStructureLoss/",
    "error/GeneralizedLiftedStructureLoss/",
    "loss/LiftedStructureLoss/",
    "pipeline/LiftedStructureLoss/",
    "error/LiftedStructureLoss/",
    "loss/MultiSimilarityLoss/",
    "pipeline/MultiSimilarityLoss/",
    "error/MultiSimilarityLoss/",
    "loss/NPairsLoss/",
    "error/NPairsLoss/",
    "loss/NTXentLoss/",
    "pipeline/NTXentLoss/",
    "loss/SignalToNoiseRatioContrastiveLoss/",
    "pipeline/SignalToNoiseRatioContrastiveLoss/",
    "error/SignalToNoiseRatioContrastiveLoss/",
    "loss/SupConLoss/",
    "pipeline/SupConLoss/",
    "error/SupConLoss/",
    "loss/TripletMarginLoss/",
    "pipeline/TripletMarginLoss/",
    "error/TripletMarginLoss/",
    "loss/TupletMarginLoss/",
    "pipeline/TupletMarginLoss/",
    "error/TupletMarginLoss/",
];

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(CASES);
}

#[test]
fn composite_forms_give_the_same_numbers() {
    without_kernels(|| assert_conformance(CASES));
}
