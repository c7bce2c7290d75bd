//! Every network beside its upstream, and properties of all networks.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod adapters;
mod backbones;
mod formula;
#[cfg(feature = "hub")]
mod hub;
mod parity;
mod pretrained;
mod recording;
mod saving;
mod text;
mod vision;
mod vision_properties;
