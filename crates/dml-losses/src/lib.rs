#![doc = include_str!("../README.md")]

mod class_softmax;
mod class_weights;
mod largest_of_groups;
mod multiple_angle;
mod needs_cosine;
mod seeded_vars;
mod softmax_mean_of_groups;
mod triplets_per_anchor;
pub mod weight_init;

pub mod arc_face_loss;
pub mod cos_face_loss;
pub mod large_margin_softmax_loss;
pub mod normalized_softmax_loss;
pub mod p2s_grad_loss;
pub mod proxy_anchor_loss;
pub mod proxy_nca_loss;
pub mod soft_triple_loss;
pub mod sphere_face_loss;
pub mod sub_center_arc_face_loss;
pub mod triplet_margin_loss;

pub use candle_nn;
pub use dml_core;

pub use seeded_vars::SeededVars;
pub use triplets_per_anchor::TripletsPerAnchor;
pub use weight_init::WeightInit;

pub use arc_face_loss::{ArcFaceLoss, ArcFaceLossConfig};
pub use cos_face_loss::{CosFaceLoss, CosFaceLossConfig};
pub use large_margin_softmax_loss::{LargeMarginSoftmaxLoss, LargeMarginSoftmaxLossConfig};
pub use normalized_softmax_loss::{NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig};
pub use p2s_grad_loss::{P2SGradLoss, P2SGradLossConfig};
pub use proxy_anchor_loss::{ProxyAnchorLoss, ProxyAnchorLossConfig};
pub use proxy_nca_loss::{ProxyNCALoss, ProxyNCALossConfig};
pub use soft_triple_loss::{SoftTripleLoss, SoftTripleLossConfig};
pub use sphere_face_loss::{SphereFaceLoss, SphereFaceLossConfig};
pub use sub_center_arc_face_loss::{Outliers, SubCenterArcFaceLoss, SubCenterArcFaceLossConfig};
pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};

#[cfg(test)]
mod by_hand;
