//! What the tests of several miners share, and the formats of all configurations.

#[cfg(feature = "serde")]
mod config_formats;
pub(crate) mod example_distance;
