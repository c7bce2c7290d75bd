//! `dml init`, `dml train`, interruption and resumption.

use std::fs;
use std::process::Stdio;

use crate::program::{Ended, Folder, copy, photos};

#[test]
fn init_writes_a_configuration_that_trains() {
    let folder = Folder::new();
    fs::remove_file(folder.path("dml.toml")).unwrap();
    let out = folder.done(&["init", "photos", "--backbone", "mobilenet_v3_small"]);
    assert!(
        out.contains("photos: 20 images of 4 classes, 5 to 5 of each"),
        "{out}"
    );
    assert!(out.contains("40 pixels"), "{out}");
    let text = folder.text("dml.toml");
    for told in [
        "# 20 images of 4 classes",
        "train = \"photos\"",
        "test_classes = 0.5",
        "# weights =",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    // It is not written over.
    let again = folder.run(&["init", "photos"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.error.contains("--overwrite"), "{again:?}");
    assert_eq!(folder.text("dml.toml"), text);

    let out = folder.done(&[
        "train",
        "--size",
        "32",
        "--epochs",
        "1",
        "--set",
        "sampler.m=2",
        "--batch",
        "4",
    ]);
    assert!(
        out.contains("10 images of 2 classes to learn from"),
        "{out}"
    );
    assert!(folder.path("runs/photos/model/model.safetensors").is_file());
}

#[test]
fn folders_of_training_validation_and_test_images_are_divisions() {
    let folder = Folder::new();
    fs::remove_file(folder.path("dml.toml")).unwrap();
    for division in ["train", "val", "test"] {
        copy(&photos(), &folder.path(&format!("clothes/{division}")));
    }
    let out = folder.done(&["init", "clothes", "--backbone", "mobilenet_v3_small"]);
    assert!(
        out.contains("clothes/train: 20 images of 4 classes"),
        "{out}"
    );
    assert!(out.contains("clothes/test: images to judge by\n"), "{out}");
    let text = folder.text("dml.toml");
    for told in [
        "train = \"clothes/train\"",
        "validation = \"clothes/val\"",
        "test = \"clothes/test\"",
    ] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
}

#[test]
fn a_run_leaves_everything_that_it_says() {
    let folder = Folder::trained();
    let results = folder.json("run/metrics.json");
    for name in ["precision_at_1", "mean_average_precision_at_r", "roc_auc"] {
        for when in ["metrics", "metrics_before_training"] {
            let value = results[when][name].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{name}: {value}");
        }
    }
    assert_eq!(
        (results["epochs"].as_u64(), &results["weights"]),
        (Some(2), &"last".into())
    );
    assert_eq!(
        results["data"]["test_classes"],
        serde_json::json!(["pants", "shoes"])
    );
    // The resolved configuration is a configuration.
    let resolved = folder.text("run/dml.toml");
    assert!(
        resolved.contains("name = \"MultiSimilarityLoss\"") && resolved.contains("coverage = true"),
        "{resolved}"
    );
    let dry = folder.done(&["train", "run/dml.toml", "--dry-run"]);
    assert!(
        dry.contains("[loss]") && dry.contains("embedding = 8"),
        "{dry}"
    );
    folder.write("dry.toml", &dry);
    assert_eq!(folder.done(&["train", "dry.toml", "--dry-run"]), dry);
    let page = folder.text("run/report.html");
    for told in [
        "precision at 1",
        "mean loss, by epoch",
        "t-SNE",
        "MultiSimilarityLoss",
        "UTC",
        "dml train",
    ] {
        assert!(page.contains(told), "{told} is not on the page");
    }
    let lines = folder.text("run/epochs.csv").lines().count();
    assert_eq!(lines, 3, "a line for the names and one for each epoch");
    for part in ["model/config.json", "figures/pca.svg", "checkpoints"] {
        assert!(folder.path("run").join(part).exists(), "{part}");
    }
    // A folder that holds a run is not written over, but on request.
    let again = folder.run(&["train"]);
    assert_eq!(again.code, 2, "{again:?}");
    folder.done(&["train", "--overwrite", "--epochs", "0"]);
    assert_eq!(folder.json("run/metrics.json")["epochs"], 0);
}

#[test]
fn validation_chooses_the_best_epoch() {
    let folder = Folder::new();
    let out = folder.done(&[
        "train",
        "--set",
        r#"data={ train = "photos", test = "photos", validation_classes = ["pants", "shoes"] }"#,
        "--epochs",
        "3",
    ]);
    assert!(out.contains("the best so far"), "{out}");
    assert!(
        out.contains("2 of 4 test classes are learnt from, too"),
        "{out}"
    );
    let results = folder.json("run/metrics.json");
    assert_eq!(results["weights"], "best");
    let best = results["validation"]["epoch"].as_u64().unwrap();
    assert!((1..=3).contains(&best), "{results}");
    let page = folder.text("run/report.html");
    assert!(page.contains("mean_average_precision_at_r of validation, by epoch"));
}

#[test]
fn the_same_seed_gives_the_same_model_for_any_number_of_threads() {
    let folder = Folder::new();
    folder.done(&["train", "--out", "a", "--threads", "1"]);
    folder.done(&[
        "train",
        "--out",
        "b",
        "--threads",
        "2",
        "--set",
        "train.loading_threads=3",
    ]);
    let model = |run: &str| fs::read(folder.path(run).join("model/model.safetensors")).unwrap();
    assert_eq!(model("a"), model("b"));
    folder.done(&["train", "--out", "c", "--seed", "1"]);
    assert_ne!(model("a"), model("c"));
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_keeps_a_checkpoint_and_goes_on_to_the_same_bits() {
    use std::process::Command;

    let folder = Folder::new();
    let epochs = ["--epochs", "40"];
    folder.done(&[&["train", "--out", "whole"], &epochs[..]].concat());
    let args = [&["train", "--out", "part"], &epochs[..]].concat();
    let mut command = folder.command(&args);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first epoch is over when its checkpoint is there.
    let checkpoints = folder.path("part/checkpoints");
    let is_there = || {
        fs::read_dir(&checkpoints).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("step-")
            })
        })
    };
    while !is_there() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(
        ended.error.contains("go on by dml train --resume"),
        "{ended:?}"
    );
    assert!(!folder.path("part/metrics.json").exists() && !folder.path("part/model").exists());
    let shown = folder.done(&["inspect", "part"]);
    assert!(
        shown.contains("not ended") && shown.contains("checkpoints after iteration"),
        "{shown}"
    );

    let resumed = folder.done(&["train", "--resume", "part"]);
    assert!(resumed.contains("goes on after iteration"), "{resumed}");
    let model = |run: &str| fs::read(folder.path(run).join("model/model.safetensors")).unwrap();
    assert_eq!(model("whole"), model("part"));
    let rows = |run: &str| {
        let text = folder.text(&format!("{run}/epochs.csv"));
        text.lines().count()
    };
    assert_eq!(rows("whole"), rows("part"));

    // A run that has ended goes on with more epochs, and says so.
    folder.done(&["train", "--resume", "part", "--epochs", "41"]);
    assert_eq!(folder.json("part/metrics.json")["epochs"], 41);
    assert!(folder.text("part/dml.toml").contains("epochs = 41"));
}

