//! Which classes are taken for which.

use dml_core::{IntoLabels, Result, check};

/// How many rows of each class were given each class.
///
/// ```
/// use dml_eval::Confusion;
///
/// let confusion = Confusion::new([4i64, 4, 9], [4i64, 9, 9])?;
/// assert_eq!(confusion.classes(), [4, 9]);
/// // One 4 was taken for a 9.
/// assert_eq!((confusion.count(0, 0), confusion.count(0, 1), confusion.count(1, 1)), (1, 1, 1));
/// assert_eq!(confusion.accuracy(), 2. / 3.);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: Vec<i64>,
    counts: Vec<u64>,
}

impl Confusion {
    /// From the class of every row, and the class that it was given.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there are not as many of both; as [`IntoLabels::into_labels`].
    pub fn new(actual: impl IntoLabels, given: impl IntoLabels) -> Result<Self> {
        let (actual, given) = (actual.into_labels()?, given.into_labels()?);
        check::length("given classes", actual.len(), given.len())?;
        let all = actual.as_slice().iter().chain(given.as_slice());
        let mut classes: Vec<i64> = all.copied().collect();
        classes.sort_unstable();
        classes.dedup();
        let mut counts = vec![0; classes.len() * classes.len()];
        // Every class is among them.
        let place = |class: &i64| classes.partition_point(|other| other < class);
        for (actual, given) in actual.as_slice().iter().zip(given.as_slice()) {
            counts[place(actual) * classes.len() + place(given)] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// The classes, ascending.
    #[must_use]
    pub fn classes(&self) -> &[i64] {
        &self.classes
    }

    /// How many rows of the class at `actual` were given the class at `given`, by their places among the classes; 0 beyond.
    #[must_use]
    pub fn count(&self, actual: usize, given: usize) -> u64 {
        if actual.max(given) < self.classes.len() {
            self.counts[actual * self.classes.len() + given]
        } else {
            0
        }
    }

    /// The share of rows that were given their class; NaN without rows.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes.len())
            .map(|class| self.count(class, class))
            .sum();
        right as f64 / self.counts.iter().sum::<u64>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn classes_that_were_only_given_are_there() -> Result<()> {
        let confusion = Confusion::new([1i64, 1], [-5i64, 1])?;
        assert_eq!(confusion.classes(), [-5, 1]);
        assert_eq!(
            (
                confusion.count(1, 0),
                confusion.count(0, 0),
                confusion.count(9, 0)
            ),
            (1, 0, 0)
        );
        assert_eq!(confusion.accuracy(), 0.5);
        let none = Confusion::new([0i64; 0], [0i64; 0])?;
        assert!(none.accuracy().is_nan());
        assert!(matches!(
            Confusion::new([1i64], [0i64; 0]),
            Err(Error::Length {
                arg: "given classes",
                ..
            })
        ));
        Ok(())
    }
}
