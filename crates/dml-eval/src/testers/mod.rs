//! Whole data sets embedded, searched and measured: PML's testers.
//!
//! A tester embeds every split once, and measures each query split against its reference splits at each level of labels.
//!
//! ```text
//! GlobalEmbeddingSpaceTester            all references
//! WithSameParentLabelTester             the references of the same label one level up; the mean over these labels
//! GlobalTwoStreamEmbeddingSpaceTester   the second inputs of the same split
//! ```
//!
//! Which labels match is for the calculator to say: equal ones, or by a [`LabelRelation`](crate::LabelRelation), which gets
//! the labels of the level and of those above it.
//!
//! PML fits its PCA to every split by itself, so that the same row lands in different places; here one is fitted to the rows
//! of all reference splits, and used for all.

mod global;
mod parents;
mod report;
mod splits;
mod tester;
mod two_stream;

pub use global::GlobalEmbeddingSpaceTester;
pub use parents::WithSameParentLabelTester;
pub use report::{LevelScores, SplitAccuracies};
pub use splits::TestSplit;
pub use tester::{LabelLevels, SplitsToEval, TesterConfig};
pub use two_stream::GlobalTwoStreamEmbeddingSpaceTester;

#[cfg(test)]
mod tests;
