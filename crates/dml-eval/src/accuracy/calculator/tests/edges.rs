//! Nothing to search for, nothing to find, and what is not a number.

use super::*;

fn all_nan(accuracies: &Accuracies, queries: usize) {
    assert_eq!(accuracies.iter().count(), 5);
    for score in accuracies {
        assert!(score.value.is_nan(), "{}", score.metric);
        assert_eq!(score.per_query.len(), queries);
    }
}

#[test]
fn without_references_or_queries_rankings_have_no_value() -> Result<()> {
    let calculator = calculator(rankings());
    let queries = Batch::new(&line(&[0., 1.]), [0i64, 0])?;
    let none = line(&[]);
    let batch = queries.with_reference(&none, [0i64; 0])?;
    all_nan(&calculator.get_accuracy(&batch)?, 2);
    let batch = Batch::new(&none, [0i64; 0])?;
    all_nan(&calculator.get_accuracy(&batch)?, 0);
    let batch = batch.with_reference(&line(&[0., 1.]), [0i64, 0])?;
    all_nan(&calculator.get_accuracy(&batch)?, 0);
    Ok(())
}

#[test]
fn clusters_need_queries_and_no_references() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI],
        ..Default::default()
    };
    let calculator = calculator(config);
    let none = line(&[]);
    let batch = Batch::new(&line(&[0., 1., 9., 10.]), [0i64, 0, 1, 1])?;
    let batch = batch.with_reference(&none, [0i64; 0])?;
    assert_eq!(values(&calculator.get_accuracy(&batch)?), [1.0]);
    let batch = Batch::new(&none, [0i64; 0])?;
    assert!(values(&calculator.get_accuracy(&batch)?)[0].is_nan());
    Ok(())
}

#[test]
fn what_is_not_finite_is_refused_where_it_is_searched() -> Result<()> {
    for odd in [f64::NAN, f64::INFINITY] {
        let batch = Batch::new(&line(&[0., odd]), [0i64, 0])?;
        assert!(matches!(
            calculator(rankings()).get_accuracy(&batch),
            Err(Error::InvalidParameter {
                name: "references",
                ..
            })
        ));
        let apart = Batch::new(&line(&[odd]), [0i64])?.with_reference(&line(&[0.]), [0i64])?;
        assert!(matches!(
            calculator(rankings()).get_accuracy(&apart),
            Err(Error::InvalidParameter {
                name: "queries",
                ..
            })
        ));
        // No query has a match: nothing is searched.
        let lone = Batch::new(&line(&[0., odd]), [0i64, 1])?;
        all_nan(&calculator(rankings()).get_accuracy(&lone)?, 2);
        // Clusters are made of all rows.
        assert!(calculator(Default::default()).get_accuracy(&lone).is_err());
    }
    Ok(())
}

/// Gives no number for a query whose first neighbour matches.
#[derive(Debug)]
struct NoNumber;

impl RankMetric for NoNumber {
    fn name(&self) -> String {
        "no_number".to_owned()
    }

    fn depth(&self) -> RankDepth {
        RankDepth::First(1)
    }

    fn of_query(&self, hits: &[bool], _relevant: usize) -> f64 {
        if hits[0] { f64::NAN } else { 1.0 }
    }
}

#[test]
fn a_metric_without_a_number_is_not_averaged_away() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        return_per_class: true,
        ..Default::default()
    };
    let calculator = calculator(config).with_metric(NoNumber);
    // The first two find each other, the third finds them, the last has no match.
    let batch = Batch::new(&line(&[0., 1., 3., 5.9, 7.]), [0i64, 0, 1, 2, 1])?;
    let found = calculator.get_accuracy(&batch)?;
    let score = found.get("no_number").unwrap();
    assert!(score.value.is_nan() && score.per_class[0].1.is_nan());
    assert_eq!(score.per_class[1], (1, 1.0));
    assert_eq!(found.get("precision_at_1").unwrap().value, 0.5);
    Ok(())
}

#[test]
fn clusters_that_are_given_do_not_hide_what_is_not_finite() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI],
        ..Default::default()
    };
    let given = crate::GivenClusters::new([0i64, 1])?;
    let calculator = calculator(config).with_clusterer(given);
    let batch = |x| Batch::new(&line(&[0., x]), [0i64, 1]);
    assert_eq!(values(&calculator.get_accuracy(&batch(1.)?)?), [1.0]);
    assert!(calculator.get_accuracy(&batch(f64::NAN)?).is_err());
    Ok(())
}
