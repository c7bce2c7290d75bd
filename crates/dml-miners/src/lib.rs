#![doc = include_str!("../README.md")]

mod allowed_range;
mod hard_pairs;
mod host;

pub mod angular_miner;
pub mod batch_easy_hard_miner;
pub mod batch_hard_miner;
pub mod distance_weighted_miner;
mod embeddings_already_packaged_as_triplets;
pub mod hdc_miner;
pub mod multi_similarity_miner;
pub mod n_hard_triplets_miner;
pub mod pair_margin_miner;
pub mod triplet_margin_miner;
pub mod uniform_histogram_miner;

pub mod hard_negative_miner;

pub use dml_core;

pub use allowed_range::AllowedRange;

pub use angular_miner::{AngularMiner, AngularMinerConfig};
pub use batch_easy_hard_miner::{BatchEasyHardMiner, BatchEasyHardMinerConfig, BatchStrategy};
pub use batch_hard_miner::{BatchHardMiner, BatchHardMinerConfig};
pub use distance_weighted_miner::{DistanceWeightedMiner, DistanceWeightedMinerConfig};
pub use embeddings_already_packaged_as_triplets::EmbeddingsAlreadyPackagedAsTriplets;
pub use hdc_miner::{HDCMiner, HDCMinerConfig};
pub use multi_similarity_miner::{MultiSimilarityMiner, MultiSimilarityMinerConfig};
pub use n_hard_triplets_miner::{NHardTripletsMiner, NHardTripletsMinerConfig};
pub use pair_margin_miner::{PairMarginMiner, PairMarginMinerConfig};
pub use triplet_margin_miner::{TripletMarginMiner, TripletMarginMinerConfig, TripletType};
pub use uniform_histogram_miner::{UniformHistogramMiner, UniformHistogramMinerConfig};

pub use hard_negative_miner::{
    HardNegativeMiner, HardNegativeMinerConfig, NegativeSampling, NeighborLists, PositivePairs,
};

#[cfg(test)]
mod tests;
