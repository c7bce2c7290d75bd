//! A trained model as the model of a service.

use std::sync::Arc;

use dml::candle_core::{DType, Device, Tensor};
use dml::encoder::Encoder;
use dml::nn::Layer;
use dml::no_grad;
use dml_serve::{ImageNetwork, ServerBuilder, TextNetwork};

/// Texts that are embedded at a time.
const BATCH: usize = 16;

/// The length of an embedding, from an input of zeros or a word. The first pass also reserves what later passes need.
///
/// # Errors
/// A model that fails.
pub(super) fn dim(encoder: &Encoder, device: &Device) -> anyhow::Result<usize> {
    let output = match encoder {
        Encoder::Image(model) => {
            let input = model.encoder.input();
            let [height, width] = input.size;
            let blank = Tensor::zeros((1, 3, height, width), DType::F32, device)?;
            no_grad(|| model.encoder.forward(&blank))?
        }
        Encoder::Text(_) => encoder.embed_text("a")?,
    };
    Ok(output.dims2()?.1)
}

/// The service with the model for what it reads.
pub(super) fn install(builder: ServerBuilder, encoder: Encoder, device: Device) -> ServerBuilder {
    match encoder {
        Encoder::Image(model) => {
            let model = Arc::new(model);
            let decoder = Arc::clone(&model);
            builder.images(ImageNetwork::new(
                move |bytes: &[u8]| Ok(decoder.preparation.decode("upload", bytes)?),
                move |batch: &Tensor| {
                    let batch = batch.to_device(&device)?;
                    Ok(no_grad(|| model.encoder.forward(&batch))?)
                },
            ))
        }
        Encoder::Text(model) => builder.texts(TextNetwork::new(move |texts: &[&str]| {
            Ok(model.embed(texts, BATCH, |_| ())?)
        })),
    }
}
