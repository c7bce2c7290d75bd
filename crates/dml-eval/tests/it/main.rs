//! Accuracies against scikit-learn.

mod rooms;
mod scikit_learn;
