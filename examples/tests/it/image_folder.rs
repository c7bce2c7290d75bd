//! The example `image_folder`, from pictures to files.

use std::fs;
use std::path::Path;

use clap::Parser;
use dml_examples::image_folder::{Args, Results, run};

use crate::pictures::stripes;

pub(crate) const TRAIN: [(&str, f32); 6] = [
    ("0", 0.0),
    ("30", 30.0),
    ("steep/60", 60.0),
    ("steep/90", 90.0),
    ("steep/120", 120.0),
    ("150", 150.0),
];
pub(crate) const TEST: [(&str, f32); 4] =
    [("15", 15.0), ("55", 55.0), ("100", 100.0), ("140", 140.0)];

pub(crate) fn parsed(root: &Path, more: &[&str]) -> Result<Args, clap::Error> {
    let shown = |name: &str| root.join(name).display().to_string();
    let folders = [
        "--train",
        &shown("train"),
        "--test",
        &shown("test"),
        "--out",
        &shown("out"),
    ];
    Args::try_parse_from([&["image_folder"], &folders[..], more].concat())
}

pub(crate) fn args(root: &Path, more: &[&str]) -> Args {
    parsed(root, more).unwrap()
}

pub(crate) fn outcome(args: &Args) -> anyhow::Result<(Results, String)> {
    let mut printed = Vec::new();
    let results = run(args, &mut printed)?;
    Ok((results, String::from_utf8(printed)?))
}

#[test]
fn it_learns_classes_that_it_has_never_seen() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    stripes(&root.path().join("train"), &TRAIN, 16, 1);
    stripes(&root.path().join("test"), &TEST, 12, 2);
    fs::write(root.path().join("test/15/broken.png"), "no picture")?;
    let more = [
        "--size",
        "16",
        "--batch",
        "32",
        "--epochs",
        "12",
        "--embedding",
        "16",
    ];
    let args = args(root.path(), &more);
    let (results, printed) = outcome(&args)?;
    // A guess finds the right one of four classes once in four times.
    let precision = results.metrics["precision_at_1"];
    assert!(precision > 0.7, "{printed}");
    let before = results.metrics_before_training["mean_average_precision_at_r"];
    assert!(
        results.metrics["mean_average_precision_at_r"] > before + 0.1,
        "{printed}"
    );
    assert_eq!(results.metrics.len(), 7, "{printed}");
    assert_eq!(results.losses.len(), 12);
    assert_eq!((results.train.images, results.test.images), (96, 48));

    assert!(
        printed.contains("48 pictures of 4 classes to test with"),
        "{printed}"
    );
    assert!(
        printed.contains("left out") && printed.contains("broken.png"),
        "{printed}"
    );
    assert!(!printed.contains("note:"), "{printed}");
    assert!(printed.contains(&results.table()), "{printed}");

    let out = root.path().join("out");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(out.join("metrics.json"))?)?;
    assert_eq!(
        written["metrics"]["precision_at_1"].as_f64(),
        Some(precision)
    );
    assert_eq!(written["config"]["epochs"], 12);
    let file = out.join("model.safetensors");
    let tensors = dml::core::checkpoint::load(&file, &dml::candle_core::Device::Cpu)?;
    assert_eq!(tensors["fc1.weight"].dims()[0], 16);
    let page = fs::read_to_string(out.join("report.html"))?;
    for told in [
        "mean loss, by epoch",
        "t-SNE",
        "green frames",
        "<th>before</th>",
        TEST[3].0,
    ] {
        assert!(page.contains(told), "{told} is not on the page");
    }
    assert_eq!(
        fs::read_dir(&out)?.count(),
        3,
        "nothing half-written is left"
    );
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_figures_for_any_number_of_threads() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    stripes(&root.path().join("train"), &TRAIN[..3], 8, 1);
    stripes(&root.path().join("test"), &TEST[..2], 4, 2);
    let figures = |seed: &str, threads: &str| {
        let more = [
            "--size",
            "8",
            "--batch",
            "8",
            "--epochs",
            "2",
            "--seed",
            seed,
            "--threads",
            threads,
        ];
        let (results, _) = outcome(&args(root.path(), &more))?;
        anyhow::Ok((results.metrics, results.losses))
    };
    let first = figures("0", "0")?;
    assert_eq!(first, figures("0", "3")?);
    assert_ne!(first.1, figures("1", "3")?.1);
    Ok(())
}

