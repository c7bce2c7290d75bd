//! References sorted by class, where a relation compares labels.

use std::ops::Range;

use dml_core::{Labels, Relation};

/// The references of a relation of labels, class by class.
///
/// Every query has the positives side by side and the negatives in two pieces around them. Who asks for the pairs of
/// every anchor copies these pieces instead of comparing each label with each.
#[derive(Clone, Debug)]
pub(crate) struct ClassOrder {
    /// Reference rows by label, and in order within one.
    order: Vec<u32>,
    /// For each query, where its class stands in `order`.
    classes: Vec<Range<usize>>,
    /// For each query, where it stands in `order` itself, if it is a reference.
    itself: Vec<Option<usize>>,
}

impl ClassOrder {
    /// `None` where the relation is not one of labels.
    pub(crate) fn new(relation: &Relation) -> Option<Self> {
        let query = relation.query_labels()?;
        let labels = relation.reference_labels().map(Labels::as_slice)?;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        order.sort_by_key(|&r| labels[r as usize]);
        let mut places = vec![0; order.len()];
        for (place, &r) in order.iter().enumerate() {
            places[r as usize] = place;
        }
        let class = |label: &i64| {
            let start = order.partition_point(|&r| labels[r as usize] < *label);
            let end = order.partition_point(|&r| labels[r as usize] <= *label);
            start..end
        };
        let classes = query.as_slice().iter().map(class).collect();
        let itself = (0..relation.queries())
            .map(|q| places.get(relation.self_match(q)?).copied())
            .collect();
        Some(Self {
            order,
            classes,
            itself,
        })
    }

    /// Appends the reference rows that are positive and negative for query row `q`, ordered by class.
    pub(crate) fn split(&self, q: usize, positives: &mut Vec<u32>, negatives: &mut Vec<u32>) {
        let Some(class) = self.classes.get(q).cloned() else {
            return;
        };
        let end = self.order.len();
        self.append(q, class.clone(), positives);
        self.append(q, 0..class.start, negatives);
        self.append(q, class.end..end, negatives);
    }

    /// Whether query row `q` has a positive, and whether it has a negative.
    pub(crate) fn has_pairs(&self, q: usize) -> (bool, bool) {
        let Some(class) = self.classes.get(q) else {
            return (false, false);
        };
        let is_inside = self.itself[q].map(|itself| class.contains(&itself));
        let others = self.order.len() - class.len();
        (
            class.len() > usize::from(is_inside == Some(true)),
            others > usize::from(is_inside == Some(false)),
        )
    }

    /// Appends a piece of the order without the query itself.
    fn append(&self, q: usize, piece: Range<usize>, rows: &mut Vec<u32>) {
        match self.itself[q] {
            Some(itself) if piece.contains(&itself) => {
                rows.extend_from_slice(&self.order[piece.start..itself]);
                rows.extend_from_slice(&self.order[itself + 1..piece.end]);
            }
            _ => rows.extend_from_slice(&self.order[piece]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Result;

    /// The same pairs, sorted, as the relation itself names.
    fn assert_same(relation: &Relation) {
        let order = ClassOrder::new(relation).unwrap();
        for q in 0..relation.queries() + 1 {
            let (mut expected, mut got) = ([vec![], vec![]], [vec![], vec![]]);
            let [p, n] = &mut expected;
            relation.split(q, p, n);
            let [p, n] = &mut got;
            order.split(q, p, n);
            got.iter_mut().for_each(|rows| rows.sort_unstable());
            assert_eq!(got, expected);
            let has_pairs = (!expected[0].is_empty(), !expected[1].is_empty());
            assert_eq!(order.has_pairs(q), has_pairs);
        }
    }

    #[test]
    fn pieces_of_the_order_are_the_pairs_of_the_labels() -> Result<()> {
        let labels = [3i64, -1, 3, 7, -1, 3];
        assert_same(&Relation::labels(labels)?);
        assert_same(&Relation::labels(labels)?.with_diagonal_self_matches()?);
        let cross = Relation::cross_labels(labels, [7i64, 8, 3, 3])?;
        assert_same(&cross);
        // A query that is the reference of another class is neither positive nor negative to itself.
        let map = [Some(0), None, Some(2), Some(1), None, None];
        assert_same(&cross.with_self_matches(&map)?);
        assert_same(&Relation::labels([] as [i64; 0])?);
        Ok(())
    }

    #[test]
    fn other_relations_have_no_order() -> Result<()> {
        assert!(ClassOrder::new(&Relation::matrix(&[1.0], 1, 1)?).is_none());
        Ok(())
    }
}
