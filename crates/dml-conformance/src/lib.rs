//! Programs over the reference cases: conformance of every component, and the catalogue of them.

pub mod catalog;
pub mod conformance;
