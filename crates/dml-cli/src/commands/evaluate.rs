//! `dml evaluate`: the metrics of a model on labelled data.

use std::path::PathBuf;

use dml::config::MetricName;
use dml::encoder::Encoder;
use dml_program::println;
use serde_json::json;

use crate::data::{ImageData, open_set};
use crate::device::DeviceArgs;
use crate::evaluation::EvaluationSet;
use crate::exit::Misuse;
use crate::inputs::NamedInputs;
use crate::results::by_name;
use crate::run_folder::{CONFIG, is_run, model_of};
use crate::settings::{EvaluateSettings, Settings, load};

/// What to evaluate, and by what.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Folder of class folders, or table of images or texts. Default: the test data of the run.
    #[arg(value_name = "DATA")]
    pub data: Option<PathBuf>,
    /// Rows of the table, by its column split.
    #[arg(long, value_name = "NAME", requires = "data")]
    pub split: Option<String>,
    /// Metrics, separated by commas; `dml list metrics` has their names. Default: those of the run.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub metrics: Vec<MetricName>,
    /// Images or texts that are embedded at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = dml_program::number::within(1usize, 1 << 20))]
    pub batch: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Evaluates and prints.
///
/// # Errors
/// A model or data that can't be read.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let settings = match is_run(&args.model) {
        true => Some(load(Some(&args.model.join(CONFIG)), &[])?),
        false => None,
    };
    if settings.is_none() && args.data.is_none() {
        return Err(no_data(args));
    }
    let encoder = Encoder::open(model_of(&args.model), &device)?;
    let set = set_of(args, settings.as_ref(), &encoder)?;
    let own = settings
        .map(|settings| settings.evaluate)
        .unwrap_or_else(EvaluateSettings::default);
    let metrics = if args.metrics.is_empty() {
        own.metrics
    } else {
        args.metrics.clone()
    };
    let things = encoder.reads();
    let embedded = set.embed(args.batch, things, |view| {
        encoder.network().forward(&view.to_device(&device)?)
    })?;
    let values = embedded.metrics(&metrics)?;
    if args.json {
        let (queries, gallery) = set.counts();
        println!(
            "{}",
            json!({ "queries": queries, "gallery": gallery, "metrics": by_name(&values) })
        );
        return Ok(());
    }
    println!("{}", set.describe(things));
    for (name, value) in values {
        println!("{name:<28} {value:>10.4}");
    }
    Ok(())
}

/// The data that is named, or the test data of the run.
fn set_of(
    args: &Args,
    settings: Option<&Settings>,
    encoder: &Encoder,
) -> anyhow::Result<EvaluationSet> {
    let split = args.split.as_deref();
    match (encoder, &args.data, settings) {
        (Encoder::Image(model), Some(path), _) => open_set(path, split, &model.preparation),
        (Encoder::Image(model), None, Some(own)) => {
            let test = ImageData::open(own, &model.preparation)?.run.test;
            test.ok_or_else(|| Misuse::error("the run has no test data: name DATA"))
        }
        (Encoder::Text(model), Some(path), _) => {
            let inputs = NamedInputs::table_of_texts(path, split)?;
            inputs.as_texts(model)
        }
        _ => Err(no_data(args)),
    }
}

fn no_data(args: &Args) -> anyhow::Error {
    let shown = args.model.display();
    Misuse::error(format!(
        "{shown}: a model alone has no test data: name DATA"
    ))
}
