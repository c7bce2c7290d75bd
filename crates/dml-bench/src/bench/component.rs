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
use dml::{Batch, TensorExt};
use dml_program::peak_mb;
use serde_json::{Map, Value, json};

use super::data::{self, Data};
use super::worker::{self, Sample};
use super::{Peer, Workload};

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
            let data = Data::write(folder, rows, classes)?;
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
                    told.extend(data.told());
                    workloads.push(Workload {
                        id,
                        // Weights and draws are random: only losses and miners without them agree.
                        same_work: !learns && !DRAWN.contains(name),
                        peer: with_peer.then(|| Peer::Python(told.clone())),
                        ours: told,
                    });
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
    let told: Vec<String> = match arguments {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"')))
            .collect(),
        _ => Vec::new(),
    };
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
    let Ok(rest) = <&[String; 4]>::try_from(rest) else {
        bail!("component: expected EMBEDDINGS LABELS ROWS DIM, got {rest:?}");
    };
    let (x, y) = data::read(rest, device)?;
    let sample = |start: Instant, loss: f64, tuples: u64| -> anyhow::Result<Sample> {
        device.synchronize()?;
        Ok(Sample {
            ms: 1000.0 * start.elapsed().as_secs_f64(),
            loss,
            tuples,
            peak_mb: peak_mb().unwrap_or(0.0),
        })
    };
    match role.as_str() {
        "distance" => {
            let vars = SeededVars::new(0).builder(x.dtype(), x.device());
            let distance = DistanceConfig::from_json(config)?.build_with(&vars)?;
            worker::serve(|| {
                let leaf = Var::from_tensor(&x)?;
                let start = Instant::now();
                let sum = distance.matrix(&leaf, None)?.sum_within(None, None)?.sum;
                backward(&sum, &leaf)?;
                let done = sample(start, 0.0, 0)?;
                Ok(Sample {
                    loss: number(&sum)?,
                    ..done
                })
            })
        }
        "miner" => {
            let miner = MinerConfig::from_json(config)?.build()?;
            worker::serve(|| {
                let start = Instant::now();
                let batch = Batch::new(&x, &y)?;
                let count = miner.mine(&batch)?.count(&batch)?.total();
                sample(start, 0.0, count)
            })
        }
        "loss" => {
            let config = LossConfig::from_json(config)?;
            let vars = SeededVars::new(0).builder(x.dtype(), x.device());
            let objective = config.build_with(&vars)?;
            let reads_labels = !WITHOUT_LABELS.contains(&config.loss.name());
            worker::serve(|| {
                let leaf = Var::from_tensor(&x)?;
                let start = Instant::now();
                let batch = if reads_labels {
                    Batch::new(&leaf, &y)?
                } else {
                    Batch::unlabeled(&leaf)?
                };
                let loss = objective.forward(&batch)?;
                backward(&loss, &leaf)?;
                let done = sample(start, 0.0, 0)?;
                Ok(Sample {
                    loss: number(&loss)?,
                    ..done
                })
            })
        }
        other => bail!("no role {other}"),
    }
}

fn backward(value: &Tensor, leaf: &Var) -> anyhow::Result<()> {
    let gradients = value.backward()?;
    gradients
        .get(leaf.as_tensor())
        .context("the embeddings have a gradient")?;
    Ok(())
}

fn number(value: &Tensor) -> anyhow::Result<f64> {
    Ok(f64::from(value.to_scalar::<f32>()?))
}
