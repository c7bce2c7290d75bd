//! Whether embeddings use their space, or have collapsed to a few directions or points.
//!
//! ```text
//! rank_me     exp(−Σ_k p_k ln p_k),  p_k = σ_k / Σ σ,  σ the singular values of the embeddings
//! alignment   mean of ‖x − y‖^α over positive pairs         rows of length 1
//! uniformity  ln mean of exp(−t ‖x − y‖²) over all pairs    rows of length 1
//! pcf         the fewest principal components that hold a share of the variance / dim
//! ```
//!
//! Garrido et al., "`RankMe`" (2023, arXiv:2210.02885), whose ε in `p` is left out; Wang and Isola, "Understanding
//! Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere" (2020, arXiv:2005.10242).

mod pair_distances;
mod pairs;
mod principal_components;
mod rank_me;
mod spectrum;

pub use pair_distances::{PairDistances, mean_pair_distances};
pub use pairs::{alignment, uniformity};
pub use principal_components::principal_components_fraction;
pub use rank_me::rank_me;
