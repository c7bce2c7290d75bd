//! Single components by name: distances and losses forward and backward, miners forward.
//!
//! Every component of a role is measured, with the arguments that it can't do without and else its defaults. The peer
//! builds its own of the same configuration.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::{Device, Tensor, Var};
use dml::config::{BatchSizes, DistanceConfig, LossConfig, LossKind, MinerConfig, MinerKind};
use dml::losses::SeededVars;
use dml::{Batch, Objective, TensorExt, TupleCount};
use serde_json::{Map, Value, json};

use super::worker::{self, Sample};
use super::{Workload, data};

/// What is measured of a role.
pub(super) struct Role {
    name: &'static str,
    names: &'static [&'static str],
    /// Rows and classes, and whether the peer takes part.
    sizes: &'static [(usize, usize, bool)],
    /// Arguments beside the defaults, by name, rows and classes; a name may come several times.
    variants: fn(&str, usize, usize) -> Vec<Value>,
    /// Arguments without a default, by the component's name.
    required: fn(&str, BatchSizes) -> Map<String, Value>,
}

pub(super) const DISTANCES: Role = Role {
    name: "distance",
    names: DistanceConfig::NAMES,
    sizes: &[(256, 10, true), (1024, 10, true), (4096, 10, true)],
    variants: distance_variants,
    required: DistanceConfig::required,
};

pub(super) const MINERS: Role = Role {
    name: "miner",
    names: MinerKind::NAMES,
    sizes: &[
        (256, 10, true),
        (256, 256, true),
        (1024, 10, true),
        (1024, 256, true),
        (4096, 10, true),
        (4096, 256, true),
        (8192, 10, false),
    ],
    variants: miner_variants,
    required: MinerKind::required,
};

pub(super) const LOSSES: Role = Role {
    name: "loss",
    names: LossKind::NAMES,
    sizes: &[
        (256, 10, true),
        (256, 8, true),
        (1024, 10, true),
        (1024, 8, true),
        (4096, 10, false),
        (4096, 8, false),
        (16384, 10, false),
    ],
    variants: loss_variants,
    required: LossKind::required,
};

fn distance_variants(name: &str, _: usize, _: usize) -> Vec<Value> {
    match name {
        "LpDistance" => vec![json!({}), json!({"p": 1})],
        // It hands its blocks to a function and has no matrix.
        "BatchedDistance" => vec![],
        // It reads bits, and numbers have none to offer.
        "HammingDistance" => vec![],
        _ => vec![json!({})],
    }
}

fn miner_variants(name: &str, _: usize, _: usize) -> Vec<Value> {
    match name {
        "TripletMarginMiner" => ["all", "semihard", "hard", "easy"]
            .map(|kind| json!({"type_of_triplets": kind}))
            .to_vec(),
        // It does nothing but number the rows.
        "EmbeddingsAlreadyPackagedAsTriplets" => vec![],
        _ => vec![json!({})],
    }
}

fn loss_variants(name: &str, rows: usize, classes: usize) -> Vec<Value> {
    if rows > 4096 && !LARGE_BATCHES.contains(&name) {
        return vec![];
    }
    // SmoothAP compares classes of equal size only, and 10 divides no power of two.
    if (name == "SmoothAPLoss") != (classes == 8) {
        return vec![];
    }
    match name {
        "RankedListLoss" => vec![json!({"margin": 1, "Tn": 10})],
        "TripletMarginLoss" => vec![json!({}), json!({"smooth_loss": true})],
        // They wrap another loss, whose time it is.
        "CrossBatchMemory" | "SelfSupervisedLoss" | "MultipleLosses" => vec![],
        _ => vec![json!({})],
    }
}

