//! Processes killed at random moments end with the weights of one that never was.
//!
//! The program starts itself: with `--child FOLDER` it trains with checkpoints in FOLDER, from the latest one if there
//! is any, and writes what it has learnt to `FOLDER/learnt`. Without, it is the test, which kills children.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.
#![allow(clippy::print_stdout)] // There is no harness to say that it passed.

#[path = "it/blobs.rs"]
#[allow(dead_code)] // Written for the other tests too.
mod blobs;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use blobs::{Blobs, adam, named_module, network, sampler};
use dml_core::Objective;
use dml_distances::LpDistance;
use dml_losses::{
    CrossBatchMemory, CrossBatchMemoryConfig, MarginLoss, MarginLossConfig, TripletMarginLoss,
    TripletMarginLossConfig,
};
use dml_miners::{DistanceWeightedMiner, DistanceWeightedMinerConfig};
use dml_reducers::{AvgNonZeroReducer, SumReducer};
use dml_train::log::{CsvLog, TensorBoard};
use dml_train::schedule::{Cosine, Plateau, PlateauConfig, WarmUp};
use dml_train::{
    CascadedEmbeddings, Checkpoints, CheckpointsConfig, Clip, Criterion, Flow, Pace, Stage,
    Trainer, Validation, ValidationConfig,
};
use rand::{Rng, SeedableRng};

/// How many children are killed.
const KILLS: usize = 24;
const EPOCHS: u64 = 12;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|own| own == "--child") {
        Some(i) => train(Path::new(&arguments[i + 1])),
        None => kill_children(),
    }
}

/// Everything that has a memory: dropout, a random miner, a queue, learned boundaries, moments, averages, schedules, a
/// plateau, logs.
fn train(folder: &Path) {
    let distance = || LpDistance::default();
    let triplet = TripletMarginLoss::new(TripletMarginLossConfig::default(), distance()).unwrap();
    let miner =
        DistanceWeightedMiner::new(DistanceWeightedMinerConfig::default(), distance()).unwrap();
    let remembered = Objective::new(triplet, AvgNonZeroReducer::default());
    let memory = CrossBatchMemory::new(
        CrossBatchMemoryConfig {
            memory_size: 40,
            ..CrossBatchMemoryConfig::new(4)
        },
        remembered.with_miner(miner),
    );
    let memory = Objective::new(memory.unwrap(), SumReducer);
    let margin = MarginLossConfig {
        learn_beta: true,
        ..MarginLossConfig::default()
    };
    let variables = candle_nn::VarMap::new();
    let builder = candle_nn::VarBuilder::from_varmap(
        &variables,
        candle_core::DType::F32,
        &candle_core::Device::Cpu,
    );
    let margin = MarginLoss::new(margin, distance(), builder).unwrap();
    let margin = Objective::new(margin, AvgNonZeroReducer::default());
    let plateau = PlateauConfig {
        patience: 0,
        factor: 0.7,
        ..PlateauConfig::default()
    };
    let warm_up = WarmUp::new(10, 0.1).unwrap();
    let trunk = named_module("trunk", network(3, blobs::WIDTH, 7, 0.3))
        .with_optimizer(adam)
        .unwrap()
        .with_schedule(Pace::Iteration, warm_up.then(Cosine::new(80, 0.1).unwrap()))
        .with_plateau(Plateau::new(plateau).unwrap())
        .with_clip(Clip::norm(0.5).unwrap());
    let stages = [
        Stage::new(4).with_criterion(Criterion::new("memory", memory)),
        Stage::new(3).with_criterion(
            Criterion::new("margin", margin)
                .with_optimizer(adam)
                .unwrap(),
        ),
    ];
    let validation = Validation::new(ValidationConfig::default(), |model| {
        // Any number that follows from the weights alone.
        let first = &model.modules()[0].parameter_group().parameters()[0].1;
        let sum = first.abs()?.mean_all()?.to_scalar::<f32>()?;
        Ok(f64::from(sum.sin()))
    });
    let config = CheckpointsConfig {
        every_iterations: Some(2),
        ..CheckpointsConfig::default()
    };
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut trainer = Trainer::builder(CascadedEmbeddings::new(trunk, stages), data, order)
        .with_seed(5)
        .with_loading_threads(2)
        .with_iterations_per_epoch(7)
        .with_accumulation(2)
        .with_gradient_cache(5)
        .with_ema(0.95)
        .with_validation(validation.unwrap())
        .with_checkpoints(Checkpoints::new(folder.join("checkpoints"), config).unwrap())
        .with_hook(CsvLog::new(folder))
        .with_hook(TensorBoard::new(folder.join("board")))
        .on_iteration(|_| {
            // Slow enough to be hit.
            sleep(Duration::from_millis(1));
            Ok(Flow::Continue)
        })
        .build()
        .unwrap();
    trainer.resume().unwrap();
    trainer.run(EPOCHS).unwrap();
    let weights = blobs::weights(&trainer);
    let averages = trainer.ema().unwrap().averages();
    let averages = averages.map(|(name, average)| {
        let values = average.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (format!("average {name}"), values)
    });
    let beta = dml_train::Method::criteria(trainer.method())[1]
        .objective()
        .loss()
        .parameters();
    let beta = beta.into_iter().map(|(name, var)| {
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (name, values)
    });
    let mut text = String::new();
    for (name, values) in weights.into_iter().chain(averages).chain(beta) {
        let bits: Vec<String> = values
            .iter()
            .map(|x| format!("{:08x}", x.to_bits()))
            .collect();
        text.push_str(&format!("{name} {}\n", bits.join(" ")));
    }
    text.push_str(&format!("{:?} {}\n", trainer.best(), trainer.steps()));
    fs::write(folder.join("learnt"), text).unwrap();
}

