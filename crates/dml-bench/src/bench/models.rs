//! Backbones that learn and that embed: a step of `AdamW` on NT-Xent, and the embeddings of a batch, on the sizes that people
//! fine-tune with. A step with activation checkpoints is measured beside one without.
//!
//! Ours writes the weights that the peer reads, so that both begin with the same network. Dropout of text models is
//! PyTorch's default, 0.1, and makes their losses differ.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::{DType, Device, Tensor};
use dml::config::LossConfig;
use dml::models::text::{BertConfig, Pooling, TextConfig, TextEncoder};
use dml::models::{Backbone, Names, Weights, load, save};
use dml::nn::{AdamW, AdamWConfig, Layer, Optimizer};
use dml::{Batch, no_grad};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::worker::{self, Sample};
use super::{Peer, Workload, data};

/// Tokens of a text.
const TOKENS: usize = 64;

/// Length of the vocabulary that tokens are drawn from.
const VOCABULARY: u32 = 30_000;

/// What is measured of a network.
const WHAT: [&str; 3] = [STEP, EMBED, CHECKPOINT];
const STEP: &str = "step";
const EMBED: &str = "embed";
/// A step with activation checkpoints; the peer is a step without.
const CHECKPOINT: &str = "checkpoint";

/// What a network is measured on.
struct Recipe {
    /// Name of the model, as the peer knows it.
    name: &'static str,
    /// Side of the images; `None` for texts of [`TOKENS`] tokens.
    side: Option<usize>,
    /// Images, or texts: two for each label.
    batch: usize,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "resnet18",
        side: Some(128),
        batch: 64,
    },
    Recipe {
        name: "mobilenet_v2",
        side: Some(128),
        batch: 64,
    },
    Recipe {
        name: "vit_small_patch16_224",
        side: Some(224),
        batch: 16,
    },
    Recipe {
        name: "minilm",
        side: None,
        batch: 64,
    },
];

impl Recipe {
    fn find(name: &str) -> anyhow::Result<&'static Self> {
        let mut recipes = RECIPES.iter();
        recipes
            .find(|recipe| recipe.name == name)
            .with_context(|| format!("no model {name}"))
    }

    fn build(&self, device: &Device) -> anyhow::Result<Box<dyn Backbone>> {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        if self.side.is_some() {
            let network = dml::models::by_name(self.name)?;
            return Ok(network.build(rng, DType::F32, device)?);
        }
        let mut config = BertConfig::default();
        config.hidden_size = 384;
        config.num_hidden_layers = 6;
        config.intermediate_size = 1536;
        let network = TextConfig::Bert(config).build(rng, DType::F32, device)?;
        Ok(Box::new(TextEncoder::new(network, Pooling::Mean)))
    }

    /// Normal pixels `[batch, 3, side, side]`, or the numbers of tokens `[batch, TOKENS]`.
    fn input(&self, rng: &mut impl Rng) -> (Vec<u8>, Vec<usize>, DType) {
        match self.side {
            Some(side) => {
                let shape = vec![self.batch, 3, side, side];
                let pixels =
                    (0..shape.iter().product()).flat_map(|_| data::normal(rng).to_le_bytes());
                (pixels.collect(), shape, DType::F32)
            }
            None => {
                let shape = vec![self.batch, TOKENS];
                let tokens = (0..self.batch * TOKENS)
                    .flat_map(|_| rng.random_range(1_000..VOCABULARY).to_le_bytes());
                (tokens.collect(), shape, DType::U32)
            }
        }
    }
}

/// The workloads of each network.
pub(super) fn workloads(folder: &Path, filter: &str) -> anyhow::Result<Vec<Workload>> {
    let mut workloads = Vec::new();
    for recipe in RECIPES {
        let ids = WHAT.map(|what| format!("models/{}/{what}", recipe.name));
        if !ids.iter().any(|id| id.contains(filter)) {
            continue;
        }
        let weights = folder.join(format!("{}.safetensors", recipe.name));
        save(&*recipe.build(&Device::Cpu)?, &weights)?;
        let (input, _, _) = recipe.input(&mut ChaCha8Rng::seed_from_u64(1));
        let input = data::write_file(folder, &format!("{}.input", recipe.name), input)?;
        let side = recipe.side.unwrap_or(TOKENS).to_string();
        let told = |what: &str| {
            let weights = weights.to_string_lossy();
            let told = ["models", recipe.name, what, &weights, &input];
            let mut told: Vec<String> = told.map(str::to_owned).to_vec();
            told.extend([recipe.batch.to_string(), side.clone()]);
            told
        };
        for (what, id) in WHAT.into_iter().zip(ids) {
            let same_work = recipe.side.is_some() || what != STEP;
            let mut workload = Workload::new(id, same_work, told(what), true);
            if what == CHECKPOINT {
                workload.peer = Some(Peer::Own(told(STEP)));
            }
            workloads.push(workload);
        }
    }
    Ok(workloads)
}

/// The worker.
pub(super) fn serve(told: &[String], device: &Device) -> anyhow::Result<()> {
    let [name, what, weights, input, _, _] = told else {
        bail!("models: expected NAME step|embed|checkpoint WEIGHTS INPUT BATCH SIDE, got {told:?}");
    };
    let recipe = Recipe::find(name)?;
    let network = recipe.build(device)?;
    load(&*network, &Weights::open(weights)?, &Names::default())?;
    let (_, shape, dtype) = recipe.input(&mut ChaCha8Rng::seed_from_u64(1));
    let input = data::read_file(input, dtype, &shape, device)?;
    network.set_activation_checkpoint(what == CHECKPOINT)?;
    if what == EMBED {
        return worker::serve(|| {
            let start = Instant::now();
            let embeddings = no_grad(|| network.forward_t(&input, false))?;
            let mean = f64::from(embeddings.sqr()?.mean_all()?.to_scalar::<f32>()?);
            Ok(Sample::since(start, mean, 0))
        });
    }
    let labels: Vec<i64> = (0..recipe.batch as i64).map(|row| row / 2).collect();
    let loss = LossConfig::from_json(r#"{"name": "NTXentLoss", "temperature": 0.07}"#)?;
    let objective = loss.build()?;
    let mut optimizer = AdamW::new(network.parameters(), AdamWConfig::from(1e-5))?;
    worker::serve(|| {
        let start = Instant::now();
        let embeddings: Tensor = network.forward_t(&input, true)?;
        let loss = objective.forward(&Batch::new(&embeddings, &labels)?)?;
        optimizer.step(&loss.backward()?)?;
        device.synchronize()?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        Ok(Sample::since(start, loss, 0))
    })
}
