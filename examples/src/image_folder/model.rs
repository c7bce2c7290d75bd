//! The network, its optimisers, and the images that it reads.
//!
//! With a backbone the embedding is a linear layer on its features. Backbone and head learn by `AdamW`, each at a learning
//! rate of its own, the backbone's by depth if asked for. Batch normalisation keeps the running statistics of pretrained weights.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::{DType, Device, Tensor};
use dml::candle_nn::func_t;
use dml::models::{Backbone, Names, Weights, by_name};
use dml::nn::{Adam, AdamW, Layer, Linear, LinearConfig, Parameters};
use dml::train::{MetricLossOnly, NamedModule, ParameterRules};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Args;
use super::data::Preparation;
use crate::{network, triplets};

/// Name of the head in the file of the model.
const HEAD: &str = "head";
/// Images that a backbone embeds at once outside of training: Candle keeps all activations of a batch.
const EMBEDDED: usize = 16;

/// A network to train.
#[derive(Debug)]
pub(super) struct Model {
    /// The modules with their optimisers, and the loss.
    pub(super) method: MetricLossOnly,
    /// The same network as one layer, with the names of the file of the model.
    pub(super) network: Arc<dyn Layer>,
    /// How files become its input.
    pub(super) preparation: Preparation,
    /// Images to embed at once outside of training.
    pub(super) embedded: usize,
}

impl Model {
    /// Builds the network that the arguments ask for, and prints where the weights of a backbone come from.
    pub(super) fn build(args: &Args, out: &mut dyn Write) -> anyhow::Result<Self> {
        match &args.backbone {
            None => small(args),
            Some(name) => pretrained(name, args, out),
        }
    }
}

fn small(args: &Args) -> anyhow::Result<Model> {
    let size = args.small_size();
    let network: Arc<dyn Layer> = Arc::new(network::build(3, size, args.embedding, args.seed)?);
    let trunk = module("trunk", &network);
    let trunk = trunk.with_optimizer(|parameters| Adam::new(parameters, args.lr.into()))?;
    Ok(Model {
        method: MetricLossOnly::new(trunk, triplets::objective()?),
        network,
        preparation: Preparation::stretched(size, args.augment)?,
        embedded: args.batch,
    })
}

fn pretrained(name: &str, args: &Args, out: &mut dyn Write) -> anyhow::Result<Model> {
    let rng = &mut ChaCha8Rng::seed_from_u64(args.seed);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let model = by_name(name).context("--backbone")?;
    let backbone = model.build(rng, dtype, device)?;
    let input = backbone.image_input();
    let input = input.with_context(|| format!("--backbone: {name} reads no images"))?;
    let preparation = Preparation::of_input(&input, args.size, args.augment)?;
    load(&*backbone, name, args, out)?;
    let head: Option<Arc<dyn Layer>> = match args.embedding {
        0 => None,
        length => {
            let config = LinearConfig::new(backbone.embedding_dim(), length);
            Some(Arc::new(Linear::new(config, rng, dtype, device)?))
        }
    };
    let backbone: Arc<dyn Layer> = Arc::new(backbone);
    let trunk = module("trunk", &backbone);
    let trunk = match (args.freeze, args.unfreeze_at) {
        (true, None) => trunk.frozen(),
        (is_frozen, epoch) => {
            let rules = ParameterRules::new(args.rules_of_backbone()).context("--layer-decay")?;
            let trunk = with_adam_w(trunk, args.rate_of_backbone(), &rules)?;
            match epoch {
                Some(epoch) if is_frozen => trunk.frozen_until(epoch),
                _ => trunk,
            }
        }
    };
    let mut method = MetricLossOnly::new(trunk, triplets::objective()?);
    if let Some(head) = &head {
        let head = module("embedder", head);
        let rules = ParameterRules::default();
        method = method.with_embedder(with_adam_w(head, args.lr, &rules)?);
    }
    Ok(Model {
        method,
        network: Arc::new(FineTuned { backbone, head }),
        preparation,
        embedded: args.batch.min(EMBEDDED),
    })
}

/// Loads the weights of a backbone and freezes the statistics of its batch normalisation. Those of random weights are no
/// statistics of images yet, so that they are learnt.
fn load(
    backbone: &dyn Backbone,
    name: &str,
    args: &Args,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Some(path) = &args.weights else {
        writeln!(out, "{name} starts from random weights: no --weights FILE")?;
        return Ok(());
    };
    // A model that this program has written has a head beside the backbone.
    let names = Names::default().leave_out(HEAD);
    let report = Weights::open(path)
        .and_then(|weights| backbone.load(&weights, &names))
        .context("--weights")?;
    writeln!(out, "{name} from {}: {report}", path.display())?;
    backbone.freeze_statistics();
    Ok(())
}

fn with_adam_w(module: NamedModule, lr: f64, rules: &ParameterRules) -> dml::Result<NamedModule> {
    module.with_parameter_rules(rules, |parameters, _| AdamW::new(parameters, lr.into()))
}

/// A layer as a module of the trainer, which shares its variables.
fn module(name: &str, layer: &Arc<dyn Layer>) -> NamedModule {
    let forward = layer.clone();
    let forward = func_t(move |input, train| Ok(forward.forward_t(input, train)?));
    NamedModule::new(name, forward, layer.parameters())
        .with_buffers(layer.buffers())
        .with_seeds(layer.seeds())
        .with_statistics(&layer.statistics())
}

/// A backbone under upstream's names and a linear layer `head` on its features.
#[derive(Debug)]
struct FineTuned {
    backbone: Arc<dyn Layer>,
    head: Option<Arc<dyn Layer>>,
}

impl Layer for FineTuned {
    fn forward_t(&self, input: &Tensor, train: bool) -> dml::Result<Tensor> {
        let features = self.backbone.forward_t(input, train)?;
        match &self.head {
            None => Ok(features),
            Some(head) => head.forward_t(&features, train),
        }
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.backbone.parameters();
        if let Some(head) = &self.head {
            parameters.extend(HEAD, head.parameters());
        }
        parameters
    }

    fn buffers(&self) -> Parameters {
        self.backbone.buffers()
    }

    fn statistics(&self) -> Vec<dml::core::RunningStatistics> {
        self.backbone.statistics()
    }

    fn seeds(&self) -> Vec<dml::core::SeedSequence> {
        self.backbone.seeds()
    }
}
