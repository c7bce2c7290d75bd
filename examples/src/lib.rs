//! Small programs that show the dml crates at work: `cargo run --release --example NAME`.
//!
//! - `own_loss`: a loss of one's own beside the library's reducers and miners.
//! - `memory`: embeddings compared with a memory that holds copies of themselves.
//! - [`image_folder`]: an embedding learnt from a folder of pictures and judged by classes that it has never seen.

pub mod image_folder;
