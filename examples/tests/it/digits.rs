//! The examples on digits learn, alike for a seed, and say what is wrong in a sentence.

use dml_examples::digits::{Args, self_supervised, two_losses};

fn args() -> Args {
    Args {
        data_dir: None,
        images: 1_200,
        // Of 18 steps each: with one epoch, all embeddings are worse than by random weights.
        epochs: 6,
        batch: 64,
        lr: 0.002,
        seed: 0,
    }
}

#[test]
fn views_alone_bring_digits_of_a_class_together() {
    let mut out = Vec::new();
    let precision = self_supervised::run(&args(), &mut out).unwrap();
    assert!(
        precision.trained > precision.untrained + 0.1,
        "{precision:?}"
    );
    let printed = String::from_utf8(out).unwrap();
    assert!(printed.contains(&format!("{:.4}", precision.trained)));
}

#[test]
fn both_losses_learn_the_digits() {
    let figures = two_losses::run(&args(), &mut Vec::new()).unwrap();
    assert_eq!(figures.len(), 2);
    for (name, precision) in figures {
        assert!(
            precision.trained > precision.untrained + 0.1,
            "{name}: {precision:?}"
        );
    }
}

#[test]
fn one_seed_is_one_result() {
    let few = Args {
        images: 192,
        epochs: 1,
        ..args()
    };
    let once = || self_supervised::run(&few, &mut Vec::new()).unwrap();
    assert_eq!(once(), once());
}

#[test]
fn bad_arguments_are_one_sentence() {
    let few = Args {
        images: 100,
        ..args()
    };
    let error = two_losses::run(&few, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--images: expected at least two batches of 64, got 100"
    );
    let nowhere = Args {
        data_dir: Some("no/such/folder".into()),
        ..args()
    };
    let error = self_supervised::run(&nowhere, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error:#}");
}
