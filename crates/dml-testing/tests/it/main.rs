//! What the core computes without any component, and components one after the other, against the reference cases.

use dml_testing::assert_conformance;

#[test]
fn tuples_convert_as_in_the_reference() {
    assert_conformance(&["tuples/", "tuples_property/"]);
}