#[test]
fn augmented_pictures_are_learnt_from_in_any_number_of_threads() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    stripes(&root.path().join("train"), &TRAIN[..2], 4, 1);
    stripes(&root.path().join("test"), &TEST[..2], 4, 2);
    let losses = |more: &[&str]| {
        let few = ["--size", "8", "--batch", "8", "--epochs", "2"];
        let (results, _) = outcome(&args(root.path(), &[&few, more].concat()))?;
        anyhow::Ok(results.losses)
    };
    let augmented = losses(&["--augment", "--threads", "0"])?;
    assert_eq!(augmented, losses(&["--augment", "--threads", "3"])?);
    assert_ne!(augmented, losses(&[])?);
    Ok(())
}

#[test]
fn bad_folders_and_arguments_are_one_sentence() {
    let root = tempfile::tempdir().unwrap();
    let (train, test) = (root.path().join("train"), root.path().join("test"));
    let sentence = |more: &[&str]| {
        let error = outcome(&args(root.path(), more)).unwrap_err();
        let text = format!("{error:#}");
        assert!(!text.contains('\n'), "{text}");
        text.replace(&root.path().display().to_string(), "ROOT")
    };
    assert!(sentence(&[]).starts_with("can't read ROOT/train: "));
    fs::create_dir(&train).unwrap();
    assert!(sentence(&[]).starts_with("ROOT/train: expected at least one image"));
    stripes(&train, &TRAIN[..1], 2, 1);
    assert_eq!(
        sentence(&[]),
        "ROOT/train: expected images of at least 2 classes, found 1"
    );
    stripes(&train, &TRAIN[1..2], 2, 1);
    stripes(&test, &TEST[..2], 1, 1);
    assert_eq!(
        sentence(&[]),
        "ROOT/test: expected a class with two pictures or more, found one picture of each class"
    );
    stripes(&test, &TEST[..2], 2, 1);
    for (flag, value) in [
        ("--size", "7"),
        ("--size", "1000"),
        ("--batch", "7"),
        ("--embedding", "65537"),
    ] {
        let text = parsed(root.path(), &[flag, value]).unwrap_err().to_string();
        assert!(text.contains(flag), "{text}");
        assert!(text.contains("expected a number from"), "{text}");
    }
    // A program that calls the example passes no command line.
    type Change = fn(&mut Args);
    let changes: [(Change, &str); 7] = [
        (
            |args| args.size = Some(7),
            "--size: expected 8 to 512, got 7",
        ),
        (
            |args| args.size = Some(1000),
            "--size: expected 8 to 512, got 1000",
        ),
        (|args| args.batch = 7, "--batch: expected at least 8, got 7"),
        (
            |args| args.embedding = 0,
            "--embedding: expected at least 1 without --backbone, got 0",
        ),
        (
            |args| args.weights = Some("x.pth".into()),
            "--weights: expected a --backbone with it, got none",
        ),
        (
            |args| args.freeze = true,
            "--freeze: expected a --backbone with it, got none",
        ),
        (
            |args| args.backbone_lr = Some(0.1),
            "--backbone-lr: expected a --backbone with it, got none",
        ),
    ];
    for (change, expected) in changes {
        let mut own = args(root.path(), &[]);
        change(&mut own);
        assert_eq!(outcome(&own).unwrap_err().to_string(), expected);
    }
    fs::write(root.path().join("out"), "a file").unwrap();
    assert!(sentence(&[]).starts_with("can't make the folder ROOT/out: "));
    fs::remove_file(root.path().join("out")).unwrap();
    assert!(parsed(root.path(), &["--lr=-1"]).is_err());
    assert!(!root.path().join("out/metrics.json").exists());
}

#[test]
fn classes_in_both_folders_are_told() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    stripes(&root.path().join("train"), &TRAIN[..2], 4, 1);
    stripes(&root.path().join("test"), &TRAIN[1..3], 4, 2);
    let (_, printed) = outcome(&args(root.path(), &["--size", "8", "--epochs", "0"]))?;
    let note = "since 1 of 2 are in both folders: 30\n";
    assert!(printed.contains(note), "{printed}");
    Ok(())
}
