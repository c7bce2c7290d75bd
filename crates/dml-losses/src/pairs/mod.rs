//! Losses over the positive and negative pairs of an anchor.

pub mod circle_loss;
pub mod contrastive_loss;
pub mod decoupled_contrastive_loss;
pub mod generalized_lifted_structure_loss;
pub mod intra_pair_variance_loss;
pub mod lifted_structure_loss;
pub mod multi_similarity_loss;
pub mod n_pairs_loss;
pub mod nca_loss;
pub mod ntxent_loss;
mod pair_loss;
pub mod signal_to_noise_ratio_contrastive_loss;
pub mod sup_con_loss;
pub mod threshold_consistent_margin_loss;
pub mod tuplet_margin_loss;

pub use circle_loss::{CircleLoss, CircleLossConfig};
pub use contrastive_loss::{ContrastiveLoss, ContrastiveLossConfig};
pub use decoupled_contrastive_loss::{DecoupledContrastiveLoss, DecoupledContrastiveLossConfig};
pub use generalized_lifted_structure_loss::{
    GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig,
};
pub use intra_pair_variance_loss::{IntraPairVarianceLoss, IntraPairVarianceLossConfig};
pub use lifted_structure_loss::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use multi_similarity_loss::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub use n_pairs_loss::NPairsLoss;
pub use nca_loss::{NCALoss, NCALossConfig};
pub use ntxent_loss::{NTXentLoss, NTXentLossConfig};
pub use signal_to_noise_ratio_contrastive_loss::{
    SignalToNoiseRatioContrastiveLoss, SignalToNoiseRatioContrastiveLossConfig,
};
pub use sup_con_loss::{SupConLoss, SupConLossConfig};
pub use threshold_consistent_margin_loss::{
    ThresholdConsistentMarginLoss, ThresholdConsistentMarginLossConfig,
};
pub use tuplet_margin_loss::{TupletMarginLoss, TupletMarginLossConfig};
