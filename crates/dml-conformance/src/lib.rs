//! Programs over the reference cases: conformance of every component, and the README's catalogue of them.

pub mod catalog;
pub mod conformance;
