//! The network: as deep as the size of the pictures asks for.

use dml::candle_core::{DType, Device, Tensor};
use dml::nn::{
    Conv2d, Conv2dConfig, Flatten, Layer, Linear, LinearConfig, MaxPool2d, MaxPool2dConfig, Relu,
    Sequential,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The side at which planes are no more halved.
const SMALLEST: usize = 8;

/// Numbers from `[0, 1]` to `[−1, 1]`: a layer of one's own.
#[derive(Debug)]
struct Centre;

impl Layer for Centre {
    fn forward_t(&self, input: &Tensor, _: bool) -> dml::Result<Tensor> {
        Ok(input.affine(2.0, -1.0)?)
    }
}

/// Pictures `[n, channels, size, size]` of numbers from 0 to 1 to embeddings `[n, embedding]`, with weights drawn by `seed`.
pub(crate) fn build(
    channels: usize,
    size: usize,
    embedding: usize,
    seed: u64,
) -> dml::Result<Sequential> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let mut network = Sequential::default().with("centre", Centre);
    let (mut side, mut channels, mut stage) = (size, channels, 0);
    while stage == 0 || side > SMALLEST {
        let wider = 128.min(32 << stage);
        let config = Conv2dConfig {
            padding: [1, 1],
            ..Conv2dConfig::new(channels, wider, [3, 3])
        };
        stage += 1;
        network = network
            .with(
                format!("conv{stage}"),
                Conv2d::new(config, rng, dtype, device)?,
            )
            .with(format!("relu{stage}"), Relu)
            .with(
                format!("pool{stage}"),
                MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?,
            );
        (side, channels) = (side / 2, wider);
    }
    let config = LinearConfig::new(channels * side * side, embedding);
    Ok(network
        .with("flatten", Flatten)
        .with("fc1", Linear::new(config, rng, dtype, device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gives_embeddings() -> dml::Result<()> {
        for (size, stages) in [(8, 1), (9, 1), (16, 1), (17, 1), (18, 2), (64, 3)] {
            let network = build(3, size, 5, 0)?;
            let pictures = Tensor::zeros((2, 3, size, size), DType::F32, &Device::Cpu)?;
            assert_eq!(network.forward(&pictures)?.dims(), [2, 5]);
            assert_eq!(network.parameters().len(), 2 * (stages + 1), "{size}");
        }
        Ok(())
    }
}
