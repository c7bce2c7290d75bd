//! Losses that compare embeddings with learned rows of their classes: margin softmax and proxies.

pub(crate) mod class_softmax;
pub(crate) mod class_weights;
pub(crate) mod margin_softmax;
pub(crate) mod multiple_angle;
pub(crate) mod over_classes;
mod seeded_vars;

pub mod arc_face_loss;
pub mod cos_face_loss;
pub mod instance_loss;
pub mod large_margin_softmax_loss;
pub mod manifold_loss;
pub mod normalized_softmax_loss;
pub mod p2s_grad_loss;
pub mod proxy_anchor_loss;
pub mod proxy_nca_loss;
pub mod soft_triple_loss;
pub mod sphere_face_loss;
pub mod sub_center_arc_face_loss;
pub mod weight_init;

pub use arc_face_loss::{ArcFaceLoss, ArcFaceLossConfig};
pub use cos_face_loss::{CosFaceLoss, CosFaceLossConfig};
pub use instance_loss::{InstanceLoss, InstanceLossConfig};
pub use large_margin_softmax_loss::{LargeMarginSoftmaxLoss, LargeMarginSoftmaxLossConfig};
pub use manifold_loss::{ManifoldLoss, ManifoldLossConfig};
pub use normalized_softmax_loss::{NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig};
pub use p2s_grad_loss::{P2SGradLoss, P2SGradLossConfig};
pub use proxy_anchor_loss::{ProxyAnchorLoss, ProxyAnchorLossConfig};
pub use proxy_nca_loss::{ProxyNCALoss, ProxyNCALossConfig};
pub use seeded_vars::SeededVars;
pub use soft_triple_loss::{SoftTripleLoss, SoftTripleLossConfig};
pub use sphere_face_loss::{SphereFaceLoss, SphereFaceLossConfig};
pub use sub_center_arc_face_loss::{Outliers, SubCenterArcFaceLoss, SubCenterArcFaceLossConfig};
pub use weight_init::WeightInit;
