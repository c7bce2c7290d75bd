#![doc = include_str!("../README.md")]

mod machinery;

pub mod classes;
pub mod pairs;
pub mod rankings;
pub mod self_supervised;
pub mod triplets;
pub mod wrappers;

pub use candle_nn;
pub use dml_core;
// One of the functions that the reference cases compare, beside the loss that is made of it.
#[doc(hidden)]
pub use machinery::one_positive_pair_per_label::one_positive_pair_per_label;

pub use classes::*;
pub use pairs::*;
pub use rankings::*;
pub use self_supervised::*;
pub use triplets::*;
pub use wrappers::*;
