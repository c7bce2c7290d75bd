//! Verification: telling pairs of the same thing from pairs of different things by a threshold.
//!
//! With pairs accepted that are at least as close as the threshold:
//!
//! ```text
//! FAR  false accept rate  accepted pairs of different things / pairs of different things    (also FMR, FPR)
//! TAR  true accept rate   accepted pairs of the same thing / pairs of the same thing        (also TPR, recall)
//! FRR  false reject rate  1 − TAR                                                           (also FNMR)
//! AUC  area under TAR over FAR = P(a same pair is closer than a different one) + ½ P(they tie)
//! EER  the rate at which FAR = FRR
//! ```
//!
//! Closeness is a distance or a similarity; a threshold is in its unit, and the pair that equals it is accepted, so it can
//! be handed to a [`MatchFinder`](crate::MatchFinder).

mod curve;
mod folds;
pub mod metric;
mod rounded;

pub use curve::{Best, EqualErrorRate, OperatingPoint, Verification};
pub use folds::{FoldAccuracies, fold_accuracies};
pub use metric::VerificationMetric;
