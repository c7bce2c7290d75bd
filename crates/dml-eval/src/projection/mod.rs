//! Embeddings in fewer dimensions.

pub mod pca;
pub mod tsne;

pub use pca::Pca;
pub use tsne::{TSne, TSneConfig};
