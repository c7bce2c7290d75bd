//! `dml list`: components by name, with their arguments and defaults.

use clap::ValueEnum;
use dml::config::{
    DistanceConfig, KnnConfig, LossKind, MinerKind, OptimizerConfig, ReducerConfig,
    RegularizerKind, SamplerConfig, ScheduleKind, arguments, profile,
};
use dml::models::Model;
use dml_program::println;

use crate::exit::Misuse;
use crate::settings::nearest;

/// What to list.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A kind of components, or the name of one. Default: the kinds.
    #[arg(value_name = "KIND or NAME")]
    pub what: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Losses,
    Miners,
    Distances,
    Reducers,
    Regularizers,
    Samplers,
    Optimizers,
    Schedules,
    Indexes,
    Augmentations,
    Metrics,
    Backbones,
}

/// Names of augmentations, whose arguments the guide has.
const AUGMENTATIONS: [&str; 8] = [
    "RandomResizedCrop",
    "RandomCrop",
    "HorizontalFlip",
    "ColorJitter",
    "GaussianBlur",
    "RandomErasing",
    "Affine",
    "Normalize",
];

/// Metrics by name; capital letters stand for numbers.
const METRICS: [&str; 32] = [
    "precision_at_K",
    "recall_at_K",
    "hit_rate_at_K",
    "ndcg_at_K",
    "mean_average_precision_at_K",
    "mean_average_precision_at_K_over_r",
    "mean_average_precision",
    "mean_average_precision_at_r",
    "r_precision",
    "mean_reciprocal_rank",
    "AMI",
    "NMI",
    "ARI",
    "homogeneity",
    "completeness",
    "v_measure",
    "bcubed_precision",
    "bcubed_recall",
    "bcubed_f1",
    "roc_auc",
    "eer",
    "tar_at_far_RATE",
    "fnmr_at_fmr_RATE",
    "best_accuracy",
    "best_accuracy_threshold",
    "best_f1",
    "best_f1_threshold",
    "rank_me",
    "mean_positive_distance",
    "mean_negative_distance",
    "alignment",
    "uniformity",
];

impl Kind {
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::Losses => LossKind::NAMES.to_vec(),
            Self::Miners => MinerKind::NAMES.to_vec(),
            Self::Distances => DistanceConfig::NAMES.to_vec(),
            Self::Reducers => ReducerConfig::NAMES.to_vec(),
            Self::Regularizers => RegularizerKind::NAMES.to_vec(),
            Self::Samplers => SamplerConfig::NAMES.to_vec(),
            Self::Optimizers => OptimizerConfig::NAMES.to_vec(),
            Self::Schedules => ScheduleKind::NAMES.to_vec(),
            Self::Indexes => KnnConfig::NAMES.to_vec(),
            Self::Augmentations => AUGMENTATIONS.to_vec(),
            Self::Metrics => METRICS.to_vec(),
            Self::Backbones => Model::ALL.iter().map(|model| model.name()).collect(),
        }
    }

    fn all() -> impl Iterator<Item = (String, Self)> {
        let named = |kind: &Self| Some((kind.to_possible_value()?.get_name().to_owned(), *kind));
        Self::value_variants().iter().filter_map(named)
    }
}

/// Lists.
///
/// # Errors
/// [`Misuse`] for a name that there is not.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let Some(what) = &args.what else {
        let kinds = Kind::all().map(|(name, kind)| (name, kind.names().len()));
        if args.json {
            println!("{}", serde_json::Value::from_iter(kinds));
            return Ok(());
        }
        println!(
            "kinds of components; `dml list KIND` lists one, `dml list NAME` has the arguments of a component"
        );
        kinds.for_each(|(name, count)| println!("{name:<14} {count}"));
        return Ok(());
    };
    if let Some((_, kind)) = Kind::all().find(|(name, _)| name == what) {
        return list(kind, args.json);
    }
    let all: Vec<&str> = Kind::all().flat_map(|(_, kind)| kind.names()).collect();
    match all.iter().find(|name| *name == what) {
        Some(name) => component(name, args.json),
        None => {
            let kinds: Vec<String> = Kind::all().map(|(name, _)| name).collect();
            let known = all.into_iter().chain(kinds.iter().map(String::as_str));
            let meant = nearest(what, known).map(|own| format!("; did you mean {own}?"));
            let meant = meant.unwrap_or_default();
            let kinds = kinds.join(", ");
            Err(Misuse::error(format!(
                "{what}: expected one of {kinds}, or the name of a component{meant}"
            )))
        }
    }
}

