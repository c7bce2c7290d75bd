//! Miner, loss, distance, reducer and sampler: the example's, or those of the command line.

use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::{DType, Device};
use dml::config::{
    BatchSizes, DistanceConfig, LossConfig, LossKind, MinerConfig, ReducerConfig, SamplerConfig,
    from_text,
};
use dml::losses::SeededVars;
use dml::{Labels, Objective, Sampler};
use serde::Serialize;
use serde_json::Value;

use crate::network::EMBEDDING_SIZE;

// These comments are also the help on the terminal, where backticks are noise.
#[allow(clippy::doc_markdown)]
/// The components that a command line can name; each a name, or a configuration as JSON.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ComponentArgs {
    /// Loss [default: TripletMarginLoss with margin 0.2].
    #[arg(long, value_name = "NAME|JSON")]
    loss: Option<String>,
    /// Miner, or `none` [default: for TripletMarginLoss, TripletMarginMiner with margin 0.2, semihard].
    #[arg(long, value_name = "NAME|JSON")]
    miner: Option<String>,
    /// Distance of the loss and the miner, unless they name their own [default: CosineSimilarity].
    #[arg(long, value_name = "NAME|JSON")]
    distance: Option<String>,
    /// Reducer of the loss, unless it names its own [default: ThresholdReducer with low 0].
    #[arg(long, value_name = "NAME|JSON")]
    reducer: Option<String>,
    /// Sampler [default: ShuffleSampler].
    #[arg(long, value_name = "NAME|JSON")]
    sampler: Option<String>,
}

/// The components of a run, as they stand in `metrics.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Components {
    /// The loss with its distance and reducer.
    pub loss: LossConfig,
    /// The miner; `None` for a loss that weighs all pairs or knows no pairs.
    pub miner: Option<MinerConfig>,
    /// The sampler.
    pub sampler: SamplerConfig,
}

impl ComponentArgs {
    /// The components, with the example's where nothing is named. A loss or distance of the user's choice brings its own
    /// defaults with it: the example's distance and reducer belong to the example's loss.
    ///
    /// # Errors
    /// If a name or a configuration is wrong; the error begins with the flag.
    pub fn resolve(&self, batch_size: usize, seed: u64) -> anyhow::Result<Components> {
        let distance: Option<DistanceConfig> = parse("distance", self.distance.as_deref())?;
        let reducer: Option<ReducerConfig> = parse("reducer", self.reducer.as_deref())?;
        let cosine = || DistanceConfig::from_json("CosineSimilarity");
        let mut loss: LossConfig = match &self.loss {
            Some(text) => loss_for_digits(text).context("--loss")?,
            None => {
                let mut loss =
                    LossConfig::from_json(r#"{"name": "TripletMarginLoss", "margin": 0.2}"#)?;
                loss.distance = Some(cosine()?);
                loss.reducer = Some(ReducerConfig::from_json(
                    r#"{"name": "ThresholdReducer", "low": 0}"#,
                )?);
                loss
            }
        };
        let mut miner: Option<MinerConfig> = match self.miner.as_deref() {
            Some("none") => None,
            Some(text) => parse("miner", Some(text))?,
            // Other losses weigh all pairs by themselves, or know no pairs.
            None if loss.loss.name() != "TripletMarginLoss" => None,
            None => {
                let text = r#"{"name": "TripletMarginMiner", "margin": 0.2, "type_of_triplets": "semihard"}"#;
                let mut miner = MinerConfig::from_json(text)?;
                miner.distance = Some(cosine()?);
                Some(miner)
            }
        };
        if distance.is_some() {
            if self.loss.is_none() || loss.distance.is_none() {
                loss.distance.clone_from(&distance);
            }
            if let Some(miner) = &mut miner
                && (self.miner.is_none() || miner.distance.is_none())
            {
                miner.distance.clone_from(&distance);
            }
        }
        if reducer.is_some() && (self.loss.is_none() || loss.reducer.is_none()) {
            loss.reducer = reducer;
        }
        let sampler = self.sampler(&loss, batch_size, seed)?;
        Ok(Components {
            loss,
            miner,
            sampler,
        })
    }

    /// The sampler, with the run's batch size and seed unless it names its own.
    fn sampler(
        &self,
        loss: &LossConfig,
        batch_size: usize,
        seed: u64,
    ) -> anyhow::Result<SamplerConfig> {
        let default = match loss.loss.name() {
            // It compares classes of equal size only.
            "SmoothAPLoss" => r#"{"name": "MPerClassSampler", "m": 32}"#,
            _ => "ShuffleSampler",
        };
        let text = self.sampler.as_deref().unwrap_or(default);
        let mut config: Value = from_text(text).context("--sampler")?;
        if let Value::Object(map) = &mut config {
            map.entry("batch_size").or_insert(batch_size.into());
            map.entry("seed").or_insert(seed.into());
        }
        dml::config::from_value(config).context("--sampler")
    }
}

impl Components {
    /// Miner, loss and reducer as one; the loss's parameters are on the device.
    ///
    /// # Errors
    /// If a configuration is out of range.
    pub fn objective(&self, device: &Device) -> anyhow::Result<Objective> {
        let vars = SeededVars::new(0).builder(DType::F32, device);
        let objective = self.loss.build_with(&vars).context("--loss")?;
        Ok(match &self.miner {
            Some(miner) => objective.with_miner(miner.build().context("--miner")?),
            None => objective,
        })
    }

