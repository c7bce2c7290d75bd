#![doc = include_str!("../README.md")]

mod anchor_pairs;
mod anchor_values;
mod negatives_over_positive;
mod pair_values;
mod triplets_per_anchor;

pub mod circle_loss;
pub mod contrastive_loss;
pub mod generalized_lifted_structure_loss;
pub mod lifted_structure_loss;
pub mod multi_similarity_loss;
pub mod n_pairs_loss;
pub mod ntxent_loss;
pub mod signal_to_noise_ratio_contrastive_loss;
pub mod sup_con_loss;
pub mod triplet_margin_loss;
pub mod tuplet_margin_loss;

pub use dml_core;

pub use triplets_per_anchor::TripletsPerAnchor;

pub use circle_loss::{CircleLoss, CircleLossConfig};
pub use contrastive_loss::{ContrastiveLoss, ContrastiveLossConfig};
pub use generalized_lifted_structure_loss::{
    GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig,
};
pub use lifted_structure_loss::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use multi_similarity_loss::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub use n_pairs_loss::NPairsLoss;
pub use ntxent_loss::{NTXentLoss, NTXentLossConfig};
pub use signal_to_noise_ratio_contrastive_loss::{
    SignalToNoiseRatioContrastiveLoss, SignalToNoiseRatioContrastiveLossConfig,
};
pub use sup_con_loss::{SupConLoss, SupConLossConfig};
pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
pub use tuplet_margin_loss::{TupletMarginLoss, TupletMarginLossConfig};
