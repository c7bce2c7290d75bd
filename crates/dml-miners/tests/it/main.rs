//! The miners against the reference cases, against their definitions over a thousand random batches, and what must
//! hold for all of them.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod invariance;

use dml_testing::assert_conformance_of;

#[test]
fn every_case_gives_the_tuples_of_the_reference() {
    assert_conformance_of(&["miner"]);
}

#[test]
fn random_miners_choose_as_often_as_the_reference_says() {
    assert_conformance_of(&["miner_property"]);
}
