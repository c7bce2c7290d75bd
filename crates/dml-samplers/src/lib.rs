#![doc = include_str!("../README.md")]

mod classes;
mod deal;
mod epoch_rng;

mod m_per_class;
mod shuffle;

pub use dml_core;

pub use m_per_class::{MPerClassSampler, MPerClassSamplerConfig};
pub use shuffle::{ShuffleSampler, ShuffleSamplerConfig};
