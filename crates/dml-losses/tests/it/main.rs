//! The losses against the reference cases.

use dml_core::candle_core::DType;
use dml_core::fused::without_kernels;
use dml_testing::{assert_conformance, assert_conformance_in};

const CASES: &[&str] = &[
    "loss/AngularLoss/",
    "pipeline/AngularLoss/",
    "error/AngularLoss/",
    "loss/CircleLoss/",
    "pipeline/CircleLoss/",
    "error/CircleLoss/",
    "loss/ContrastiveLoss/",
    "pipeline/ContrastiveLoss/",
    "error/ContrastiveLoss/",
    "loss/CrossBatchMemory/",
    "error/CrossBatchMemory/",
    "loss/DynamicSoftMarginLoss/",
    "error/DynamicSoftMarginLoss/",
    "loss/FastAPLoss/",
    "pipeline/FastAPLoss/",
    "error/FastAPLoss/",
    "loss/GeneralizedLiftedStructureLoss/",
    "pipeline/GeneralizedLiftedStructureLoss/",
    "error/GeneralizedLiftedStructureLoss/",
    "loss/HistogramLoss/",
    "error/HistogramLoss/",
    "loss/InstanceLoss/",
    "error/InstanceLoss/",
    "loss/IntraPairVarianceLoss/",
    "pipeline/IntraPairVarianceLoss/",
    "error/IntraPairVarianceLoss/",
    "loss/LiftedStructureLoss/",
    "pipeline/LiftedStructureLoss/",
    "error/LiftedStructureLoss/",
    "loss/ManifoldLoss/",
    "error/ManifoldLoss/",
    "init_property/ManifoldLoss/",
    "loss/MarginLoss/",
    "pipeline/MarginLoss/",
    "error/MarginLoss/",
    "init_property/MarginLoss/",
    "loss/MultiSimilarityLoss/",
    "pipeline/MultiSimilarityLoss/",
    "error/MultiSimilarityLoss/",
    "loss/MultipleLosses/list",
    "error/MultipleLosses/",
    "loss/NCALoss/",
    "pipeline/NCALoss/",
    "error/NCALoss/",
    "loss/NPairsLoss/",
    "error/NPairsLoss/",
    "loss/NTXentLoss/",
    "pipeline/NTXentLoss/",
    "loss/PNPLoss/",
    "error/PNPLoss/",
    "loss/RankedListLoss/",
    "error/RankedListLoss/",
    "loss/SelfSupervisedLoss/",
    "error/SelfSupervisedLoss/",
    "loss/SignalToNoiseRatioContrastiveLoss/",
    "pipeline/SignalToNoiseRatioContrastiveLoss/",
    "error/SignalToNoiseRatioContrastiveLoss/",
    "loss/SmoothAPLoss/",
    "error/SmoothAPLoss/",
    "loss/SupConLoss/",
    "pipeline/SupConLoss/",
    "error/SupConLoss/",
    "loss/ThresholdConsistentMarginLoss/",
    "pipeline/ThresholdConsistentMarginLoss/",
    "error/ThresholdConsistentMarginLoss/",
    "loss/TripletMarginLoss/",
    "pipeline/TripletMarginLoss/",
    "error/TripletMarginLoss/",
    "loss/TupletMarginLoss/",
    "pipeline/TupletMarginLoss/",
    "error/TupletMarginLoss/",
    "loss/VICRegLoss/",
    "error/VICRegLoss/",
];

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(CASES);
}

#[test]
fn composite_forms_give_the_same_numbers() {
    // In double precision: there the order of a sum shows in no digit that counts, and what differs is the formula.
    without_kernels(|| assert_conformance_in(&[DType::F64], CASES));
}
