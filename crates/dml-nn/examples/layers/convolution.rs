//! Convolutions of ResNet-18 and MobileNetV2 for 64 images of 128 × 128 pixels, and poolings.
//!
//! A name begins with the network and says how often the network has the layer.

use candle_core::{DType, Device};
use dml_core::Result;
use dml_nn::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, Conv2d, Conv2dConfig,
    Gem, GemConfig, MaxPool2d, MaxPool2dConfig, Relu, SqueezeExcitation, SqueezeExcitationConfig,
};
use rand_chacha::ChaCha8Rng;

use crate::Row;

const BATCH: usize = 64;

/// Network, count, inputs, outputs, kernel, stride, groups, side of the image.
type Shape = (
    &'static str,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
);

const SHAPES: [Shape; 45] = [
    ("resnet18", 1, 3, 64, 7, 2, 1, 128),
    ("resnet18", 4, 64, 64, 3, 1, 1, 32),
    ("resnet18", 1, 64, 128, 3, 2, 1, 32),
    ("resnet18", 1, 64, 128, 1, 2, 1, 32),
    ("resnet18", 3, 128, 128, 3, 1, 1, 16),
    ("resnet18", 1, 128, 256, 3, 2, 1, 16),
    ("resnet18", 1, 128, 256, 1, 2, 1, 16),
    ("resnet18", 3, 256, 256, 3, 1, 1, 8),
    ("resnet18", 1, 256, 512, 3, 2, 1, 8),
    ("resnet18", 1, 256, 512, 1, 2, 1, 8),
    ("resnet18", 3, 512, 512, 3, 1, 1, 4),
    ("mobilenet2", 1, 3, 32, 3, 2, 1, 128),
    ("mobilenet2", 1, 32, 32, 3, 1, 32, 64),
    ("mobilenet2", 1, 32, 16, 1, 1, 1, 64),
    ("mobilenet2", 1, 16, 96, 1, 1, 1, 64),
    ("mobilenet2", 1, 96, 96, 3, 2, 96, 64),
    ("mobilenet2", 1, 96, 24, 1, 1, 1, 32),
    ("mobilenet2", 2, 24, 144, 1, 1, 1, 32),
    ("mobilenet2", 1, 144, 144, 3, 1, 144, 32),
    ("mobilenet2", 1, 144, 24, 1, 1, 1, 32),
    ("mobilenet2", 1, 144, 144, 3, 2, 144, 32),
    ("mobilenet2", 1, 144, 32, 1, 1, 1, 16),
    ("mobilenet2", 3, 32, 192, 1, 1, 1, 16),
    ("mobilenet2", 2, 192, 192, 3, 1, 192, 16),
    ("mobilenet2", 2, 192, 32, 1, 1, 1, 16),
    ("mobilenet2", 1, 192, 192, 3, 2, 192, 16),
    ("mobilenet2", 1, 192, 64, 1, 1, 1, 8),
    ("mobilenet2", 4, 64, 384, 1, 1, 1, 8),
    ("mobilenet2", 4, 384, 384, 3, 1, 384, 8),
    ("mobilenet2", 3, 384, 64, 1, 1, 1, 8),
    ("mobilenet2", 1, 384, 96, 1, 1, 1, 8),
    ("mobilenet2", 3, 96, 576, 1, 1, 1, 8),
    ("mobilenet2", 2, 576, 576, 3, 1, 576, 8),
    ("mobilenet2", 2, 576, 96, 1, 1, 1, 8),
    ("mobilenet2", 1, 576, 576, 3, 2, 576, 8),
    ("mobilenet2", 1, 576, 160, 1, 1, 1, 4),
    ("mobilenet2", 3, 160, 960, 1, 1, 1, 4),
    ("mobilenet2", 3, 960, 960, 3, 1, 960, 4),
    ("mobilenet2", 2, 960, 160, 1, 1, 1, 4),
    ("mobilenet2", 1, 960, 320, 1, 1, 1, 4),
    ("mobilenet2", 1, 320, 1280, 1, 1, 1, 4),
    ("convnext", 1, 96, 96, 7, 1, 96, 32),
    ("efficientnet", 1, 240, 240, 5, 1, 240, 16),
    ("resnext", 1, 256, 256, 3, 1, 32, 16),
    ("vgg", 1, 64, 128, 3, 1, 1, 56),
];

pub(crate) fn rows(rng: &mut ChaCha8Rng, dtype: DType, device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (network, count, inputs, outputs, kernel, stride, groups, side) in SHAPES {
        let config = Conv2dConfig {
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            groups,
            bias: false,
            ..Conv2dConfig::new(inputs, outputs, [kernel; 2])
        };
        let name = format!(
            "{network} {count}x conv {inputs}>{outputs} k{kernel} s{stride} g{groups} @{side}"
        );
        rows.push(Row {
            needs_input: inputs != 3,
            ..Row::new(
                name,
                Conv2d::new(config, rng, dtype, device)?,
                [BATCH, inputs, side, side],
            )
        });
    }
    rows.extend(pools(rng, dtype, device)?);
    Ok(rows)
}

fn pools(rng: &mut ChaCha8Rng, dtype: DType, device: &Device) -> Result<Vec<Row>> {
    let max = MaxPool2dConfig {
        stride: Some([2, 2]),
        padding: [1, 1],
        ..MaxPool2dConfig::new([3, 3])
    };
    let average = AvgPool2dConfig {
        stride: Some([2, 2]),
        padding: [1, 1],
        ..AvgPool2dConfig::new([3, 3])
    };
    let global = || AdaptiveAvgPool2d::new(AdaptiveAvgPool2dConfig::new([1, 1]));
    let squeeze = SqueezeExcitation::new(
        SqueezeExcitationConfig::new(96, 24),
        Relu,
        Relu,
        rng,
        dtype,
        device,
    )?;
    Ok(vec![
        Row::new(
            "resnet18 1x maxpool k3 s2 @64",
            MaxPool2d::new(max)?,
            [BATCH, 64, 64, 64],
        ),
        Row::new("resnet18 1x global @4", global()?, [BATCH, 512, 4, 4]),
        Row::new("mobilenet2 1x global @4", global()?, [BATCH, 1280, 4, 4]),
        Row::new(
            "pool avgpool k3 s2 @64",
            AvgPool2d::new(average)?,
            [BATCH, 64, 64, 64],
        ),
        Row::new(
            "pool gem 512 @7",
            Gem::new(GemConfig::default(), dtype, device)?,
            [BATCH, 512, 7, 7],
        ),
        Row::new(
            "pool squeeze-excitation 96 @32",
            squeeze,
            [BATCH, 96, 32, 32],
        ),
    ])
}
