//! A run's folder of checkpoints with one file changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dml::candle_core::{DType, Device};
use dml::data::TensorDataset;
use dml::distances::LpDistance;
use dml::losses::{TripletMarginLoss, TripletMarginLossConfig, TripletsPerAnchor};
use dml::nn::{Adam, AdamConfig, Linear, LinearConfig};
use dml::reducers::AvgNonZeroReducer;
use dml::samplers::{MPerClassSampler, MPerClassSamplerConfig};
use dml::train::{Checkpoints, CheckpointsConfig, Method, MetricLossOnly, NamedModule, Trainer};
use dml::{Objective, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::rows;

/// Epochs after which the folder is as it is changed, and after which a run ends.
const EPOCHS: [u64; 2] = [2, 3];

/// The files of a run's folder, and what the weights are at its end.
struct Run {
    files: Vec<(PathBuf, Vec<u8>)>,
    weights: Vec<Vec<f32>>,
}

/// The first byte chooses a file of the folder, the others become its content. A run that is taken up there is refused, or
/// ends as it would have ended.
pub(super) fn run(bytes: &[u8]) {
    let run = whole_run();
    let Some((choice, content)) = bytes.split_first() else {
        return;
    };
    let changed = usize::from(*choice) % run.files.len();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (number, (name, original)) in run.files.iter().enumerate() {
        let bytes = if number == changed { content } else { original };
        write(&folder.path().join(name), bytes);
    }
    let mut trainer = trainer(folder.path()).expect("a trainer of valid parts");
    if let Ok(Some(_)) = trainer.resume()
        && trainer.run(EPOCHS[1]).is_ok()
    {
        assert_eq!(weights(&trainer), run.weights, "other weights at the end");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let files = (0u8..).zip(&whole_run().files);
    files
        .map(|(number, (_, bytes))| [&[number], &bytes[..]].concat())
        .collect()
}

fn write(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("a file in a folder");
    std::fs::create_dir_all(folder).expect("a temporary folder can be made");
    std::fs::write(path, bytes).expect("a temporary file can be written");
}

fn whole_run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut trainer = trainer(folder.path()).expect("a trainer of valid parts");
        trainer.run(EPOCHS[0]).expect("a run on numbers");
        let mut files = Vec::new();
        collect(folder.path(), Path::new(""), &mut files);
        trainer.run(EPOCHS[1]).expect("a run on numbers");
        Run {
            files,
            weights: weights(&trainer),
        }
    })
}

/// The files below a folder by their names, in the order of the names.
fn collect(root: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let entries = std::fs::read_dir(root.join(below)).expect("a folder that was just made");
    let names = entries.map(|entry| entry.expect("an entry of the folder").file_name());
    let mut names: Vec<PathBuf> = names.map(|name| below.join(name)).collect();
    names.sort();
    for name in names {
        let path = root.join(&name);
        if path.is_dir() {
            collect(root, &name, files);
        } else {
            let bytes = std::fs::read(&path).expect("a file that was just written");
            files.push((name, bytes));
        }
    }
}

/// A linear layer on 16 rows of 2 classes, with random triplets: a few milliseconds.
fn trainer(folder: &Path) -> std::result::Result<Trainer<MetricLossOnly>, dml::train::TrainError> {
    let labels: Vec<i64> = (0..16).map(|row| row % 2).collect();
    let order = MPerClassSamplerConfig {
        length_before_new_iter: 16,
        ..MPerClassSamplerConfig::new(2)
    };
    let order = MPerClassSampler::new(order, labels.clone())?;
    let checkpoints = Checkpoints::new(folder, CheckpointsConfig::default())?;
    let method = MetricLossOnly::new(trunk()?, objective()?);
    Trainer::builder(method, TensorDataset::new(rows(16, 4, 0.7), labels)?, order)
        .with_checkpoints(checkpoints)
        .build()
}

fn trunk() -> Result<NamedModule> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let layer = Linear::new(LinearConfig::new(4, 2), &mut rng, DType::F32, &Device::Cpu)?;
    let trunk = NamedModule::of("trunk", layer);
    trunk.with_optimizer(|parameters| Adam::new(parameters, AdamConfig::from(0.02)))
}

fn objective() -> Result<Objective> {
    let config = TripletMarginLossConfig {
        margin: 1.0,
        triplets_per_anchor: TripletsPerAnchor::Random(2),
        ..TripletMarginLossConfig::default()
    };
    let loss = TripletMarginLoss::new(config, Arc::new(LpDistance::default()))?;
    let reducer = Arc::new(AvgNonZeroReducer::default());
    Ok(Objective::new(Arc::new(loss), reducer))
}

fn weights(trainer: &Trainer<MetricLossOnly>) -> Vec<Vec<f32>> {
    let parts = trainer.method().modules();
    let parameters = parts
        .iter()
        .flat_map(|part| part.parameter_group().parameters());
    parameters
        .map(|(_, var)| {
            let values = var.flatten_all().and_then(|values| values.to_vec1());
            values.expect("weights in single precision on the CPU")
        })
        .collect()
}