#[test]
fn losses_that_learn_and_options_of_training_work_together() {
    let folder = Folder::new();
    let out = folder.done(&[
        "train",
        "--loss",
        "ArcFaceLoss",
        "--set",
        "schedule={ name = \"Cosine\", warm_up = 1 }",
        "--set",
        "train.ema=0.9",
        "--set",
        "train.clip=1",
        "--set",
        "train.accumulate=2",
        "--set",
        "backbone.freeze_below=2",
        "--set",
        "backbone.layer_decay=0.9",
    ]);
    assert!(out.contains("epoch 2: loss"), "{out}");
    assert_eq!(folder.json("run/metrics.json")["weights"], "average");
    let resolved = folder.text("run/dml.toml");
    assert!(
        resolved.contains("num_classes = 2") && resolved.contains("embedding_size = 8"),
        "{resolved}"
    );
    // A model goes on from where another one ended.
    let more = [
        "--set",
        "backbone={ folder = \"run/model\" }",
        "--set",
        "head={}",
        "--out",
        "more",
    ];
    let out = folder.done(&[&["train"], &more[..]].concat());
    assert!(out.contains("network from run/model"), "{out}");
}

#[test]
fn a_table_has_splits_queries_and_a_gallery() {
    let folder = Folder::new();
    let mut table = "path,label,split,role,camera\n".to_owned();
    for class in ["dress", "hat"] {
        for n in 1..=5 {
            table.push_str(&format!("photos/{class}/{n}.jpg,{class},train,,\n"));
        }
    }
    for class in ["pants", "shoes"] {
        for n in 1..=5 {
            let role = if n == 1 { "query" } else { "gallery" };
            table.push_str(&format!("photos/{class}/{n}.jpg,{class},test,{role},{n}\n"));
        }
    }
    folder.write("all.csv", table);
    let data = r#"data={ train = "all.csv", train_split = "train", test_split = "test" }"#;
    let out = folder.done(&["train", "--set", data, "--set", "train.epochs=1"]);
    assert!(
        out.contains("2 queries among 8 images to judge by"),
        "{out}"
    );
    let metrics = &folder.json("run/metrics.json")["metrics"];
    assert!(metrics["precision_at_1"].is_f64(), "{metrics}");
    // Pairs of queries are no pairs of query and gallery.
    assert!(metrics.get("roc_auc").is_none(), "{metrics}");
}
