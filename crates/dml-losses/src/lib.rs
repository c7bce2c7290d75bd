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

pub use classes::*;
pub use pairs::*;
pub use rankings::*;
pub use self_supervised::*;
pub use triplets::*;
pub use wrappers::*;
