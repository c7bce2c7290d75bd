//! What every kind of relation says of its rows.

use super::*;
use crate::{Error, Result};

fn split(relation: &Relation, q: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    relation.split(q, &mut positives, &mut negatives);
    (positives, negatives)
}

#[test]
fn labels_split_rows_and_leave_the_row_itself_out() -> Result<()> {
    let relation = Relation::labels([5i64, 6, 5, 5])?;
    assert_eq!(split(&relation, 0), (vec![2, 3], vec![1]));
    assert_eq!(split(&relation, 1), (vec![], vec![0, 2, 3]));
    Ok(())
}

#[test]
fn references_are_other_things_unless_said_otherwise() -> Result<()> {
    let relation = Relation::cross_labels([1i64, 2], [1i64, 2, 1])?;
    assert_eq!(split(&relation, 0), (vec![0, 2], vec![1]));
    let relation = relation.with_self_matches(&[Some(2), None])?;
    assert_eq!(split(&relation, 0), (vec![0], vec![1]));
    assert_eq!(split(&relation, 1), (vec![1], vec![0, 2]));
    assert_eq!(relation.pair_kind(0, 2), PairKind::Ignored);
    assert_eq!(relation.pair_kind_as_distinct(0, 2), PairKind::POSITIVE);
    assert_eq!(relation.pair_kind_as_distinct(0, 3), PairKind::Ignored);
    assert!(matches!(
        relation.clone().with_self_matches(&[Some(3), None]),
        Err(Error::Index {
            limit: 3,
            got: 3,
            ..
        })
    ));
    assert!(matches!(
        relation.with_self_matches(&[None]),
        Err(Error::Length { .. })
    ));
    Ok(())
}

#[test]
fn every_relation_splits_as_its_pair_kinds_say() -> Result<()> {
    let relations = [
        Relation::labels([0i64, 1, 0])?,
        Relation::cross_labels([1i64, 2, 2], [1i64, 2, 1])?.with_self_matches(&[
            Some(2),
            None,
            Some(0),
        ])?,
        Relation::label_sets(&[vec![1, 2], vec![3], vec![2, 3, 3]], None),
        Relation::matrix(&[1., 0., -1., 0.5, 1., 0., f32::NAN, 0., 1.], 3, 3)?,
        Relation::pairs(&[(0, 1)], &[(0, 2), (2, 0)], 3, 3)?,
        Relation::targets(&[1.0, 1.5, f64::NAN], None, 0.5)?,
        Relation::closure(3, 3, |q, r| {
            if q < r {
                PairKind::POSITIVE
            } else {
                PairKind::NEGATIVE
            }
        }),
    ];
    for relation in relations {
        assert_eq!(relation.counts(), relation.mask().counts());
        for q in 0..3 {
            let (positives, negatives) = split(&relation, q);
            let mask = relation.mask();
            assert_eq!(mask.positives(q).collect::<Vec<_>>(), positives);
            assert_eq!(mask.negatives(q).collect::<Vec<_>>(), negatives);
            for r in 0..3u32 {
                let kind = relation.pair_kind(q, r as usize);
                assert_eq!(
                    positives.contains(&r),
                    matches!(kind, PairKind::Positive(_))
                );
                assert_eq!(
                    negatives.contains(&r),
                    matches!(kind, PairKind::Negative(_))
                );
            }
        }
    }
    Ok(())
}

#[test]
fn label_sets_weigh_by_jaccard() {
    let relation = Relation::label_sets(&[vec![1, 2], vec![2, 3], vec![4]], None);
    assert_eq!(relation.pair_kind(0, 1), PairKind::Positive(1.0 / 3.0));
    assert_eq!(relation.pair_kind(0, 2), PairKind::NEGATIVE);
}

#[test]
fn pairs_are_checked() {
    assert!(matches!(
        Relation::pairs(&[(0, 9)], &[], 2, 2),
        Err(Error::Index {
            arg: "positive",
            limit: 2,
            got: 9,
            ..
        })
    ));
    assert!(Relation::pairs(&[(0, 1)], &[(0, 1)], 2, 2).is_err());
}

#[test]
fn a_matrix_has_a_weight_for_each_of_its_pairs_however_many_they_would_be() {
    for (queries, references) in [
        (1usize << 32, 1usize << 32),
        (1 << 32, 1),
        (1 << 40, 1 << 40),
        (usize::MAX, 2),
    ] {
        for (queries, references) in [(queries, references), (references, queries)] {
            let refused = Relation::matrix(&[], queries, references);
            assert!(matches!(refused, Err(Error::InvalidParameter { .. })));
            let refused = Relation::pairs(&[], &[], queries, references);
            assert!(matches!(refused, Err(Error::InvalidParameter { .. })));
        }
    }
    let refused = Relation::matrix(&[1.0], u32::MAX as usize, u32::MAX as usize);
    assert!(matches!(
        refused,
        Err(Error::Length {
            arg: "weights",
            got: 1,
            ..
        })
    ));
    assert!(Relation::matrix(&[], 0, 5).is_ok());
}