fn list(kind: Kind, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(&kind.names())?);
        return Ok(());
    }
    for name in kind.names() {
        let is_missing = profile(name).is_some_and(|profile| !profile.is_available);
        let note = if is_missing {
            "  (not in this build)"
        } else {
            ""
        };
        match short(name) {
            Some(arguments) if !arguments.is_empty() => println!("{name:<36} {arguments}{note}"),
            _ => println!("{name}{note}"),
        }
    }
    Ok(())
}

/// `margin = 0.05, swap = false, distance`.
fn short(name: &str) -> Option<String> {
    let shown = arguments(name)?.into_iter().map(|own| match own.default {
        None => format!("{} (required)", own.name),
        Some(serde_json::Value::Null) => own.name,
        Some(value) => format!("{} = {value}", own.name),
    });
    Some(shown.collect::<Vec<_>>().join(", "))
}

fn component(name: &str, json: bool) -> anyhow::Result<()> {
    let arguments = arguments(name).unwrap_or_default();
    if json {
        let fields = arguments.iter().map(|own| {
            let value = serde_json::json!({
                "required": own.default.is_none(),
                "default": own.default,
            });
            (own.name.clone(), value)
        });
        println!("{}", serde_json::Value::from_iter(fields));
        return Ok(());
    }
    println!("{name}");
    if let Ok(model) = dml::models::by_name(name) {
        return backbone(model);
    }
    for own in arguments {
        match own.default {
            None => println!("  {:<28} required", own.name),
            Some(serde_json::Value::Null) => println!("  {:<28} optional", own.name),
            Some(value) => println!("  {:<28} {value}", own.name),
        }
    }
    Ok(())
}

/// Length of the features, parameters, and images of a backbone.
fn backbone(model: Model) -> anyhow::Result<()> {
    use dml::core::rand::SeedableRng;
    use dml::models::Backbone;
    use dml::nn::Layer;

    let rng = &mut dml::core::rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let device = dml::candle_core::Device::Cpu;
    let network = model.build(rng, dml::candle_core::DType::F32, &device)?;
    println!("  {:<28} {}", "features", network.embedding_dim());
    println!(
        "  {:<28} {}",
        "parameters",
        network.parameters().element_count()
    );
    println!("  {:<28} {}", "blocks", network.blocks().len());
    if let Some(input) = network.image_input() {
        let [height, width] = input.size;
        println!(
            "  {:<28} {height} x {width}, resized to {}",
            "images", input.resize
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_and_augmentation_is_one_of_the_library() {
        for name in METRICS {
            let name = name.replace("_K", "_5").replace("_RATE", "_0.01");
            assert!(name.parse::<dml::config::MetricName>().is_ok(), "{name}");
        }
        for name in AUGMENTATIONS {
            let json = serde_json::json!({ "name": name });
            let read = serde_json::from_value::<dml::data::augment::AugmentationConfig>(json);
            let error = read
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(!error.contains("unknown variant"), "{error}");
        }
    }

    #[test]
    fn short_forms_have_defaults() {
        let triplet = short("TripletMarginLoss").unwrap();
        assert!(
            triplet.contains("margin = 0.05") && triplet.contains("distance"),
            "{triplet}"
        );
        assert!(
            short("ArcFaceLoss")
                .unwrap()
                .starts_with("embedding_size (required)")
        );
        assert_eq!(short("resnet18"), None);
    }
}
