//! Schedules of the learning rate.
//!
//! ```text
//! rate = base · Π factor(t),   t: iterations or epochs done
//! ```
//!
//! A [`Schedule`] is a function of t without state, so a resumed run needs only its counters. Only [`Plateau`] has a state,
//! which is part of the checkpoint.

pub mod cosine;
pub mod linear;
pub mod plateau;
pub mod step;
pub mod warm_up;

use std::fmt::Debug;

pub use cosine::Cosine;
pub use linear::Linear;
pub(crate) use plateau::PlateauState;
pub use plateau::{Better, Plateau, PlateauConfig, ThresholdMode};
pub use step::{MultiStep, Step};
pub use warm_up::WarmUp;

/// The factor of a learning rate.
///
/// ```
/// use dml_train::schedule::Schedule;
///
/// /// The rate of the inverse square root.
/// #[derive(Debug)]
/// struct InverseRoot;
///
/// impl Schedule for InverseRoot {
///     fn factor(&self, done: u64) -> f64 {
///         1.0 / (1.0 + done as f64).sqrt()
///     }
/// }
///
/// assert_eq!(InverseRoot.factor(3), 0.5);
/// ```
pub trait Schedule: Debug + Send {
    /// The factor after `done` iterations or epochs.
    fn factor(&self, done: u64) -> f64;
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn factor(&self, done: u64) -> f64 {
        (**self).factor(done)
    }
}

/// Unit of time of a [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// The factor changes after every iteration.
    Iteration,
    /// The factor changes after every epoch.
    Epoch,
}
