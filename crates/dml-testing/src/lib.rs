#![doc = include_str!("../README.md")]

mod answer;
mod assert;
mod binomial_test;
mod case;
mod case_result;
mod compare;
mod corrections;
mod device;
pub mod fuzz;
mod host_kernels;
mod inputs;
mod kinds;
mod run;
mod source;
mod unsupported;
mod zero_rows;

pub use assert::{assert_conformance, assert_conformance_in};
pub use case::Case;
pub use case_result::CaseResult;
pub use device::test_device;
pub use host_kernels::{HostKernels, cuda_sources};
pub use run::run;
pub use source::{cases, packed_cases};
