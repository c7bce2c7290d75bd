//! Weights of tuples and wrappers of losses.

mod weights;
mod wrappers;
