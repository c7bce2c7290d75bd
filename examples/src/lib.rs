//! Small programs that show the dml crates at work: `cargo run --release -p dml-examples --example NAME`.
//!
//! - [`single_crates`]: five lines of each of five crates.
//! - `own_loss`: a loss of one's own beside the library's reducers and miners.
//! - `memory`: embeddings compared with a memory that holds copies of themselves.
//! - `image_folder`, with the feature `images`: an embedding learnt from a folder of images, by a pretrained backbone or a small
//!   network, and judged by classes that it has never seen.
//! - `self_supervised_digits`: digits without labels ([`digits::self_supervised`]).
//! - `two_losses`: `ArcFace` and triplets on the same digits ([`digits::two_losses`]).
//! - [`sentences`]: a sentence encoder fine-tuned on pairs of sentences.
//! - `serve`, with the feature `images`: "which are nearest?" from the command line, by a trained model and an index.

pub mod digits;
#[cfg(feature = "images")]
pub mod image_folder;
pub mod sentences;
#[cfg(feature = "images")]
pub mod serve;
pub mod single_crates;
pub mod terminal;

mod evaluation;
mod network;
mod triplets;
