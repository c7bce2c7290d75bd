use super::*;
use dml_core::Error;
use proptest::prelude::*;

fn table(classes: &[i64], clusters: &[i64]) -> Contingency {
    Contingency::new(classes, clusters).unwrap()
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-14, "{got} instead of {want}");
}

#[test]
fn three_and_one_by_hand() {
    // Classes {0 1 2} {3}, clusters {0 1} {2 3}: cells 2, 1 and 1.
    let table = table(&[0, 0, 0, 1], &[7, 7, -2, -2]);
    let ln2 = 2f64.ln();
    let classes = 2.0 * ln2 - 0.75 * 3f64.ln();
    let information = 0.5 * (4f64 / 3.).ln() + 0.25 * (2f64 / 3.).ln() + 0.25 * ln2;
    close(table.mutual_information(), information);
    close(
        table.normalized_mutual_information(),
        information / (0.5 * (classes + ln2)),
    );
    close(table.homogeneity(), information / classes);
    close(table.completeness(), information / ln2);
    close(table.v_measure(), table.normalized_mutual_information());
    // Whichever row is the odd one out, the table is the same: chance gives as much, and AMI is 0.
    assert!(table.adjusted_mutual_information().abs() < 1e-14);
    // Of six pairs one is together in both, two in the class only, one in the cluster only, two in neither.
    close(table.adjusted_rand_index(), 0.0);
    let bcubed = table.bcubed();
    close(bcubed.precision, (4. / 2. + 1. / 2. + 1. / 2.) / 4.);
    close(bcubed.recall, (4. / 3. + 1. / 3. + 1.) / 4.);
    close(bcubed.f1, 2. * 0.75 * (2. / 3.) / (0.75 + 2. / 3.));
    assert_eq!((table.class_count(), table.cluster_count()), (2, 2));
}

#[test]
fn nothing_to_tell_apart_is_full_agreement_and_one_side_only_is_none() {
    for trivial in [table(&[], &[]), table(&[3], &[4]), table(&[1, 1], &[2, 2])] {
        assert_eq!(trivial.normalized_mutual_information(), 1.0);
        assert_eq!(trivial.adjusted_mutual_information(), 1.0);
        assert_eq!(trivial.adjusted_rand_index(), 1.0);
        assert_eq!(trivial.v_measure(), 1.0);
        assert_eq!(trivial.bcubed().f1, 1.0);
    }
    for one_sided in [table(&[1, 2], &[3, 3]), table(&[3, 3], &[1, 2])] {
        assert_eq!(one_sided.normalized_mutual_information(), 0.0);
        assert_eq!(one_sided.adjusted_mutual_information(), 0.0);
        assert_eq!(one_sided.adjusted_rand_index(), 0.0);
        assert_eq!(one_sided.v_measure(), 0.0);
    }
    // All apart on both sides: chance agrees fully, too.
    close(
        table(&[1, 2, 3], &[6, 5, 4]).adjusted_mutual_information(),
        1.0,
    );
}

#[test]
fn beta_weighs_completeness() {
    let table = table(&[0, 0, 1, 1], &[0, 0, 0, 1]);
    let (h, c) = (table.homogeneity(), table.completeness());
    close(table.v_measure_with(0.0).unwrap(), h);
    close(
        table.v_measure_with(2.0).unwrap(),
        3. * h * c / (2. * h + c),
    );
    assert!(matches!(
        table.v_measure_with(-1.0),
        Err(Error::InvalidParameter { name: "beta", .. })
    ));
}

#[test]
fn classes_and_clusters_are_of_the_same_rows() {
    assert!(matches!(
        Contingency::new([0i64, 1], [0i64]),
        Err(Error::Length {
            arg: "clusters",
            expected: 2,
            got: 1
        })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Names and order of rows don't matter, agreement is symmetric, and a class is its own best cluster.
    #[test]
    fn only_the_partition_counts(
        pairs in prop::collection::vec((0i64..5, 0i64..4), 2..60),
        shift in 1usize..50,
    ) {
        let (classes, clusters): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
        let table = Contingency::new(&classes, &clusters).unwrap();
        let numbers = |t: &Contingency| [
            t.mutual_information(), t.normalized_mutual_information(), t.adjusted_mutual_information(),
            t.adjusted_rand_index(), t.v_measure(),
        ];
        let mut turned = pairs.clone();
        turned.rotate_left(shift % pairs.len());
        let renamed = Contingency::new(
            turned.iter().map(|(class, _)| 100 - class * 7).collect::<Vec<i64>>(),
            turned.iter().map(|(_, cluster)| cluster - 2).collect::<Vec<i64>>(),
        ).unwrap();
        let mirrored = Contingency::new(&clusters, &classes).unwrap();
        for (name, other) in [("renamed", renamed), ("mirrored", mirrored)] {
            for (a, b) in numbers(&table).iter().zip(numbers(&other)) {
                prop_assert!((a - b).abs() < 1e-12, "{name}: {a} and {b}");
            }
        }
        prop_assert!((0.0..=1.0 + 1e-12).contains(&table.normalized_mutual_information()));
        prop_assert!(table.adjusted_mutual_information() <= 1.0 + 1e-12);
        let own = Contingency::new(&classes, &classes).unwrap();
        prop_assert!((own.adjusted_mutual_information() - 1.0).abs() < 1e-9);
        prop_assert!((own.adjusted_rand_index() - 1.0).abs() < 1e-12);
    }
}
