//! Comparisons of labels by name: which rows match, where it is not those of equal labels.

use dml_core::{Labels, PairKind, Relation, Result, check};
use dml_eval::LabelRelation;
use serde::{Deserialize, Serialize};

/// When two rows match. A row's label is a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelComparison {
    /// Both of two labels are equal.
    BothEqual,
    /// The first of two labels is equal and the second is not: the same item seen by another camera.
    FirstEqualSecondDifferent,
    /// One real number differs by less than 1.
    CloserThanOne,
}

impl LabelComparison {
    /// How many numbers the label of a row has.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::BothEqual | Self::FirstEqualSecondDifferent => 2,
            Self::CloserThanOne => 1,
        }
    }

    /// Who matches whom, `width` numbers for each row; `reference` `None` compares the rows among themselves, and none
    /// with itself.
    ///
    /// ```
    /// use dml::{PairKind, config::LabelComparison};
    ///
    /// // Item and camera of three pictures.
    /// let relation = LabelComparison::FirstEqualSecondDifferent.relation(&[7., 1., 7., 2., 7., 1.], None)?;
    /// assert_eq!(relation.pair_kind(0, 1), PairKind::POSITIVE);
    /// assert_eq!(relation.pair_kind(0, 2), PairKind::NEGATIVE);
    /// # Ok::<(), dml::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there are not `width` numbers for each row.
    pub fn relation(self, query: &[f64], reference: Option<&[f64]>) -> Result<Relation> {
        let width = self.width();
        for labels in [Some(query), reference].into_iter().flatten() {
            let whole = labels.len().next_multiple_of(width);
            check::length("labels", whole, labels.len())?;
        }
        let among_themselves = reference.is_none();
        let (query, reference) = (query.to_vec(), reference.unwrap_or(query).to_vec());
        let (queries, references) = (query.len() / width, reference.len() / width);
        let relation = Relation::closure(queries, references, move |q, r| {
            let label = |labels: &[f64], row: usize| -> [f64; 2] {
                let first = row * width;
                [labels[first], labels[first + width - 1]]
            };
            PairKind::positive_if(self.matches(label(&query, q), label(&reference, r)))
        });
        if among_themselves {
            relation.with_diagonal_self_matches()
        } else {
            Ok(relation)
        }
    }

    /// Whether labels match, given by their first and last number. Labels are compared as they are, to the last bit.
    #[allow(clippy::float_cmp)]
    fn matches(self, a: [f64; 2], b: [f64; 2]) -> bool {
        match self {
            Self::BothEqual => a == b,
            Self::FirstEqualSecondDifferent => a[0] == b[0] && a[1] != b[1],
            Self::CloserThanOne => (a[0] - b[0]).abs() < 1.0,
        }
    }
}

/// The first number of a row is its label, the second the one a level up.
impl LabelRelation for LabelComparison {
    fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation> {
        let width = self.width();
        let has_all = query.len() >= width && reference.len() >= width;
        let needed = "a second number for each label: the labels one level up";
        check::present(has_all.then_some(()), "label_comparison_fn", needed)?;
        let comparison = *self;
        let (queries, references) = (query[0].len(), reference[0].len());
        let first_and_last = |labels: &[Labels]| {
            let (first, last) = (labels[0].clone(), labels[width - 1].clone());
            move |row: usize| (first.as_slice()[row], last.as_slice()[row])
        };
        let (query, reference) = (first_and_last(query), first_and_last(reference));
        Ok(Relation::closure(queries, references, move |q, r| {
            // As whole numbers: beyond 2⁵³ real ones would merge.
            let ((a, b), (c, d)) = (query(q), reference(r));
            PairKind::positive_if(match comparison {
                Self::BothEqual => (a, b) == (c, d),
                Self::FirstEqualSecondDifferent => a == c && b != d,
                Self::CloserThanOne => a == c,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::IntoLabels;

    #[test]
    fn labels_of_two_levels_are_the_two_numbers_of_a_row() -> Result<()> {
        let levels = |first: [i64; 3], second: [i64; 3]| -> Result<[Labels; 2]> {
            Ok([first.into_labels()?, second.into_labels()?])
        };
        let huge = i64::MAX;
        let query = levels([huge, huge - 1, 7], [1, 1, 2])?;
        let reference = levels([huge, huge, 7], [1, 2, 2])?;
        let matching = |comparison: LabelComparison| -> Result<Vec<(usize, usize)>> {
            let relation = LabelRelation::relation(&comparison, &query, &reference)?;
            let pairs = (0..9).map(|pair| (pair / 3, pair % 3));
            Ok(pairs
                .filter(|(q, r)| relation.pair_kind(*q, *r) == PairKind::POSITIVE)
                .collect())
        };
        assert_eq!(matching(LabelComparison::BothEqual)?, [(0, 0), (2, 2)]);
        let other = matching(LabelComparison::FirstEqualSecondDifferent)?;
        assert_eq!(other, [(0, 1)]);
        let close = matching(LabelComparison::CloserThanOne)?;
        assert_eq!(close, [(0, 0), (0, 1), (2, 2)]);
        let one = LabelRelation::relation(&LabelComparison::BothEqual, &query[..1], &reference);
        assert!(matches!(
            one,
            Err(Error::Missing {
                component: "label_comparison_fn",
                ..
            })
        ));
        Ok(())
    }

    #[test]
    fn each_comparison_by_hand() -> Result<()> {
        let pairs = [1., 1., 1., 2., 2., 1., 1., 1.];
        let both = LabelComparison::BothEqual.relation(&pairs, None)?;
        assert_eq!(both.pair_kind(0, 3), PairKind::POSITIVE);
        assert_eq!(both.pair_kind(0, 1), PairKind::NEGATIVE);
        assert_eq!(both.pair_kind(0, 0), PairKind::Ignored);
        let other = LabelComparison::FirstEqualSecondDifferent.relation(&pairs, Some(&pairs))?;
        assert_eq!(other.pair_kind(0, 1), PairKind::POSITIVE);
        assert_eq!(other.pair_kind(0, 2), PairKind::NEGATIVE);
        assert_eq!(other.pair_kind(0, 0), PairKind::NEGATIVE);
        let close = LabelComparison::CloserThanOne.relation(&[0.0], Some(&[0.9, 1.0, -0.5]))?;
        assert_eq!(close.pair_kind(0, 0), PairKind::POSITIVE);
        assert_eq!(close.pair_kind(0, 1), PairKind::NEGATIVE);
        assert_eq!(close.pair_kind(0, 2), PairKind::POSITIVE);
        Ok(())
    }

    #[test]
    fn labels_must_fill_rows() {
        assert!(matches!(
            LabelComparison::BothEqual.relation(&[1., 2., 3.], None),
            Err(Error::Length {
                arg: "labels",
                expected: 4,
                got: 3
            })
        ));
    }
}
