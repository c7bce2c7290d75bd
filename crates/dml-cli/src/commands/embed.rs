//! `dml embed`: embeddings as a file.
//!
//! | ending | content |
//! |---|---|
//! | `.csv` | a line for each input: `id`, `class` if the data has classes, and the numbers `e0`, `e1`, … |
//! | `.safetensors` | the tensor `embeddings` `[rows, dim]`, `labels` `[rows]` if there are classes; in the metadata the lists `ids` and `classes` as JSON |

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::encoder::Encoder;
use dml_program::println;

use crate::device::DeviceArgs;
use crate::exit::Misuse;
use crate::inputs::{InputArgs, NamedInputs};
use crate::run_folder::{model_of, write};

/// What to embed, and where the embeddings go.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The data.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// The embeddings; the ending decides the format: .csv, .safetensors.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Formats by the ending of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Safetensors,
}

impl Format {
    fn of(path: &std::path::Path) -> anyhow::Result<Self> {
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or("");
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "safetensors" => Ok(Self::Safetensors),
            _ => Err(Misuse::error(format!(
                "--out {}: expected an ending .csv or .safetensors",
                path.display()
            ))),
        }
    }
}

/// Embeds and writes.
///
/// # Errors
/// A model or data that can't be read, a disk that is full.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let format = Format::of(&args.out)?;
    let device = args.device.open()?;
    let encoder = Encoder::open(model_of(&args.model), &device)?;
    let inputs = NamedInputs::open(&args.inputs, &encoder)?;
    inputs.tell_skipped();
    let embeddings = inputs.embed(&encoder, args.inputs.batch)?;
    let bytes = match format {
        Format::Csv => as_csv(&inputs, &embeddings)?,
        Format::Safetensors => as_safetensors(&inputs, &embeddings)?,
    };
    write(&args.out, &bytes)?;
    let (rows, dim) = embeddings.dims2()?;
    println!("{}: {rows} embeddings of length {dim}", args.out.display());
    Ok(())
}

fn as_csv(inputs: &NamedInputs, embeddings: &Tensor) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let has_classes = inputs.classes.is_some();
    let mut header = vec!["id".to_owned()];
    header.extend(has_classes.then(|| "class".to_owned()));
    header.extend((0..embeddings.dims()[1]).map(|place| format!("e{place}")));
    table.write_record(&header)?;
    for (row, values) in embeddings.to_vec2::<f32>()?.iter().enumerate() {
        let mut line = vec![inputs.ids[row].clone()];
        line.extend(has_classes.then(|| inputs.class(row).unwrap_or("").to_owned()));
        line.extend(values.iter().map(f32::to_string));
        table.write_record(&line)?;
    }
    Ok(table.into_inner()?)
}

fn as_safetensors(inputs: &NamedInputs, embeddings: &Tensor) -> anyhow::Result<Vec<u8>> {
    let cpu = &dml::candle_core::Device::Cpu;
    let mut tensors = vec![("embeddings", embeddings.to_device(cpu)?.contiguous()?)];
    let ids = serde_json::to_string(&inputs.ids)?;
    let mut metadata = HashMap::from([("ids".to_owned(), ids)]);
    if let Some((labels, names)) = &inputs.classes {
        tensors.push(("labels", Tensor::new(labels.as_slice(), cpu)?));
        metadata.insert("classes".to_owned(), serde_json::to_string(names)?);
    }
    safetensors::serialize(tensors, Some(metadata)).context("can't serialize the embeddings")
}
