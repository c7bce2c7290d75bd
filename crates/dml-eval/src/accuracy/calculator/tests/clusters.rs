//! Metrics of clusters, and where they are left out.

use super::*;

/// Two groups on a line, one row of each mislabelled.
fn two_groups() -> Batch {
    Batch::new(&line(&[0., 1., 2., 10., 11., 12.]), [0i64, 0, 1, 1, 1, 0]).unwrap()
}

#[test]
fn clusters_are_compared_with_the_labels() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI, AccuracyMetric::AMI],
        clustering: vec![ClusterMetric::ARI],
        return_per_class: true,
        ..Default::default()
    };
    let accuracies = calculator(config).get_accuracy(&two_groups())?;
    let table = Contingency::new([0i64, 0, 1, 1, 1, 0], [0i64, 0, 0, 1, 1, 1])?;
    for (name, value) in [
        ("NMI", table.normalized_mutual_information()),
        ("AMI", table.adjusted_mutual_information()),
        ("ARI", table.adjusted_rand_index()),
    ] {
        let score = accuracies.get(name).unwrap();
        assert!((score.value - value).abs() < 1e-14);
        assert!(score.per_class.is_empty() && score.per_query.is_empty());
    }
    assert_eq!(accuracies.iter().count(), 3);
    Ok(())
}

/// The share of rows in the largest cluster.
#[derive(Debug)]
struct LargestCluster;

impl ClusterAgreement for LargestCluster {
    fn name(&self) -> String {
        "largest_cluster".to_owned()
    }

    fn of(&self, table: &Contingency) -> f64 {
        let sizes = table.cluster_sizes();
        let largest = sizes.iter().max().copied().unwrap_or(0);
        largest as f64 / sizes.iter().sum::<usize>() as f64
    }
}

#[test]
fn a_metric_of_clusters_of_your_own() -> Result<()> {
    let given = crate::GivenClusters::new([5i64, 5, 7, 7, 7, 7])?;
    let calculator = calculator(rankings())
        .with_cluster_metric(LargestCluster)
        .with_clusterer(given);
    let accuracies = calculator.get_accuracy(&two_groups())?;
    assert_eq!(accuracies.get("largest_cluster").unwrap().value, 4. / 6.);
    // It was asked for, and is not left out without a word.
    let relation = Relation::matrix(&[0.; 36], 6, 6)?;
    assert!(matches!(
        calculator.get_accuracy(&two_groups().with_relation(relation)?),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}

#[test]
fn any_clusterer_will_do() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI],
        ..Default::default()
    };
    let given = crate::GivenClusters::new([5i64, 5, 7, 7, 7, 5])?;
    let calculator = calculator(config).with_clusterer(given);
    assert_eq!(values(&calculator.get_accuracy(&two_groups())?), [1.0]);
    let two = Batch::new(&line(&[0., 1.]), [0i64, 1])?;
    assert!(matches!(
        calculator.get_accuracy(&two),
        Err(Error::Length { .. })
    ));
    Ok(())
}

#[test]
fn without_labels_metrics_of_clusters_are_left_out_or_refused() -> Result<()> {
    let relation = Relation::matrix(&[0., 1., 1., 0.], 2, 2)?;
    let batch = Batch::new(&line(&[0., 1.]), [0i64, 1])?.with_relation(relation)?;
    let names: Vec<String> = calculator(Default::default())
        .get_accuracy(&batch)?
        .iter()
        .map(|score| score.metric.clone())
        .collect();
    assert!(!names.contains(&"NMI".to_owned()) && names.len() == 5);
    let named = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::NMI],
        ..Default::default()
    };
    let besides = AccuracyCalculatorConfig {
        clustering: vec![ClusterMetric::VMeasure],
        ..Default::default()
    };
    for config in [named, besides] {
        assert!(matches!(
            calculator(config).get_accuracy(&batch),
            Err(Error::Unsupported { .. })
        ));
    }
    Ok(())
}