    /// The sampler of a data set with these labels.
    ///
    /// # Errors
    /// If the labels don't allow it.
    pub fn sampler(&self, labels: &Labels) -> anyhow::Result<Arc<dyn Sampler>> {
        self.sampler.build(labels).context("--sampler")
    }
}

/// A loss from a name or JSON; what it can't do without and nothing says is that of ten digits and of the network.
fn loss_for_digits(text: &str) -> anyhow::Result<LossConfig> {
    let mut config: Value = from_text(text)?;
    let sizes = BatchSizes {
        rows: 256,
        num_classes: 10,
        embedding_size: EMBEDDING_SIZE,
    };
    let required = LossKind::required(config["name"].as_str().unwrap_or_default(), sizes);
    if let Value::Object(config) = &mut config {
        for (key, value) in required {
            config.entry(key).or_insert(value);
        }
    }
    Ok(dml::config::from_value(config)?)
}

fn parse<T: serde::de::DeserializeOwned>(
    flag: &str,
    text: Option<&str>,
) -> anyhow::Result<Option<T>> {
    text.map(|text| from_text(text).with_context(|| format!("--{flag}")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json(args: &ComponentArgs) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(args.resolve(256, 7)?)?)
    }

    #[test]
    fn nothing_named_is_the_example() -> anyhow::Result<()> {
        let components = json(&ComponentArgs::default())?;
        assert_eq!(components["loss"]["margin"], 0.2);
        assert_eq!(components["loss"]["distance"]["name"], "CosineSimilarity");
        assert_eq!(components["loss"]["reducer"]["low"], 0.0);
        assert_eq!(components["miner"]["type_of_triplets"], "semihard");
        assert_eq!(
            (
                &components["sampler"]["batch_size"],
                &components["sampler"]["seed"]
            ),
            (&json!(256), &json!(7))
        );
        Ok(())
    }

    #[test]
    fn a_distance_replaces_the_examples_but_not_one_that_a_component_names() -> anyhow::Result<()> {
        let args = ComponentArgs {
            distance: Some("LpDistance".to_owned()),
            miner: Some(
                r#"{"name": "TripletMarginMiner", "distance": {"name": "CosineSimilarity"}}"#
                    .to_owned(),
            ),
            ..ComponentArgs::default()
        };
        let components = json(&args)?;
        assert_eq!(components["loss"]["distance"]["name"], "LpDistance");
        assert_eq!(components["miner"]["distance"]["name"], "CosineSimilarity");
        Ok(())
    }

    #[test]
    fn a_named_loss_brings_its_own_defaults_and_a_miner_can_be_left_out() -> anyhow::Result<()> {
        let args = ComponentArgs {
            loss: Some("TripletMarginLoss".to_owned()),
            miner: Some("none".to_owned()),
            ..ComponentArgs::default()
        };
        let components = json(&args)?;
        assert_eq!(components["loss"]["margin"], 0.05);
        assert!(components["loss"].get("distance").is_none() && components["miner"].is_null());
        Ok(())
    }

    #[test]
    fn a_bare_loss_has_what_it_needs_for_digits() -> anyhow::Result<()> {
        let args = |loss: &str| ComponentArgs {
            loss: Some(loss.to_owned()),
            ..ComponentArgs::default()
        };
        for name in LossKind::NAMES {
            let components = args(name).resolve(256, 0)?;
            assert_eq!(
                components.miner.is_some(),
                *name == "TripletMarginLoss",
                "{name}"
            );
            components.objective(&Device::Cpu)?;
        }
        let components = json(&args(r#"{"name": "ArcFaceLoss", "num_classes": 12}"#))?;
        assert_eq!(components["loss"]["num_classes"], 12);
        assert_eq!(components["loss"]["embedding_size"], 128);
        Ok(())
    }

    #[test]
    fn mistakes_name_the_flag() {
        let args = ComponentArgs {
            miner: Some("TripletMarginMinr".to_owned()),
            ..ComponentArgs::default()
        };
        assert!(format!("{:#}", args.resolve(1, 0).unwrap_err()).starts_with("--miner: "));
    }
}
