//! Whole runs on synthetic digits.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use clap::Parser;
use dml::train::Flow;
use serde_json::Value;

use crate::args::Args;
use crate::outputs::{Outputs, checkpoints_in, picture_names};
use crate::run::run_until;
use dml_program::Interrupt;

/// Two epochs of six iterations, unless `more` says otherwise.
fn args(out: &Path, more: &[&str]) -> Args {
    parsed(out, more).unwrap()
}

fn parsed(out: &Path, more: &[&str]) -> Result<Args, clap::Error> {
    let own = [
        ["--dataset", "synthetic"],
        ["--limit", "48"],
        ["--batch-size", "8"],
        ["--epochs", "2"],
        ["--seed", "3"],
    ];
    let own = own.into_iter().filter(|[flag, _]| !more.contains(flag));
    let own = own.flatten().map(str::to_owned);
    let more = more.iter().map(|own| (*own).to_owned());
    let out = ["mnist".to_owned(), format!("--out={}", out.display())];
    Args::try_parse_from(out.into_iter().chain(own).chain(more))
}

/// Runs to the end, or until so many iterations are done in all.
fn run_for(args: &Args, steps: Option<u64>) -> anyhow::Result<()> {
    let interrupt = Interrupt::default();
    let flag = interrupt.flag();
    run_until(args, &interrupt, |builder| {
        builder.on_iteration(move |done| {
            flag.store(Some(done.step) == steps, Ordering::Relaxed);
            Ok(Flow::Continue)
        })
    })
}

/// The log without what depends on the clock.
fn log(out: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(out.join("log.csv"))?;
    let untimed = text.lines().filter_map(|line| line.rsplit_once(','));
    Ok(untimed.map(|(line, _)| line.to_owned()).collect())
}

fn metrics(out: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(
        out.join("metrics.json"),
    )?)?)
}

/// All files below a folder, with their contents.
fn contents(folder: &Path) -> anyhow::Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(contents(&path)?);
        } else {
            all.push((path.clone(), fs::read(&path)?));
        }
    }
    all.sort();
    Ok(all)
}

#[test]
fn an_interrupted_run_ends_as_if_nothing_had_been() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    run_for(&args(&whole, &[]), None)?;

    // In the middle of an epoch, and at its very end.
    let more = ["--tensorboard", "--checkpoint-every", "4"];
    let error = run_for(&args(&broken, &more), Some(3)).unwrap_err();
    let said = "interrupted after 3 iterations; the same command with --resume goes on from here";
    assert_eq!(error.to_string(), said);
    assert!(!broken.join("model.safetensors").exists());
    let again = ["--tensorboard", "--checkpoint-every", "4", "--resume"];
    assert!(run_for(&args(&broken, &again), Some(6)).is_err());
    run_for(&args(&broken, &again), None)?;

    let model = |out: &Path| fs::read(out.join("model.safetensors"));
    assert!(
        model(&whole)? == model(&broken)?,
        "the models are not the same"
    );
    assert_eq!(log(&whole)?, log(&broken)?);
    assert_eq!(log(&whole)?.len(), 1 + 12);
    let (a, b) = (metrics(&whole)?, metrics(&broken)?);
    for name in ["precision_at_1", "iterations", "final_loss"] {
        assert_eq!(a[name], b[name], "{name}");
    }
    assert_eq!(b["iterations"], 12);
    let page = fs::read_to_string(broken.join("report.html"))?;
    for told in [
        "Precision@1, by epoch",
        "loss, by iteration",
        "mined tuples, by iteration",
        "t-SNE",
        "ROC",
    ] {
        assert!(page.contains(told), "{told}");
    }
    for name in picture_names() {
        let svg = fs::read_to_string(broken.join(format!("{name}.svg")))?;
        assert!(page.contains(&svg), "{name} is not on the page");
        assert!(fs::read(broken.join(format!("{name}.png")))?.starts_with(b"\x89PNG"));
    }
    let events = broken.join("tensorboard/events.out.tfevents.dml");
    let events = fs::read(events)?;
    for name in ["embedding_norm/mean", "epoch/validation", "epoch/rank_me"] {
        let found = events
            .windows(name.len())
            .filter(|own| *own == name.as_bytes());
        let expected = if name.starts_with("epoch/") { 2 } else { 12 };
        assert_eq!(found.count(), expected, "{name}");
    }
    assert_eq!(fs::read_dir(broken.join("checkpoints"))?.count(), 2 + 1);
    Ok(())
}

