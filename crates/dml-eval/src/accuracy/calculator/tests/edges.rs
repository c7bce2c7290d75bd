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
