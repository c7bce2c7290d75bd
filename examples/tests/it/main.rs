//! Programs and parts that only meet here: folders of pictures, samplers, loaders, trainers.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod arguments;
mod digits;
mod image_folder;
mod loading;
mod pictures;
mod re_identification;
mod sentences;
mod serve;
mod single_crates;