#[test]
fn a_run_that_has_ended_can_be_made_longer_or_gives_way_to_a_new_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    let run = |more: &[&str]| run_for(&args(out, more), None);
    let model = || fs::read(out.join("model.safetensors"));
    run(&["--epochs", "1"])?;
    let first = model()?;
    run(&["--resume"])?;
    assert_eq!(log(out)?.len(), 1 + 12);
    let second = model()?;
    assert!(first != second, "the second epoch has changed nothing");
    let shorter = run(&["--resume", "--epochs", "1"]).unwrap_err();
    let said =
        "--resume: 2 epochs are done already, expected --epochs to be as many or more, got 1";
    assert_eq!(shorter.to_string(), said);
    assert!(model()? == second);
    run(&["--epochs", "1"])?;
    assert!(model()? == first, "the same run has another model");
    assert_eq!(log(out)?.len(), 1 + 6);
    Ok(())
}

#[test]
fn a_metric_that_fails_takes_nothing_else_along() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    // Of four test images no two are of one class: a curve takes such a pair.
    let more = ["--limit", "24", "--batch-size", "4", "--metrics", "roc_auc"];
    let error = run_for(&args(out, &more), None).unwrap_err();
    assert!(format!("{error:#}").starts_with("--metrics: "), "{error:#}");
    assert!(metrics(out)?["precision_at_1"].is_number());
    assert!(out.join("report.html").exists() && out.join("confusion.png").exists());

    let more = ["--limit", "48", "--metrics", "roc_auc,NMI", "--no-pictures"];
    run_for(&args(out, &more), None)?;
    let measured = metrics(out)?;
    for name in ["roc_auc", "NMI"] {
        assert!(measured["metrics"][name].is_number(), "{measured}");
    }
    assert!(!out.join("confusion.png").exists() && out.join("loss.png").exists());
    Ok(())
}

#[test]
fn what_can_not_be_resumed_is_said_and_left_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let said = |more: &[&str]| run_for(&args(&out, more), Some(1)).unwrap_err().to_string();
    let none = said(&["--resume"]);
    assert!(
        none.starts_with("--resume: found no checkpoint in "),
        "{none}"
    );
    assert!(!out.exists());
    assert!(said(&[]).starts_with("interrupted after 1 iteration;"));
    let before = contents(&out)?;
    let different = [
        (["--seed", "4"], "seed 3, and this one has 4"),
        (["--batch-size", "4"], "batch_size 8, and this one has 4"),
        (
            ["--gradient-cache", "3"],
            "gradient_cache null, and this one has 3",
        ),
        (["--lr", "0.1"], "lr 0.01, and this one has 0.1"),
        (["--limit", "42"], "train_images 48, and this one has 42"),
        (
            ["--loss", "NTXentLoss"],
            "this one has {\"name\":\"NTXentLoss\"",
        ),
    ];
    for (more, expected) in different {
        let mut all = vec!["--resume"];
        all.extend(more);
        let error = said(&all);
        assert!(error.contains(expected), "{error}");
    }
    let unasked = said(&[]);
    assert!(unasked.contains("go on with it by --resume"), "{unasked}");
    assert_eq!(contents(&out)?, before);
    Ok(())
}

