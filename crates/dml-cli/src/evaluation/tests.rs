use dml::IntoLabels;
use dml::candle_core::Device;

use super::*;

fn embedded(rows: &[[f32; 2]], labels: &[i64]) -> Embedded {
    Embedded {
        queries: Tensor::from_vec(rows.concat(), (rows.len(), 2), &Device::Cpu).unwrap(),
        labels: labels.into_labels().unwrap(),
        names: rows.iter().map(|row| format!("{row:?}")).collect(),
        gallery: None,
        relation: None,
        pairs: None,
    }
}

fn metrics(own: &Embedded, names: &[&str]) -> Vec<(String, f64)> {
    let names: Vec<MetricName> = names.iter().map(|name| name.parse().unwrap()).collect();
    own.metrics(&names).unwrap()
}

#[test]
fn rows_of_several_classes_find_whatever_shares_one() {
    let rows = [[1., 0.], [1., 0.05], [0., 1.], [0.1, 1.]];
    let names = ["precision_at_1", "NMI", "roc_auc"];
    let mut own = embedded(&rows, &[0, 1, 3, 4]);
    let sets = [vec![0, 1], vec![1, 2], vec![3], vec![4]];
    own.relation = Some(Relation::label_sets(&sets, None));
    let found = metrics(&own, &names);
    // Rows of several classes are no clusters; the last two have nothing to find.
    let expected = [
        ("precision_at_1".to_owned(), 1.0),
        ("roc_auc".to_owned(), 1.0),
    ];
    assert_eq!(found, expected);
    let sets = [vec![0, 1], vec![2], vec![1], vec![5]];
    own.relation = Some(Relation::label_sets(&sets, None));
    assert_eq!(metrics(&own, &names[..1])[0].1, 0.0);
}

#[test]
fn pairs_have_thresholds_and_folds() {
    let mut own = embedded(
        &[[3., 0.], [1., 0.], [0., 1.], [0., 2.], [1., 1.]],
        &[-1; 5],
    );
    let pair = |first, second, same| ImagePair {
        first,
        second,
        same,
    };
    // The same have the cosines 1, 1 and √½, different ones 0.
    let pairs = vec![
        pair(0, 1, true),
        pair(0, 2, false),
        pair(2, 3, true),
        pair(1, 2, false),
        pair(0, 4, true),
        pair(1, 3, false),
    ];
    own.pairs = Some(Arc::new(PairList { pairs, folds: 3 }));
    let names = [
        "precision_at_1",
        "roc_auc",
        "best_accuracy",
        "best_accuracy_threshold",
        "NMI",
    ];
    let found = metrics(&own, &names);
    let names: Vec<&str> = found.iter().map(|own| own.0.as_str()).collect();
    let expected = [
        "roc_auc",
        "best_accuracy",
        "best_accuracy_threshold",
        "fold_accuracy",
        "fold_accuracy_standard_error",
    ];
    assert_eq!(names, expected);
    assert_eq!((found[0].1, found[1].1), (1.0, 1.0));
    assert!((found[2].1 - 0.5f64.sqrt()).abs() < 1e-6, "{found:?}");
    // The first two folds choose the threshold √½, and the last one 1, which its own pair does not reach.
    assert!((found[3].1 - 5.0 / 6.0).abs() < 1e-12, "{found:?}");
}
