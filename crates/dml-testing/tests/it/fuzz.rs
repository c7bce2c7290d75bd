//! The fuzz targets on valid inputs with a few bytes changed, from a fixed seed.

use dml_testing::fuzz::survives;

#[test]
fn idx_files() {
    survives("idx", 2_000);
}

#[test]
#[cfg(feature = "images")]
fn csv_tables() {
    survives("csv", 300);
}

#[test]
#[cfg(feature = "images")]
fn tables_of_json_lines() {
    survives("json_lines", 300);
}

#[test]
#[cfg(feature = "images")]
fn arrays() {
    survives("array", 200);
}

#[test]
#[cfg(feature = "images")]
fn tar_archives() {
    survives("tar", 60);
}

#[test]
#[cfg(feature = "images")]
fn annotations() {
    survives("annotations", 60);
}

#[test]
#[cfg(feature = "parquet")]
fn parquet_tables() {
    survives("parquet", 400);
}

#[test]
#[cfg(feature = "images")]
fn images() {
    survives("image", 100);
}

#[test]
fn indexes() {
    survives("index", 60);
}

#[test]
fn checkpoints() {
    survives("checkpoint", 12);
}

#[test]
fn configurations() {
    survives("configuration", 20);
}

#[test]
fn tuples() {
    survives("tuples", 100);
}

#[test]
#[cfg(feature = "parquet")]
fn collections_of_other_programs() {
    survives("exchange", 60);
}

#[test]
fn collections() {
    survives("collection", 200);
}
