//! What every kind of relation says of its rows.

use super::*;

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
    let relation = relation.with_identity(&[Some(2), None])?;
    assert_eq!(split(&relation, 0), (vec![0], vec![1]));
    assert_eq!(split(&relation, 1), (vec![1], vec![0, 2]));
    assert_eq!(relation.judge(0, 2), Verdict::Ignored);
    assert_eq!(relation.judge_apart(0, 2), Verdict::POSITIVE);
    assert_eq!(relation.judge_apart(0, 3), Verdict::Ignored);
    assert!(matches!(
        relation.clone().with_identity(&[Some(3), None]),
        Err(Error::Index {
            limit: 3,
            got: 3,
            ..
        })
    ));
    assert!(matches!(
        relation.with_identity(&[None]),
        Err(Error::Length { .. })
    ));
    Ok(())
}

#[test]
fn every_kind_splits_as_it_judges() -> Result<()> {
    let relations = [
        Relation::labels([0i64, 1, 0])?,
        Relation::cross_labels([1i64, 2, 2], [1i64, 2, 1])?.with_identity(&[
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
                Verdict::POSITIVE
            } else {
                Verdict::NEGATIVE
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
                let verdict = relation.judge(q, r as usize);
                assert_eq!(
                    positives.contains(&r),
                    matches!(verdict, Verdict::Positive(_))
                );
                assert_eq!(
                    negatives.contains(&r),
                    matches!(verdict, Verdict::Negative(_))
                );
            }
        }
    }
    Ok(())
}

#[test]
fn label_sets_weigh_by_jaccard() {
    let relation = Relation::label_sets(&[vec![1, 2], vec![2, 3], vec![4]], None);
    assert_eq!(relation.judge(0, 1), Verdict::Positive(1.0 / 3.0));
    assert_eq!(relation.judge(0, 2), Verdict::NEGATIVE);
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
