//! Deep metric learning for Rust: the face of the dml crates.
