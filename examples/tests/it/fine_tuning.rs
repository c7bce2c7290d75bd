//! The example `image_folder` with a backbone: from weights to a file with the same names.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use dml::candle_core::{Device, Tensor};
use dml::core::checkpoint;
use dml::models::ModelError;

use crate::image_folder::{TEST, TRAIN, args, outcome};
use crate::pictures::stripes;

/// The smallest backbone, on few images of the smallest size.
const SMALL: [&str; 10] = [
    "--backbone",
    "mobilenet_v3_small",
    "--size",
    "32",
    "--batch",
    "8",
    "--embedding",
    "6",
    "--epochs",
    "1",
];

fn folders(root: &Path) {
    stripes(&root.join("train"), &TRAIN[..2], 4, 1);
    stripes(&root.join("test"), &TEST[..2], 3, 2);
}

fn saved(root: &Path) -> HashMap<String, Tensor> {
    checkpoint::load(&root.join("out/model.safetensors"), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Names of the tensors that two files have in common and that differ.
fn changed(before: &HashMap<String, Tensor>, after: &HashMap<String, Tensor>) -> Vec<String> {
    let mut names: Vec<String> = before
        .iter()
        .filter(|(name, old)| {
            let new = after.get(*name);
            new.is_some_and(|new| values(new) != values(old))
        })
        .map(|(name, _)| name.clone())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_backbone_learns_and_its_file_is_read_again() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let root = root.path();
    folders(root);
    let run = |more: &[&str]| outcome(&args(root, &[&SMALL, more].concat()));

    let (results, printed) = run(&[])?;
    let note = "mobilenet_v3_small starts from random weights: no --weights FILE\n";
    assert!(printed.starts_with(note), "{printed}");
    assert!(printed.contains(&results.table()), "{printed}");
    assert_eq!(results.input, [3, 32, 32]);
    assert!(results.losses[0].is_finite());
    let random = saved(root);
    assert_eq!(random["features.0.0.weight"].dims(), [16, 3, 3, 3]);
    assert_eq!(random["features.0.1.running_mean"].dims(), [16]);
    assert_eq!(random["head.weight"].dims(), [6, 576]);
    assert_eq!(random["head.bias"].dims(), [6]);

    // Pretrained weights: parameters learn, statistics stay.
    let weights = root.join("pretrained.safetensors");
    fs::rename(root.join("out/model.safetensors"), &weights)?;
    let weights = ["--weights", weights.to_str().unwrap()];
    let (results, printed) = run(&weights)?;
    assert!(
        printed.contains("tensors loaded; left out: head.bias, head.weight\n"),
        "{printed}"
    );
    let fine_tuned = saved(root);
    let learnt = changed(&random, &fine_tuned);
    assert!(learnt.contains(&"features.0.0.weight".to_owned()));
    assert!(
        learnt.iter().all(|name| !name.contains(".running_")),
        "{learnt:?}"
    );
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(root.join("out/metrics.json"))?)?;
    assert_eq!(written["input"], serde_json::json!([3, 32, 32]));
    assert_eq!(written["config"]["backbone"], "mobilenet_v3_small");
    assert_eq!(written["config"]["weights"], weights[1]);

    // The head alone. The run starts where the one before it started.
    let (frozen, _) = run(&[&weights[..], &["--freeze"]].concat())?;
    assert_eq!(
        frozen.metrics_before_training,
        results.metrics_before_training
    );
    assert_eq!(changed(&random, &saved(root)), ["head.bias", "head.weight"]);

    // The stem and the first block frozen for good, or everything up to a later epoch.
    run(&[
        &weights[..],
        &["--freeze-below", "2", "--layer-decay", "0.9"],
    ]
    .concat())?;
    let learnt = changed(&random, &saved(root));
    let learns = |part: &str| learnt.iter().any(|name| name.starts_with(part));
    assert!(learns("features.2.") && !learns("features.0.") && !learns("features.1."));
    run(&[&weights[..], &["--freeze", "--unfreeze-at", "9"]].concat())?;
    assert_eq!(changed(&random, &saved(root)), ["head.bias", "head.weight"]);
    Ok(())
}

#[test]
fn without_a_head_the_features_are_the_embedding() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    folders(root.path());
    let more = ["--embedding", "0", "--epochs", "0"];
    let small: Vec<&str> = SMALL[..6].iter().chain(&more).copied().collect();
    let (results, _) = outcome(&args(root.path(), &small))?;
    assert_eq!(results.metrics, results.metrics_before_training);
    assert!(
        saved(root.path())
            .keys()
            .all(|name| name.starts_with("features."))
    );
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_weights_for_any_number_of_threads() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    folders(root.path());
    let trained = |threads: &str| {
        let more = ["--threads", threads, "--augment"];
        outcome(&args(root.path(), &[&SMALL[..], &more].concat()))?;
        anyhow::Ok(saved(root.path()))
    };
    let (none, three) = (trained("0")?, trained("3")?);
    assert_eq!(none.len(), three.len());
    assert!(changed(&none, &three).is_empty());
    Ok(())
}

#[test]
fn backbones_and_weights_that_do_not_fit_are_one_sentence() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let root = root.path();
    let error = |more: &[&str]| {
        let error = outcome(&args(root, more)).unwrap_err();
        let text = format!("{error:#}").replace(&root.display().to_string(), "ROOT");
        assert!(!text.contains('\n'), "{text}");
        (error, text)
    };
    let (unknown, text) = error(&["--backbone", "resnet19"]);
    assert!(
        text.starts_with("--backbone: resnet19: expected one of mobilenet_v2, resnet18, "),
        "{text}"
    );
    assert!(matches!(
        unknown.downcast_ref(),
        Some(ModelError::UnknownModel { .. })
    ));

    let absent = root.join("absent.safetensors").display().to_string();
    let backbone = ["--backbone", "mobilenet_v3_small"];
    let (_, text) = error(&[&backbone[..], &["--weights", &absent]].concat());
    let expected = "--weights: can't open ROOT/absent.safetensors: ";
    assert!(text.starts_with(expected), "{text}");

    let other = root.join("other.safetensors");
    let tensor = Tensor::zeros(2, dml::candle_core::DType::F32, &Device::Cpu)?;
    checkpoint::save(
        &other,
        &HashMap::from([("conv1.weight".to_owned(), tensor)]),
    )?;
    let other = other.display().to_string();
    let (misfit, text) = error(&[&backbone[..], &["--weights", &other]].concat());
    let expected = "--weights: the weights do not fit the network: missing: features.0.0.weight, ";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("; surplus: conv1.weight"), "{text}");
    assert!(matches!(misfit.downcast_ref(), Some(ModelError::Misfit(_))));

    let refused = [
        (
            ["--size", "31"].as_slice(),
            "--size: expected 32 to 512 with --backbone, got 31",
        ),
        (
            &["--freeze", "--embedding", "0"],
            "--embedding: expected at least 1 with --freeze, since the head alone learns, got 0",
        ),
        (
            &["--unfreeze-at", "2"],
            "--unfreeze-at: expected --freeze or --freeze-below with it, got neither",
        ),
        (
            &["--layer-decay", "2"],
            "--layer-decay: expected a number above 0 and up to 1, got 2",
        ),
        (
            &["--freeze", "--backbone-lr", "0.1"],
            "--backbone-lr: expected a backbone that learns, got --freeze",
        ),
    ];
    for (more, expected) in refused {
        let (_, text) = error(&[&backbone, more].concat());
        assert_eq!(text, expected);
    }
    Ok(())
}
