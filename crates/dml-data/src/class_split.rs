//! Classes to learn from and classes to test with, with none in common.
//!
//! ```text
//! classes = train ∪ test,   train ∩ test = ∅,   neither empty
//! ```
//!
//! An embedding is judged by classes that it has never seen; a split by images would measure how well it remembers.
//! This is how CUB-200-2011, Cars-196 and Stanford Online Products are split: Song, Xiang, Jegelka, Savarese, "Deep
//! Metric Learning via Lifted Structured Feature Embedding", 2016, arXiv:1511.06452, §6.

use std::collections::BTreeSet;

use dml_core::{Dataset, IntoLabels, Result, check};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::Subset;

/// Which classes go to the test half.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum TestClasses {
    /// A share of all classes, drawn by a seed.
    Fraction {
        /// The share, between 0 and 1, both excluded. It is rounded to whole classes, at least one for each half.
        fraction: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// These labels; the order is of no matter.
    Labels(Vec<i64>),
}

/// The two halves ([rule](self)): rows in ascending order, labels in ascending order.
///
/// ```
/// use dml_data::{ClassSplit, TestClasses};
///
/// let labels = [5i64, 7, 5, 9, 7];
/// let split = ClassSplit::new(labels, &TestClasses::Labels(vec![7]))?;
/// assert_eq!(split.train_rows(), [0, 2, 3]);
/// assert_eq!(split.test_rows(), [1, 4]);
/// assert_eq!(split.train_classes(), [5, 9]);
///
/// let drawn = ClassSplit::new(labels, &TestClasses::Fraction { fraction: 0.3, seed: 0 })?;
/// assert_eq!((drawn.train_classes().len(), drawn.test_classes().len()), (2, 1));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSplit {
    train_rows: Vec<usize>,
    test_rows: Vec<usize>,
    train_classes: Vec<i64>,
    test_classes: Vec<i64>,
}

impl ClassSplit {
    /// Splits the rows that `labels` label.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for labels of fewer than two classes, a fraction
    /// outside of its range, a label that no row has, no test class at all, or all of them.
    pub fn new(labels: impl IntoLabels, test: &TestClasses) -> Result<Self> {
        let labels = labels.into_labels()?;
        let classes: BTreeSet<i64> = labels.as_slice().iter().copied().collect();
        let (count, expected) = (classes.len(), "labels of at least 2 classes");
        check::parameter(count >= 2, "labels", count as f64, expected)?;
        let test = match test {
            TestClasses::Fraction { fraction, seed } => draw(&classes, *fraction, *seed)?,
            TestClasses::Labels(given) => listed(&classes, given)?,
        };
        let rows = |of_test: bool| {
            let labels = labels.as_slice().iter().enumerate();
            labels
                .filter(|(_, label)| test.contains(label) == of_test)
                .map(|(row, _)| row)
                .collect()
        };
        Ok(Self {
            train_rows: rows(false),
            test_rows: rows(true),
            train_classes: classes.difference(&test).copied().collect(),
            test_classes: test.into_iter().collect(),
        })
    }

    /// The rows of the classes to learn from.
    #[must_use]
    pub fn train_rows(&self) -> &[usize] {
        &self.train_rows
    }

    /// The rows of the classes to test with.
    #[must_use]
    pub fn test_rows(&self) -> &[usize] {
        &self.test_rows
    }

    /// The labels to learn from.
    #[must_use]
    pub fn train_classes(&self) -> &[i64] {
        &self.train_classes
    }

    /// The labels to test with.
    #[must_use]
    pub fn test_classes(&self) -> &[i64] {
        &self.test_classes
    }

    /// The two halves of `whole`, whose labels were split. The halves keep their labels.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) if `whole` has fewer rows than there were labels.
    pub fn apply<D: Dataset + Clone>(&self, whole: &D) -> Result<(Subset<D>, Subset<D>)> {
        Ok((
            Subset::new(whole.clone(), self.train_rows.clone())?,
            Subset::new(whole.clone(), self.test_rows.clone())?,
        ))
    }

    /// As [`apply`](Self::apply), with labels from 0 upwards in each half: label k of a half is `train_classes()[k]` or
    /// `test_classes()[k]`. A classifier or a loss with weights of classes then needs as many classes as the half has.
    ///
    /// ```
    /// use dml_core::Dataset;
    /// use dml_data::{ClassSplit, ImageDataset, Normalization, TestClasses};
    ///
    /// let names = ["a", "b", "c", "d"];
    /// let images = ImageDataset::new("x", (1, 1), vec![0; 4], [3u8, 0, 1, 3], names)?;
    /// let images = images.normalized(Normalization::UNIT);
    /// let split = ClassSplit::new(images.labels(), &TestClasses::Labels(vec![0]))?;
    /// let (train, _) = split.apply_dense(&images)?;
    /// assert_eq!((train.labels().as_slice(), split.train_classes()), (&[1, 0, 1][..], &[1, 3][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_dense<D: Dataset + Clone>(&self, whole: &D) -> Result<(Subset<D>, Subset<D>)> {
        let (train, test) = self.apply(whole)?;
        Ok((train.with_dense_labels()?, test.with_dense_labels()?))
    }
}

