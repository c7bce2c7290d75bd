#![doc = include_str!("../README.md")]

mod access;
mod app;
mod batching;
mod blocking;
mod embedder;
mod embedding;
mod error;
mod facets;
mod guard;
mod hard_pairs;
mod limits;
mod listening;
mod live;
mod metrics;
mod page;
mod pictures;
mod problem;
mod reading;
mod reload;
mod routes;
mod searching;
mod server;
mod wire;

pub use access::Edits;
pub use embedder::{EmbedError, EmbedImages, EmbedTexts, ImageNetwork, TextNetwork};
pub use error::ServeError;
pub use hard_pairs::{HardPair, HardPairs, PairKind, PairSide};
pub use limits::Limits;
pub use listening::Listening;
pub use pictures::PictureFolder;
pub use reload::CollectionSource;
pub use server::{Server, ServerBuilder};
