//! Queries some of which are among the references: each may find all references but itself.

use super::*;

fn per_query(accuracies: &Accuracies, metric: &str) -> Vec<f64> {
    accuracies.get(metric).unwrap().per_query.clone()
}

#[test]
fn one_reference_that_is_one_of_two_queries() -> Result<()> {
    let relation =
        Relation::cross_labels([0i64, 0], [0i64])?.with_self_matches(&[Some(0), None])?;
    let batch = Batch::new(&line(&[0., 1.]), [0i64, 0])?
        .with_reference(&line(&[0.]), [0i64])?
        .with_relation(relation)?;
    for score in &calculator(rankings()).get_accuracy(&batch)? {
        assert!(score.per_query[0].is_nan(), "{}", score.metric);
        assert_eq!(score.per_query[1], 1.0, "{}", score.metric);
        assert_eq!(score.value, 1.0, "{}", score.metric);
    }
    Ok(())
}

#[test]
fn a_query_that_is_no_reference_finds_all_of_them() -> Result<()> {
    // Of the queries at 0, 3 and 1, the first and the last are references.
    let relation = Relation::cross_labels([0i64, 0, 0], [0i64, 0])?;
    let relation = relation.with_self_matches(&[Some(0), None, Some(1)])?;
    let batch = Batch::new(&line(&[0., 3., 1.]), [0i64, 0, 0])?
        .with_reference(&line(&[0., 1.]), [0i64, 0])?
        .with_relation(relation)?;
    let accuracies = calculator(rankings()).get_accuracy(&batch)?;
    assert_eq!(per_query(&accuracies, "mean_average_precision"), [1.0; 3]);
    assert_eq!(per_query(&accuracies, "r_precision"), [1.0; 3]);
    Ok(())
}

#[test]
fn queries_are_measured_as_if_each_were_alone() -> Result<()> {
    let references: Vec<f64> = (0..23).map(|i| f64::from(i * 17 % 23)).collect();
    let labels: Vec<i64> = (0..23).map(|i| i * i % 4).collect();
    // Every third query is a reference, the others lie between.
    let own: Vec<Option<u32>> = (0..23).map(|i| (i % 3 == 0).then_some(i)).collect();
    let places: Vec<f64> = (0..23)
        .map(|i| references[i] + if own[i].is_some() { 0.0 } else { 0.3 })
        .collect();
    let batch = |rows: &[usize]| -> Result<Batch> {
        let of = |all: &[f64]| rows.iter().map(|i| all[*i]).collect::<Vec<f64>>();
        let own: Vec<Option<u32>> = rows.iter().map(|i| own[*i]).collect();
        let known: Vec<i64> = rows.iter().map(|i| labels[*i]).collect();
        let relation = Relation::cross_labels(&known, &labels)?.with_self_matches(&own)?;
        Batch::new(&line(&of(&places)), &known)?
            .with_reference(&line(&references), &labels)?
            .with_relation(relation)
    };
    let all: Vec<usize> = (0..23).collect();
    let mut calculator = calculator(rankings());
    let whole = calculator.get_accuracy(&batch(&all)?)?;
    calculator.neighbors_at_a_time = 50;
    let blocks = calculator.get_accuracy(&batch(&all)?)?;
    for score in &whole {
        for q in 0..23 {
            let alone = calculator.get_accuracy(&batch(&[q])?)?;
            let alone = per_query(&alone, &score.metric)[0];
            assert_eq!(score.per_query[q], alone, "{} of {q}", score.metric);
        }
        assert_eq!(score.per_query, per_query(&blocks, &score.metric));
    }
    Ok(())
}