fn draw(classes: &BTreeSet<i64>, fraction: f64, seed: u64) -> Result<BTreeSet<i64>> {
    let expected = "a number between 0 and 1, both excluded";
    let is_part = fraction > 0.0 && fraction < 1.0;
    check::parameter(is_part, "fraction", fraction, expected)?;
    let most = classes.len() - 1;
    let count = ((classes.len() as f64 * fraction).round() as usize).clamp(1, most);
    let mut shuffled: Vec<i64> = classes.iter().copied().collect();
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    Ok(shuffled.into_iter().take(count).collect())
}

fn listed(classes: &BTreeSet<i64>, given: &[i64]) -> Result<BTreeSet<i64>> {
    for label in given {
        let (is_known, expected) = (classes.contains(label), "labels that a row has");
        check::parameter(is_known, "test_classes", *label as f64, expected)?;
    }
    let test: BTreeSet<i64> = given.iter().copied().collect();
    let expected = "at least one class for each half";
    let is_split = (1..classes.len()).contains(&test.len());
    check::parameter(is_split, "test_classes", test.len() as f64, expected)?;
    Ok(test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn message(labels: &[i64], test: TestClasses) -> String {
        ClassSplit::new(labels, &test).unwrap_err().to_string()
    }

    #[test]
    fn what_leaves_a_half_empty_is_refused() {
        let fraction = |fraction| TestClasses::Fraction { fraction, seed: 0 };
        assert_eq!(
            message(&[3, 3], fraction(0.5)),
            "labels: expected labels of at least 2 classes, got 1"
        );
        for bad in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            let text = message(&[1, 2], fraction(bad));
            assert!(
                text.starts_with("fraction: expected a number between 0 and 1"),
                "{text}"
            );
        }
        assert_eq!(
            message(&[1, 2], TestClasses::Labels(vec![4])),
            "test_classes: expected labels that a row has, got 4"
        );
        for (all_or_none, count) in [(vec![], 0), (vec![1, 2, 1], 2)] {
            let text = message(&[1, 2], TestClasses::Labels(all_or_none));
            let expected = "test_classes: expected at least one class for each half, got";
            assert_eq!(text, format!("{expected} {count}"));
        }
    }

    #[test]
    fn another_seed_draws_other_classes() -> Result<()> {
        let labels: Vec<i64> = (0..40).collect();
        let split = |seed| {
            ClassSplit::new(
                &labels,
                &TestClasses::Fraction {
                    fraction: 0.25,
                    seed,
                },
            )
        };
        assert_eq!(split(1)?.test_classes().len(), 10);
        assert_eq!(split(1)?, split(1)?);
        assert_ne!(split(1)?, split(2)?);
        Ok(())
    }

    #[test]
    fn halves_of_a_data_set_keep_its_labels() -> Result<()> {
        use crate::{ImageDataset, Normalization};
        let images =
            ImageDataset::new("x", (1, 1), vec![0, 51, 102], [0u8, 1, 0], ["a", "b"]).unwrap();
        let images = images.normalized(Normalization::UNIT);
        let split = ClassSplit::new(images.labels(), &TestClasses::Labels(vec![0]))?;
        let (train, test) = split.apply(&images)?;
        assert_eq!(train.labels().as_slice(), [1]);
        assert_eq!(test.labels().as_slice(), [0, 0]);
        assert_eq!(test.rows(), [0, 2]);
        Ok(())
    }

    /// Labels, fractions and seeds of all kinds.
    #[test]
    fn classes_are_disjoint_and_all_rows_are_there() -> Result<()> {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        for seed in 0..300 {
            let (rows, classes) = (rng.random_range(2..60), rng.random_range(2i64..12));
            // The first two rows see to it that there are two classes.
            let label = |row| {
                if row < 2 {
                    row
                } else {
                    rng.random_range(0..classes)
                }
            };
            let labels: Vec<i64> = (0..rows).map(label).collect();
            let classes: BTreeSet<i64> = labels.iter().copied().collect();
            let fraction = rng.random_range(0.001..0.999);
            let split = ClassSplit::new(&labels, &TestClasses::Fraction { fraction, seed })?;
            assert!(!split.train_rows().is_empty() && !split.test_rows().is_empty());
            let of = |rows: &[usize]| -> Vec<i64> {
                let labels = rows.iter().map(|&row| labels[row]);
                labels.collect::<BTreeSet<i64>>().into_iter().collect()
            };
            let (train, test) = (of(split.train_rows()), of(split.test_rows()));
            assert_eq!(train, split.train_classes());
            assert_eq!(test, split.test_classes());
            assert!(train.iter().all(|class| !test.contains(class)));
            let mut all = [split.train_rows(), split.test_rows()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let wanted = (classes.len() as f64 * fraction).round() as usize;
            assert_eq!(test.len(), wanted.clamp(1, classes.len() - 1));
        }
        Ok(())
    }
}
