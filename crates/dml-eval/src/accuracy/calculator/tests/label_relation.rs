//! Labels that match without being equal.

use super::*;

/// Labels match that differ by one.
#[derive(Debug)]
struct Neighboring;

impl LabelRelation for Neighboring {
    fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation> {
        let (query, reference) = (query[0].clone(), reference[0].clone());
        let (queries, references) = (query.len(), reference.len());
        Ok(Relation::closure(
            queries,
            references,
            move |q, r| match query.as_slice()[q].abs_diff(reference.as_slice()[r]) {
                1 => PairKind::POSITIVE,
                _ => PairKind::NEGATIVE,
            },
        ))
    }
}

fn precision_at_1() -> AccuracyCalculatorConfig {
    AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        return_per_class: true,
        ..Default::default()
    }
}

#[test]
fn a_batch_of_labels_is_measured_by_it_and_every_other_by_its_own_relation() -> Result<()> {
    let related = calculator(precision_at_1()).with_label_relation(Neighboring);
    // Nearest: 1, 0 and 1; no row is its own neighbour.
    let batch = Batch::new(&line(&[0., 1., 3.]), [0i64, 1, 3])?;
    let accuracies = related.get_accuracy(&batch)?;
    let score = accuracies.get("precision_at_1").unwrap();
    assert_eq!(score.per_query[..2], [1.0, 1.0]);
    assert!(score.per_query[2].is_nan());
    assert_eq!(score.per_class, [(0, 1.0), (1, 1.0)]);
    let other = Relation::matrix(&[0., 0., 1., 0., 0., 1., 1., 1., 0.], 3, 3)?;
    let batch = batch.with_relation(other.with_diagonal_self_matches()?)?;
    let accuracies = related.get_accuracy(&batch)?;
    let score = accuracies.get("precision_at_1").unwrap();
    assert_eq!(score.per_query, [0.0, 0.0, 1.0]);
    Ok(())
}

#[test]
fn clusters_are_left_out_or_refused() -> Result<()> {
    let labeled = Batch::new(&line(&[0., 1.]), [0i64, 1])?;
    let all = calculator(Default::default()).with_label_relation(Neighboring);
    assert_eq!(all.get_accuracy(&labeled)?.iter().count(), 5);
    assert_eq!(all.names().len(), 5);
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI],
        ..precision_at_1()
    };
    let named = calculator(config).with_label_relation(Neighboring);
    assert!(matches!(
        named.get_accuracy(&labeled),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
