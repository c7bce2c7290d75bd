//! The losses against the reference cases.

use dml_core::fused::without_kernels;
use dml_testing::assert_conformance;

const CASES: &[&str] = &[
    "loss/ArcFaceLoss/",
    "pipeline/ArcFaceLoss/",
    "error/ArcFaceLoss/",
    "init_property/ArcFaceLoss/",
    "loss/CosFaceLoss/",
    "pipeline/CosFaceLoss/",
    "error/CosFaceLoss/",
    "init_property/CosFaceLoss/",
    "loss/LargeMarginSoftmaxLoss/",
    "error/LargeMarginSoftmaxLoss/",
    "init_property/LargeMarginSoftmaxLoss/",
    "loss/NormalizedSoftmaxLoss/",
    "pipeline/NormalizedSoftmaxLoss/",
    "error/NormalizedSoftmaxLoss/",
    "init_property/NormalizedSoftmaxLoss/",
    "loss/P2SGradLoss/",
    "error/P2SGradLoss/",
    "init_property/P2SGradLoss/",
    "loss/ProxyAnchorLoss/",
    "pipeline/ProxyAnchorLoss/",
    "error/ProxyAnchorLoss/",
    "init_property/ProxyAnchorLoss/",
    "loss/ProxyNCALoss/",
    "pipeline/ProxyNCALoss/",
    "error/ProxyNCALoss/",
    "init_property/ProxyNCALoss/",
    "loss/SoftTripleLoss/",
    "pipeline/SoftTripleLoss/",
    "error/SoftTripleLoss/",
    "init_property/SoftTripleLoss/",
    "loss/SphereFaceLoss/",
    "error/SphereFaceLoss/",
    "init_property/SphereFaceLoss/",
    "loss/SubCenterArcFaceLoss/",
    "error/SubCenterArcFaceLoss/",
    "init_property/SubCenterArcFaceLoss/",
    "loss/TripletMarginLoss/",
    "pipeline/TripletMarginLoss/",
    "error/TripletMarginLoss/",
];

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(CASES);
}

#[test]
fn composite_forms_give_the_same_numbers() {
    without_kernels(|| assert_conformance(CASES));
}
