//! What logs hold: every iteration once, interruption or not.

use std::fs;
use std::path::Path;

use dml_core::Objective;
use dml_distances::LpDistance;
use dml_losses::{ContrastiveLoss, ContrastiveLossConfig};
use dml_miners::{HDCMiner, HDCMinerConfig};
use dml_reducers::AvgNonZeroReducer;
use dml_train::log::{CsvLog, JsonLines, TensorBoard};
use dml_train::{
    Checkpoints, CheckpointsConfig, Flow, MetricLossOnly, TrainError, Trainer, TrainerBuilder,
    Validation, ValidationConfig,
};

use crate::blobs::{Blobs, sampler, trunk};

/// A loss of two terms over mined pairs.
fn objective() -> Objective {
    let distance = LpDistance::default();
    let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance.clone()).unwrap();
    let miner = HDCMiner::new(HDCMinerConfig::default(), distance).unwrap();
    Objective::new(loss, AvgNonZeroReducer::default()).with_miner(miner)
}

fn builder(folder: &Path) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        ..CheckpointsConfig::default()
    };
    let validation = ValidationConfig {
        every: 2,
        ..ValidationConfig::default()
    };
    let board = TensorBoard::new(folder.join("board"));
    Trainer::builder(MetricLossOnly::new(trunk(1, 0.2), objective()), data, order)
        .with_checkpoints(Checkpoints::new(folder.join("checkpoints"), config).unwrap())
        .with_validation(Validation::new(validation, |_| Ok(0.25)).unwrap())
        .with_hook(CsvLog::new(folder))
        .with_hook(JsonLines::new(folder.join("log.jsonl")))
        .with_hook(board.every(2).with_epoch_scalars(|model| {
            let weights = &model.modules()[0].parameter_group().parameters()[0].1;
            let first = weights.flatten_all()?.get(0)?.to_scalar::<f32>()?;
            Ok(vec![("epoch/first_weight".to_owned(), f64::from(first))])
        }))
}

/// A run of three epochs that breaks down in iteration 14 and is taken up at 12.
pub(crate) fn interrupted(folder: &Path) -> Result<(), TrainError> {
    let mut failing = builder(folder)
        .on_iteration(|done| {
            if done.step == 14 {
                Err("power cut".into())
            } else {
                Ok(Flow::Continue)
            }
        })
        .build()?;
    assert!(failing.run(3).is_err());
    drop(failing);
    let mut resumed = builder(folder).build()?;
    assert_eq!(resumed.resume()?, Some(12));
    resumed.run(3)?;
    Ok(())
}

/// A table without the columns that depend on the clock.
pub(crate) fn table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let timed = |name: &str| name.contains("second");
    let kept: Vec<usize> = (0..rows[0].len()).filter(|i| !timed(rows[0][*i])).collect();
    rows.iter()
        .map(|row| kept.iter().map(|i| row[*i].to_owned()).collect())
        .collect()
}

#[test]
fn tables_are_those_of_a_run_without_interruption() -> Result<(), TrainError> {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    builder(whole.path()).build()?.run(3)?;
    interrupted(broken.path())?;
    let iterations = table(&whole.path().join("iterations.csv"));
    assert_eq!(table(&broken.path().join("iterations.csv")), iterations);
    assert_eq!(iterations.len(), 1 + 24);
    for name in [
        "loss",
        "losses/metric_loss",
        "terms/metric_loss.pos_loss",
        "terms/metric_loss.neg_loss",
        "tuples/mined",
        "tuples/active_fraction",
        "embedding_norm/mean",
        "embedding_spread/direction",
        "embedding_spread/deviation",
        "learning_rate/trunk",
    ] {
        assert!(iterations[0].iter().any(|own| own == name), "{name}");
    }
    let column = |name: &str| -> Vec<f64> {
        let i = iterations[0].iter().position(|own| own == name).unwrap();
        iterations[1..]
            .iter()
            .map(|row| row[i].parse().unwrap())
            .collect()
    };
    assert_eq!(column("step"), (1..=24).map(f64::from).collect::<Vec<_>>());
    let (pos, neg) = (
        column("terms/metric_loss.pos_loss"),
        column("terms/metric_loss.neg_loss"),
    );
    for ((loss, pos), neg) in column("loss").iter().zip(pos).zip(neg) {
        approx::assert_relative_eq!(*loss, pos + neg, max_relative = 1e-5);
    }
    let epochs = table(&broken.path().join("epochs.csv"));
    assert_eq!(epochs, table(&whole.path().join("epochs.csv")));
    assert_eq!(epochs.len(), 1 + 3);
    let validation = epochs[0]
        .iter()
        .position(|own| own == "epoch/validation")
        .unwrap();
    let values: Vec<&str> = epochs[1..]
        .iter()
        .map(|row| row[validation].as_str())
        .collect();
    assert_eq!(values, ["NaN", "0.25", "NaN"]);
    Ok(())
}

#[test]
fn lines_are_json() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    interrupted(folder.path())?;
    let text = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<u64> = lines
        .iter()
        .filter(|line| line["event"] == "iteration")
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=24).collect::<Vec<u64>>());
    assert_eq!(lines.len(), 24 + 3);
    let spread = |name: &str| lines[0][format!("embedding_spread/{name}")].as_f64();
    assert!(spread("direction").is_some_and(|length| length > 0.0 && length < 1.0));
    assert!(spread("deviation").is_some_and(|deviation| deviation > 0.0 && deviation < 0.5));
    assert!(lines[0]["tuples/mined"].as_f64().unwrap() > 0.0);
    assert_eq!(lines[lines.len() - 1]["epoch"], 3);
    Ok(())
}

#[test]
fn logs_of_one_kind_are_each_taken_up_where_they_were() -> Result<(), TrainError> {
    let built = |folder: &Path| {
        builder(folder)
            .with_hook(JsonLines::new(folder.join("fourth.jsonl")).every(4))
            .with_hook(JsonLines::new(folder.join("fifth.jsonl")).every(5))
    };
    let folder = tempfile::tempdir().unwrap();
    let mut failing = built(folder.path())
        .on_iteration(|done| match done.step {
            14 => Err("power cut".into()),
            _ => Ok(Flow::Continue),
        })
        .build()?;
    assert!(failing.run(3).is_err());
    drop(failing);
    let mut resumed = built(folder.path()).build()?;
    assert_eq!(resumed.resume()?, Some(12));
    resumed.run(3)?;
    for (name, every) in [("log", 1), ("fourth", 4), ("fifth", 5)] {
        let text = fs::read_to_string(folder.path().join(format!("{name}.jsonl"))).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let steps: Vec<u64> = lines
            .filter(|line| line["event"] == "iteration")
            .map(|line| line["step"].as_u64().unwrap())
            .collect();
        let expected: Vec<u64> = (1..=24).filter(|step| step % every == 0).collect();
        assert_eq!(steps, expected, "{name}");
    }
    Ok(())
}

#[test]
fn an_epoch_that_was_stopped_at_its_end_has_its_mean() -> Result<(), TrainError> {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    builder(whole.path()).build()?.run(2)?;
    let mut first = builder(stopped.path())
        .on_iteration(|done| match done.step {
            16 => Ok(Flow::Stop),
            _ => Ok(Flow::Continue),
        })
        .build()?;
    first.run(2)?;
    drop(first);
    let mut resumed = builder(stopped.path()).build()?;
    assert_eq!(resumed.resume()?, Some(16));
    resumed.run(2)?;
    let epochs = table(&stopped.path().join("epochs.csv"));
    assert_eq!(epochs, table(&whole.path().join("epochs.csv")));
    Ok(())
}
