#![doc = include_str!("../README.md")]

mod layer;
mod named_linear;
mod parameters;

pub mod init;

pub mod activation;
pub mod activation_checkpoint;
pub mod adaptive_avg_pool2d;
pub mod attention;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod bicubic;
pub mod conv2d;
pub mod drop_path;
pub mod dropout;
pub mod embedding;
pub mod feed_forward;
mod flatten;
pub mod gem;
pub mod graph;
pub mod group_norm;
pub mod l2_normalize;
pub mod layer_norm;
pub mod layer_norm2d;
pub mod linear;
pub mod lora;
pub mod max_pool2d;
pub mod multi_head_attention;
pub mod relu;
pub mod rms_norm;
pub mod rotary_embedding;
pub mod squeeze_excitation;

mod affine;
mod block;
mod sequential;

mod kernels;
mod pixels;
mod plane_convolution;
mod windows_on_device;

pub mod optimizer;

use candle_core::{DType, Device, Tensor, Var};

pub use dml_core;

pub use layer::{Layer, Role};
pub use parameters::Parameters;

pub use activation::{
    Activation, Gelu, GeluForm, Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu, Tanh,
};
pub use activation_checkpoint::{ActivationCheckpoint, CheckpointSwitch, checkpoint_activations};
pub use adaptive_avg_pool2d::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
pub use attention::{AttentionOptions, scaled_dot_product_attention};
pub use avg_pool2d::{AvgPool2d, AvgPool2dConfig};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use drop_path::{DropPath, DropPathConfig};
pub use dropout::{Dropout, Dropout2d, Dropout2dConfig, DropoutConfig};
pub use embedding::{Embedding, EmbeddingConfig};
pub use feed_forward::FeedForward;
pub use flatten::Flatten;
pub use gem::{Gem, GemConfig};
pub use graph::{Attribute, ElementType, Graph, GraphValue, Node};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use l2_normalize::L2Normalize;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use layer_norm2d::{LayerNorm2d, LayerNorm2dConfig};
pub use linear::{Linear, LinearConfig};
pub use lora::{Lora, LoraConfig};
pub use max_pool2d::{MaxPool2d, MaxPool2dConfig};
pub use multi_head_attention::{MultiHeadAttention, MultiHeadAttentionConfig};
pub use relu::Relu;
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use rotary_embedding::{RotaryEmbedding, RotaryEmbeddingConfig};
pub use squeeze_excitation::{SqueezeExcitation, SqueezeExcitationConfig};

pub use sequential::Sequential;

pub use dml_core::CheckpointError;

/// Kernels for CUDA that this crate brings, for programs that compile all of them.
#[doc(hidden)]
pub const CUDA_SOURCES: [&dml_core::kernels::cuda::Source; 1] = [&kernels::image_windows::SOURCE];

pub use optimizer::{Adam, AdamConfig, AdamW, AdamWConfig, Optimizer, Sgd, SgdConfig};

/// Whether a bias has one number per output.
fn check_bias(bias: Option<&Var>, outputs: usize) -> dml_core::Result<()> {
    match bias {
        Some(bias) if bias.dims() != [outputs] => Err(dml_core::Error::Shape {
            arg: "bias",
            expected: "[outputs], one number per output of the weight",
            got: bias.dims().to_vec(),
        }),
        _ => Ok(()),
    }
}

/// `f` of input and weight; on the CPU, half precision is computed with in single.
fn in_single_precision(
    input: &Tensor,
    weight: &Tensor,
    f: impl FnOnce(&Tensor, &Tensor) -> dml_core::Result<Tensor>,
) -> dml_core::Result<Tensor> {
    let wide = wide_on_cpu(input);
    if wide == input.dtype() {
        return f(input, weight);
    }
    let result = f(&input.to_dtype(wide)?, &weight.to_dtype(wide)?)?;
    Ok(result.to_dtype(input.dtype())?)
}

/// The element type that a tensor is computed in: single precision for half.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// [`wide`] for a tensor on the CPU; other devices compute in half precision.
fn wide_on_cpu(tensor: &Tensor) -> DType {
    match tensor.device() {
        Device::Cpu => wide(tensor.dtype()),
        _ => tensor.dtype(),
    }
}

#[cfg(test)]
mod checked_layer;
#[cfg(test)]
mod layer_checks;
#[cfg(test)]
mod size_limits;
