#![doc = include_str!("../README.md")]

mod error;
mod model;
mod protobuf;

pub use dml_core;
pub use dml_nn;

pub use error::{OnnxError, Result};
pub use model::{OnnxConfig, save, to_bytes};
