//! The miners against the reference cases.

use dml_testing::assert_conformance;

#[test]
fn every_case_gives_the_tuples_of_the_reference() {
    assert_conformance(&["miner"]);
}

#[test]
fn random_miners_choose_as_often_as_the_reference_says() {
    assert_conformance(&["miner_property"]);
}
