//! Five lines of a crate give what one computes by hand.

use dml_examples::single_crates::{batch, cosines, hard_triplets, loss, precision_at_1, run};

#[test]
fn every_crate_gives_its_figure() {
    let cosines = cosines().unwrap();
    for (i, j, expected) in [(0, 1, 0.8), (0, 2, 0.0), (0, 3, 0.6), (1, 3, 0.96)] {
        assert!((cosines[i][j] - expected).abs() < 1e-6, "{i} {j}");
    }
    // Rows 1 and 3 are nearer to each other, at 0.96, than to their own at 0.8: two of eight triplets lose 0.36.
    let (value, gradient) = loss().unwrap();
    assert!((value - 2.0 * 0.36 / 8.0).abs() < 1e-6, "{value}");
    assert!(gradient.iter().flatten().any(|x| *x != 0.0));
    assert_eq!(hard_triplets().unwrap(), 2);
    assert!((precision_at_1().unwrap() - 0.5).abs() < 1e-12);
    let rows = batch().unwrap();
    let mut classes: Vec<usize> = rows.iter().map(|row| row / 3).collect();
    classes.sort_unstable();
    assert_eq!(rows.len(), 4);
    assert!(classes[0] == classes[1] && classes[2] == classes[3] && classes[1] != classes[2]);

    let mut out = Vec::new();
    run(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(text.contains("the triplet margin loss is 0.09"), "{text}");
}
