//! `dml calibrate`: the threshold on the cosine from which on two things are taken for the same.

use std::path::PathBuf;

use dml::Batch;
use dml::distances::CosineSimilarity;
use dml::encoder::Encoder;
use dml::eval::{ThresholdTarget, Verification};
use dml_program::println;
use serde_json::json;

use crate::device::DeviceArgs;
use crate::inputs::{InputArgs, NamedInputs};
use crate::run_folder::{model_of, write};

/// For what, and on what data.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("goal").required(true)))]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The data.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Largest share of pairs of different classes that may be accepted, such as 0.001.
    #[arg(long, value_name = "RATE", group = "goal", value_parser = share)]
    pub far: Option<f64>,
    /// The threshold with the largest F1.
    #[arg(long, group = "goal")]
    pub f1: bool,
    /// The threshold with the largest accuracy.
    #[arg(long, group = "goal")]
    pub accuracy: bool,
    /// Write the result as JSON, too.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("expected a share from 0 to 1".to_owned()),
    }
}

/// Calibrates and prints.
///
/// # Errors
/// Data without classes or without pairs of both kinds, a model that can't be read.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let encoder = Encoder::open(model_of(&args.model), &device)?;
    let inputs = NamedInputs::open(&args.inputs, &encoder)?;
    let labels = inputs.labels("calibrate")?;
    let embeddings = inputs.embed(&encoder, args.inputs.batch)?;
    let batch = Batch::new(&embeddings, &labels)?;
    let pairs = Verification::of_batch_rounded(&batch, &CosineSimilarity::default())?;
    let target = match (args.far, args.f1) {
        (Some(rate), _) => ThresholdTarget::FalseAcceptRate(rate),
        (None, true) => ThresholdTarget::F1,
        (None, false) => ThresholdTarget::Accuracy,
    };
    let threshold = target.threshold(&pairs)?;
    let point = pairs.at_threshold(threshold);
    let accuracy = pairs.accuracy_at(threshold);
    // No pair is accepted at an infinite threshold, which JSON has no number for.
    let finite = threshold.is_finite().then_some(threshold);
    let result = json!({
        "threshold": finite,
        "distance": "CosineSimilarity",
        "false_accept_rate": point.false_accept_rate,
        "true_accept_rate": point.true_accept_rate,
        "accuracy": accuracy,
        "rows": inputs.len(),
    });
    if let Some(path) = &args.out {
        write(path, &serde_json::to_vec_pretty(&result)?)?;
    }
    if args.json {
        println!("{result}");
        return Ok(());
    }
    match finite {
        Some(threshold) => println!("the same from a cosine of {threshold:.6} on"),
        None => println!("no threshold reaches that rate: no pair may be accepted"),
    }
    println!("  false accept rate  {:.6}", point.false_accept_rate);
    println!("  true accept rate   {:.6}", point.true_accept_rate);
    println!("  accuracy           {accuracy:.6}");
    Ok(())
}