#[test]
fn only_a_weight_other_than_one_makes_a_relation_weighted() -> Result<()> {
    let sets = |sets: &[Vec<i64>]| Relation::label_sets(sets, None).is_weighted();
    assert!(!Relation::labels([0i64, 0])?.is_weighted());
    assert!(!Relation::pairs(&[(0, 1)], &[], 2, 2)?.is_weighted());
    assert!(!Relation::targets(&[0.0, 1.0], None, 1.0)?.is_weighted());
    assert!(!Relation::matrix(&[1., 0., -1., 1.], 2, 2)?.is_weighted());
    assert!(Relation::matrix(&[1., 0., -1., 0.5], 2, 2)?.is_weighted());
    assert!(!sets(&[vec![1, 2], vec![2, 1], vec![3]]));
    assert!(sets(&[vec![1, 2], vec![2], vec![3]]));
    let (one, other) = ([vec![1, 2]], [vec![1, 2], vec![7]]);
    assert!(!Relation::label_sets(&one, Some(&other)).is_weighted());
    assert!(Relation::label_sets(&one, Some(&[vec![1]])).is_weighted());
    let heavy = |weight| Relation::closure(2, 2, move |_, _| PairKind::Negative(weight));
    assert!(!heavy(1.0).is_weighted() && heavy(0.5).is_weighted() && heavy(f32::NAN).is_weighted());
    // A row is not compared with itself, so what the diagonal weighs is of no matter.
    let diagonal = |q, r| {
        if q == r {
            PairKind::Positive(0.5)
        } else {
            PairKind::POSITIVE
        }
    };
    let diagonal = Relation::closure(2, 2, diagonal).with_diagonal_self_matches()?;
    assert!(!diagonal.is_weighted());
    assert!(diagonal.without_self_matches().is_weighted());
    let plain = heavy(0.5).without_weights();
    assert_eq!(
        (plain.pair_kind(0, 1), plain.is_weighted()),
        (PairKind::NEGATIVE, false)
    );
    Ok(())
}

#[test]
fn some_rows_have_the_pair_kinds_of_before() -> Result<()> {
    let relations = [
        Relation::labels([0i64, 1, 0, 1])?,
        Relation::label_sets(&[vec![1, 2], vec![3], vec![2, 3], vec![1]], None),
        Relation::matrix(&[0.5; 16], 4, 4)?.with_self_matches(&[
            Some(3),
            None,
            Some(0),
            Some(1),
        ])?,
        Relation::targets(&[1.0, 1.5, 9.0, 1.2], None, 0.5)?,
    ];
    let (queries, references) = ([3, 0, 0], [1u32, 0, 3]);
    for relation in relations {
        let some = relation.select(&queries, &references)?;
        assert_eq!((some.queries(), some.references()), (3, 3));
        for (i, q) in queries.iter().enumerate() {
            for (j, r) in references.iter().enumerate() {
                let expected = relation.pair_kind(*q as usize, *r as usize);
                assert_eq!(some.pair_kind(i, j), expected, "{relation:?} {q} {r}");
            }
        }
        assert!(matches!(
            relation.select(&[4], &[0]),
            Err(Error::Index { arg: "queries", .. })
        ));
        assert!(matches!(
            relation.select(&[0], &[2, 2]),
            Err(Error::Unsupported { .. })
        ));
    }
    Ok(())
}

#[test]
fn a_block_has_the_last_word_on_its_references() -> Result<()> {
    let outer =
        Relation::cross_labels([0i64, 1], [0i64, 1, 0])?.with_self_matches(&[Some(2), None])?;
    let block = Relation::matrix(&[0.5, -1.0, 0.0, 1.0], 2, 2)?;
    let whole = outer.clone().with_block(&[2, 0], &block)?;
    let row = |q| [0, 1, 2].map(|r| whole.pair_kind(q, r));
    // Reference 2 is query 0, whatever the block says of them.
    let first = [PairKind::Ignored, PairKind::NEGATIVE, PairKind::Ignored];
    let second = [PairKind::POSITIVE, PairKind::POSITIVE, PairKind::NEGATIVE];
    assert_eq!([row(0), row(1)], [first, second]);
    assert!(whole.is_weighted() && whole.query_labels().is_none());
    assert!(matches!(
        outer.clone().with_block(&[2], &block),
        Err(Error::Length { .. })
    ));
    assert!(matches!(
        outer.with_block(&[2, 3], &block),
        Err(Error::Index { .. })
    ));
    Ok(())
}
