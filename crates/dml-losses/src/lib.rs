#![doc = include_str!("../README.md")]

mod anchor_pairs;
mod anchor_values;
#[cfg(test)]
mod by_hand;
mod class_softmax;
mod class_weights;
mod demands;
mod inner_names;
mod largest_of_groups;
mod multiple_angle;
mod negatives_over_positive;
#[cfg(test)]
mod outcome;
mod pair_values;
mod row_terms;
mod seeded_vars;
mod soft_rank;
mod softmax_mean_of_groups;
mod softplus;
mod triplet_form;
mod triplets_per_anchor;
mod unit_rows;

pub mod angular_loss;
pub mod arc_face_loss;
pub mod centroid_triplet_loss;
pub mod circle_loss;
pub mod contrastive_loss;
pub mod cos_face_loss;
pub mod cross_batch_memory;
pub mod dynamic_soft_margin_loss;
pub mod fast_ap_loss;
pub mod generalized_lifted_structure_loss;
pub mod histogram_loss;
pub mod instance_loss;
pub mod intra_pair_variance_loss;
pub mod large_margin_softmax_loss;
mod learned_distance;
pub mod lifted_structure_loss;
pub mod manifold_loss;
pub mod margin_loss;
pub mod multi_similarity_loss;
pub mod multiple_losses;
pub mod n_pairs_loss;
pub mod nca_loss;
pub mod normalized_softmax_loss;
pub mod ntxent_loss;
pub mod p2s_grad_loss;
pub mod pnp_loss;
pub mod proxy_anchor_loss;
pub mod proxy_nca_loss;
pub mod ranked_list_loss;
pub mod self_supervised_loss;
pub mod signal_to_noise_ratio_contrastive_loss;
pub mod smooth_ap_loss;
pub mod soft_triple_loss;
pub mod sphere_face_loss;
pub mod sub_center_arc_face_loss;
pub mod sup_con_loss;
pub mod threshold_consistent_margin_loss;
pub mod triplet_margin_loss;
pub mod tuplet_margin_loss;

pub mod vic_reg_loss;
pub mod weight_init;

pub use candle_nn;
pub use dml_core;

pub use seeded_vars::SeededVars;
pub use triplets_per_anchor::TripletsPerAnchor;
pub use weight_init::WeightInit;

pub use angular_loss::{AngularLoss, AngularLossConfig};
pub use arc_face_loss::{ArcFaceLoss, ArcFaceLossConfig};
pub use centroid_triplet_loss::{CentroidTripletLoss, CentroidTripletLossConfig};
pub use circle_loss::{CircleLoss, CircleLossConfig};
pub use contrastive_loss::{ContrastiveLoss, ContrastiveLossConfig};
pub use cos_face_loss::{CosFaceLoss, CosFaceLossConfig};
pub use cross_batch_memory::{CrossBatchMemory, CrossBatchMemoryConfig};
pub use dynamic_soft_margin_loss::{DynamicSoftMarginLoss, DynamicSoftMarginLossConfig};
pub use fast_ap_loss::{FastAPLoss, FastAPLossConfig};
pub use generalized_lifted_structure_loss::{
    GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig,
};
pub use histogram_loss::{HistogramLoss, HistogramLossConfig};
pub use instance_loss::{InstanceLoss, InstanceLossConfig};
pub use intra_pair_variance_loss::{IntraPairVarianceLoss, IntraPairVarianceLossConfig};
pub use large_margin_softmax_loss::{LargeMarginSoftmaxLoss, LargeMarginSoftmaxLossConfig};
pub use learned_distance::LearnedDistance;
pub use lifted_structure_loss::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use manifold_loss::{ManifoldLoss, ManifoldLossConfig};
pub use margin_loss::{MarginLoss, MarginLossConfig};
pub use multi_similarity_loss::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub use multiple_losses::{MultipleLosses, WeightedObjective};
pub use n_pairs_loss::NPairsLoss;
pub use nca_loss::{NCALoss, NCALossConfig};
pub use normalized_softmax_loss::{NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig};
pub use ntxent_loss::{NTXentLoss, NTXentLossConfig};
pub use p2s_grad_loss::{P2SGradLoss, P2SGradLossConfig};
pub use pnp_loss::{PNPLoss, PNPLossConfig, PNPVariant};
pub use proxy_anchor_loss::{ProxyAnchorLoss, ProxyAnchorLossConfig};
pub use proxy_nca_loss::{ProxyNCALoss, ProxyNCALossConfig};
pub use ranked_list_loss::{RankedListLoss, RankedListLossConfig};
pub use self_supervised_loss::SelfSupervisedLoss;
pub use signal_to_noise_ratio_contrastive_loss::{
    SignalToNoiseRatioContrastiveLoss, SignalToNoiseRatioContrastiveLossConfig,
};
pub use smooth_ap_loss::{SmoothAPLoss, SmoothAPLossConfig};
pub use soft_triple_loss::{SoftTripleLoss, SoftTripleLossConfig};
pub use sphere_face_loss::{SphereFaceLoss, SphereFaceLossConfig};
pub use sub_center_arc_face_loss::{Outliers, SubCenterArcFaceLoss, SubCenterArcFaceLossConfig};
pub use sup_con_loss::{SupConLoss, SupConLossConfig};
pub use threshold_consistent_margin_loss::{
    ThresholdConsistentMarginLoss, ThresholdConsistentMarginLossConfig,
};
pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
pub use tuplet_margin_loss::{TupletMarginLoss, TupletMarginLossConfig};
pub use vic_reg_loss::{VICRegLoss, VICRegLossConfig};
