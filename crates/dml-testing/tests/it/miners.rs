//! The miners against the reference cases.

use dml_testing::assert_conformance_of;

#[test]
fn every_case_gives_the_tuples_of_the_reference() {
    assert_conformance_of(&["miner"]);
}

#[test]
fn random_miners_choose_as_often_as_the_reference_says() {
    assert_conformance_of(&["miner_property"]);
}