impl Role {
    /// One workload for each component, variant and size, as far as its id contains `filter`.
    pub(super) fn workloads(
        &self,
        folder: &Path,
        filter: &str,
        on_gpu: bool,
    ) -> anyhow::Result<Vec<Workload>> {
        let mut workloads = Vec::new();
        for &(rows, classes, with_peer) in self.sizes {
            // A GPU has the time for batches that are too large for the peer's patience on a CPU.
            let with_peer = with_peer || (on_gpu && rows <= 4096);
            let data = data::write(folder, rows, classes)?;
            for name in self.names {
                for arguments in (self.variants)(name, rows, classes) {
                    let id = format!(
                        "{}/{name}{}/N{rows}-C{classes}",
                        self.name,
                        suffix(&arguments)
                    );
                    if !id.contains(filter) {
                        continue;
                    }
                    let mut config = Map::from_iter([("name".to_owned(), Value::from(*name))]);
                    let sizes = BatchSizes {
                        rows,
                        num_classes: classes,
                        embedding_size: data::DIM,
                    };
                    let required = (self.required)(name, sizes);
                    // What has the length of a row among its arguments learns weights, which begin at random.
                    let learns = required.values().any(|value| *value == data::DIM);
                    config.extend(required);
                    config.extend(arguments.as_object().cloned().unwrap_or_default());
                    let mut told = vec![
                        "component".to_owned(),
                        self.name.to_owned(),
                        Value::Object(config).to_string(),
                    ];
                    told.extend(data.clone());
                    // Weights and draws are random: only losses and miners without them agree.
                    let same_work = !learns && !DRAWN.contains(name);
                    workloads.push(Workload::new(id, same_work, told, with_peer));
                }
            }
        }
        Ok(workloads)
    }
}

/// Losses that are measured on batches of ten thousands, too.
const LARGE_BATCHES: &[&str] = &[
    "NTXentLoss",
    "SupConLoss",
    "MultiSimilarityLoss",
    "TripletMarginLoss",
];

/// Losses that refuse labels.
const WITHOUT_LABELS: &[&str] = &["VICRegLoss"];

/// Miners that draw at random.
const DRAWN: &[&str] = &["DistanceWeightedMiner", "UniformHistogramMiner"];

/// The arguments that tell variants apart.
fn suffix(arguments: &Value) -> String {
    let arguments = arguments.as_object().into_iter().flatten();
    let told: Vec<String> = arguments
        .map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"')))
        .collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("({})", told.join(","))
    }
}

/// The worker.
pub(super) fn serve(told: &[String], device: &Device) -> anyhow::Result<()> {
    let [role, config, rest @ ..] = told else {
        bail!("component: expected ROLE CONFIG DATA, got {told:?}");
    };
    let (x, y) = data::read(rest, device)?;
    match role.as_str() {
        "distance" => {
            let vars = SeededVars::new(0).builder(x.dtype(), device);
            let distance = DistanceConfig::from_json(config)?.build_with(&vars)?;
            worker::serve(|| {
                backward(&x, |leaf| {
                    let sum = distance.matrix(leaf, None)?.sum_within(None, None)?.sum;
                    Ok((sum, 0))
                })
            })
        }
        "miner" => {
            let miner = MinerConfig::from_json(config)?.build()?;
            worker::serve(|| {
                let start = Instant::now();
                let batch = Batch::new(&x, &y)?;
                let count = miner.mine(&batch)?.count(&batch)?.total();
                device.synchronize()?;
                Ok(Sample::since(start, 0.0, count))
            })
        }
        "loss" => {
            let config = LossConfig::from_json(config)?;
            let vars = SeededVars::new(0).builder(x.dtype(), device);
            let objective = config.build_with(&vars)?;
            let reads_labels = !WITHOUT_LABELS.contains(&config.loss.name());
            serve_steps(&objective, &x, |leaf| match reads_labels {
                true => Batch::new(leaf, &y),
                false => Batch::unlabeled(leaf),
            })
        }
        other => bail!("no role {other}"),
    }
}

/// A worker that evaluates an objective on a batch of the rows `x`, forward and backward.
pub(super) fn serve_steps(
    objective: &Objective,
    x: &Tensor,
    batch: impl Fn(&Tensor) -> dml::Result<Batch>,
) -> anyhow::Result<()> {
    worker::serve(|| {
        backward(x, |leaf| {
            let outcome = objective.evaluate(&batch(leaf)?)?;
            Ok((outcome.loss, outcome.mined.map_or(0, TupleCount::total)))
        })
    })
}

/// A run: a number computed from the rows `x`, with a count of tuples, and its gradient.
fn backward(
    x: &Tensor,
    forward: impl Fn(&Tensor) -> dml::Result<(Tensor, u64)>,
) -> anyhow::Result<Sample> {
    let leaf = Var::from_tensor(x)?;
    let start = Instant::now();
    let (value, tuples) = forward(&leaf)?;
    let gradients = value.backward()?;
    x.device().synchronize()?;
    let done = Sample::since(start, 0.0, tuples);
    gradients
        .get(leaf.as_tensor())
        .context("the embeddings have a gradient")?;
    let loss = f64::from(value.to_scalar::<f32>()?);
    Ok(Sample { loss, ..done })
}