#[test]
fn a_gradient_cache_cuts_the_batch_and_not_the_loss() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let run = |name: &str, more: &[&str]| -> anyhow::Result<std::path::PathBuf> {
        let out = folder.path().join(name);
        run_for(&args(&out, more), None)?;
        Ok(out)
    };
    let model = |out: &Path| fs::read(out.join("model.safetensors"));
    let whole = run("whole", &[])?;
    // One chunk is the one pass; of several, each draws masks of its own.
    let one = run("one", &["--gradient-cache", "8"])?;
    assert!(model(&whole)? == model(&one)?);
    let cut = run("cut", &["--gradient-cache", "3"])?;
    assert!(model(&whole)? != model(&cut)?, "it has changed nothing");
    assert_eq!(metrics(&cut)?["config"]["gradient_cache"], 3);
    // An interruption changes nothing about that.
    let broken = folder.path().join("broken");
    let more = ["--gradient-cache", "3"];
    assert!(run_for(&args(&broken, &more), Some(4)).is_err());
    run_for(&args(&broken, &["--gradient-cache", "3", "--resume"]), None)?;
    assert!(model(&broken)? == model(&folder.path().join("cut"))?);

    Ok(())
}

#[test]
fn numbers_out_of_range_are_refused_and_bounds_are_not() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    let counts = [
        "--batch-size",
        "--gradient-cache",
        "--threads",
        "--limit",
        "--checkpoint-every",
    ];
    let huge = "18446744073709551616";
    let mut refused: Vec<[&str; 2]> = Vec::new();
    for flag in counts {
        refused.extend(["0", "x", huge].map(|number| [flag, number]));
    }
    refused.extend(["nan", "0", "inf"].map(|number| ["--lr", number]));
    refused.extend(["18446744073709551615", huge].map(|number| ["--epochs", number]));
    for [flag, number] in refused {
        let error = parsed(out, &[flag, number]).unwrap_err().to_string();
        assert!(error.contains(flag), "{error}");
        assert!(error.contains("expected a number"), "{error}");
    }
    // No epoch, one image, one row at a time, a batch of more than all: all of it runs, or says why not.
    for more in [
        &["--epochs", "0"][..],
        &["--limit", "1", "--batch-size", "1", "--no-pictures"],
        &["--limit", "7", "--epochs", "1"],
        &["--batch-size", "10000000", "--epochs", "1"],
        &[
            "--checkpoint-every",
            "18446744073709551615",
            "--epochs",
            "1",
        ],
    ] {
        let own = tempfile::tempdir()?;
        if let Err(error) = run_for(&args(own.path(), more), None) {
            let error = format!("{error:#}");
            assert!(error.contains("expected"), "{more:?}: {error}");
        }
    }
    Ok(())
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_begins_anew() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path();
    let part = checkpoints_in(out).join(".part-000000000006");
    fs::create_dir_all(&part)?;
    fs::write(part.join("tensors.safetensors"), "half")?;
    fs::write(out.join(".tmpAbC123"), "half")?;
    let error = run_for(&args(out, &["--resume"]), None).unwrap_err();
    assert!(error.to_string().contains("begins anew"), "{error}");
    run_for(&args(out, &["--epochs", "1"]), None)?;
    assert!(!part.exists() && !out.join(".tmpAbC123").exists());
    Ok(())
}

#[test]
fn resuming_beside_a_run_without_a_checkpoint_names_that_run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = Outputs::create(folder.path())?;
    let error = run_for(&args(folder.path(), &["--resume"]), None).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("another run is writing here"), "{error}");
    drop(first);
    let error = run_for(&args(folder.path(), &["--resume"]), None).unwrap_err();
    assert!(error.to_string().contains("found no checkpoint"), "{error}");
    Ok(())
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_the_model_is_the_same() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    run_for(&args(&whole, &[]), None)?;
    let more = ["--checkpoint-every", "4"];
    assert!(run_for(&args(&broken, &more), Some(8)).is_err());
    let state = checkpoints_in(&broken).join("step-000000000008/state.json");
    let text = fs::read_to_string(&state)?;
    fs::write(
        &state,
        text.replacen("\"iteration\": 2", "\"iteration\": 1", 1),
    )?;
    run_for(
        &args(&broken, &["--resume", "--checkpoint-every", "4"]),
        None,
    )?;
    let model = |out: &Path| fs::read(out.join("model.safetensors"));
    assert!(model(&whole)? == model(&broken)?);
    assert!(
        checkpoints_in(&broken)
            .join("damaged-000000000008")
            .exists()
    );
    Ok(())
}
