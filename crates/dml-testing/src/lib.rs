#![doc = include_str!("../README.md")]

mod answer;
mod assert;
mod case;
mod case_result;
mod chance;
mod compare;
mod deviations;
mod device;
mod forms;
pub mod fuzz;
mod host_kernels;
mod kinds;
mod run;
mod source;
mod zero_rows;

pub use assert::{assert_conformance, assert_conformance_in};
pub use case::{Array, Case, Data};
pub use case_result::CaseResult;
pub use compare::{Tolerance, compare};
pub use deviations::reason as deviation;
pub use device::test_device;
pub use forms::assert_forms_agree;
pub use host_kernels::{HostKernels, cuda_sources};
pub use run::run;
pub use source::{cases, packed_cases};
