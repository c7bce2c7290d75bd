//! Small programs that show the dml crates at work: `cargo run -p dml-examples --example NAME`.
//!
//! - `own_loss`: a loss of one's own beside the library's reducers and miners.
//! - `memory`: embeddings compared with a memory that holds copies of themselves.