fn child(folder: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    // Sums are in the same order for any number of threads; one leaves the machine to the other children.
    Command::new(program)
        .arg("--child")
        .arg(folder)
        .env("RAYON_NUM_THREADS", "1")
        .spawn()
        .unwrap()
}

/// What a run has learnt, and its log without what depends on the clock.
fn result(folder: &Path) -> (String, Vec<Vec<String>>) {
    let learnt = fs::read_to_string(folder.join("learnt")).unwrap();
    let log = fs::read_to_string(folder.join("iterations.csv")).unwrap();
    let rows: Vec<Vec<String>> = log
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let timed = rows[0]
        .iter()
        .position(|name| name == "examples_per_second")
        .unwrap();
    let untimed = |mut row: Vec<String>| {
        row.remove(timed);
        row
    };
    (learnt, rows.into_iter().map(untimed).collect())
}

fn kill_children() {
    let start = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    fs::create_dir(&whole).unwrap();
    let began = Instant::now();
    assert!(child(&whole).wait().unwrap().success());
    let length = began.elapsed();
    let expected = result(&whole);
    assert_eq!(expected.1.len() as u64, 1 + 7 * EPOCHS);

    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        let own = folder.path().join(format!("run{runs}"));
        fs::create_dir(&own).unwrap();
        loop {
            let mut child = child(&own);
            // From before the first checkpoint to about half of the run.
            let moment = length.mul_f64(rng.random_range(0.0..0.5));
            if kills < KILLS {
                sleep(moment);
            }
            if kills >= KILLS || child.try_wait().unwrap().is_some() {
                // Enough of them, or this one was faster.
                assert!(child.wait().unwrap().success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        assert_eq!(result(&own), expected, "after {kills} kills, run {runs}");
        runs += 1;
    }
    assert!(kills >= 20);
    let seconds = start.elapsed().as_secs_f64();
    println!("{kills} kills in {runs} runs, every one with the same end: ok ({seconds:.1} s)");
}
