//! The network of `cargo xtask mnist`, with the weights of a file.

use std::path::Path;

use anyhow::Context;
use dml::candle_core::{DType, Device};
use dml::nn::{
    Conv2d, Conv2dConfig, Flatten, Layer, Linear, LinearConfig, MaxPool2d, MaxPool2dConfig, Relu,
    Sequential,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Images `[n, 1, 28, 28]` to embeddings `[n, 128]`. Dropout, which has no weights and rests outside of training, is left
/// out.
pub(super) fn build() -> dml::Result<Sequential> {
    // Every weight is replaced by that of the file.
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let conv = |inputs, outputs| Conv2dConfig::new(inputs, outputs, [3, 3]);
    let linear = LinearConfig::new(64 * 12 * 12, 128);
    Ok(Sequential::default()
        .with("conv1", Conv2d::new(conv(1, 32), rng, dtype, device)?)
        .with("relu1", Relu)
        .with("conv2", Conv2d::new(conv(32, 64), rng, dtype, device)?)
        .with("relu2", Relu)
        .with("pool", MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?)
        .with("flatten", Flatten)
        .with("fc1", Linear::new(linear, rng, dtype, device)?))
}

/// The network with the weights of a file.
pub(super) fn load(model: &Path) -> anyhow::Result<Sequential> {
    let network = build()?;
    let parameters = network.parameters();
    parameters
        .load(model)
        .with_context(|| format!("{}: can't take its weights", model.display()))?;
    Ok(network)
}
