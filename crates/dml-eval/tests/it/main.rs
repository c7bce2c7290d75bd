//! Accuracies against scikit-learn.

mod scikit_learn;
