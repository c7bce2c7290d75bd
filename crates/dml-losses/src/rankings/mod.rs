//! Losses over the rank of the positives among all references of an anchor.

pub mod fast_ap_loss;
pub mod histogram_loss;
pub mod pnp_loss;
pub mod ranked_list_loss;
pub mod smooth_ap_loss;

pub use fast_ap_loss::{FastAPLoss, FastAPLossConfig};
pub use histogram_loss::{HistogramLoss, HistogramLossConfig};
pub use pnp_loss::{PNPLoss, PNPLossConfig, PNPVariant};
pub use ranked_list_loss::{RankedListLoss, RankedListLossConfig};
pub use smooth_ap_loss::{SmoothAPLoss, SmoothAPLossConfig};
