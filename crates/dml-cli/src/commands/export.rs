//! `dml export`: a model as ONNX, as safetensors under upstream's names, or as a folder.

use std::path::PathBuf;

use anyhow::Context;
use dml::candle_core::{DType, Device, Tensor};
use dml::encoder::Encoder;
use dml::onnx::{OnnxConfig, save};
use dml_program::println;

use crate::exit::Misuse;
use crate::run_folder::model_of;

/// Which model, and to what.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("target").required(true).multiple(true)))]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// ONNX file with backbone, head and normalisation.
    #[arg(long, value_name = "FILE", group = "target")]
    pub onnx: Option<PathBuf>,
    /// safetensors file under the names of torchvision, timm or transformers; the head is `head.weight` and `head.bias`.
    #[arg(long, value_name = "FILE", group = "target")]
    pub safetensors: Option<PathBuf>,
    /// Folder of a model: of sentence-transformers for texts.
    #[arg(long, value_name = "DIR", group = "target")]
    pub folder: Option<PathBuf>,
}

/// Exports.
///
/// # Errors
/// A model that can't be read or has a layer that ONNX export does not know, a disk that is full.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let model = model_of(&args.model);
    let encoder = Encoder::open(&model, &Device::Cpu)?;
    if let Some(path) = &args.onnx {
        // The sizes of the example are those of the graph but for the number of rows.
        let (example, config) = match &encoder {
            Encoder::Image(own) => {
                let [height, width] = own.preparation.input().size;
                let images = Tensor::zeros((1, 3, height, width), DType::F32, &Device::Cpu)?;
                (images, OnnxConfig::images())
            }
            Encoder::Text(own) => {
                let ids = own.tokenizer.encode_batch(&["text"], &Device::Cpu)?;
                (ids, OnnxConfig::texts())
            }
        };
        save(encoder.network(), &example, &config, path)
            .with_context(|| format!("can't export {}", model.display()))?;
        println!("{}", path.display());
    }
    if let Some(path) = &args.safetensors {
        dml::models::save(encoder.network(), path)?;
        println!("{}", path.display());
    }
    if let Some(folder) = &args.folder {
        if folder.exists() && folder.canonicalize()? == model.canonicalize()? {
            return Err(Misuse::error(format!(
                "--folder {}: is the model itself",
                folder.display()
            )));
        }
        match &encoder {
            Encoder::Image(own) => own.encoder.write(folder)?,
            Encoder::Text(own) => own.encoder.write(folder)?,
        }
        println!("{}", folder.display());
    }
    Ok(())
}
