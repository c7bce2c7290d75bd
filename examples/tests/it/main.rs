//! Programs and parts that only meet here: folders of pictures, samplers, loaders, trainers.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod arguments;
mod digits;
#[cfg(feature = "images")]
mod fine_tuning;
#[cfg(feature = "images")]
mod image_folder;
#[cfg(feature = "images")]
mod loading;
#[cfg(feature = "images")]
mod pictures;
#[cfg(feature = "images")]
mod re_identification;
mod sentences;
#[cfg(feature = "images")]
mod serve;
mod single_crates;
