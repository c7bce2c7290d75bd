//! The regularizers against the reference cases.

use dml_testing::assert_conformance;

#[test]
fn every_case_gives_the_numbers_of_the_reference() {
    assert_conformance(&["regularizer"]);
}
