#![doc = include_str!("../README.md")]

mod error;
mod names;

mod backbone;
mod load;
mod save;
pub mod weights;

#[cfg(feature = "hub")]
pub mod hub;

mod init;

mod channels;
mod conv_norm;
mod pooled;
mod residual;

pub mod convnext;
pub mod efficientnet;
pub mod efficientnet_lite;
pub mod mobilenet_v2;
pub mod mobilenet_v3;
pub mod resnet;
pub mod text;
pub mod vision_transformer;

mod registry;

mod encoder_folder;
pub mod image_encoder;
pub mod vector_encoder;

pub use dml_core;
pub use dml_core::ImageInput;
pub use dml_nn;

pub use backbone::Backbone;
#[cfg(feature = "hub")]
pub use hub::HubModel;

pub use error::{Misfit, Misshapen, ModelError, Result};
pub use load::{LoadReport, load};
pub use names::Names;
pub use save::save;
pub use weights::Weights;

pub use convnext::{ConvNeXt, ConvNeXtConfig};
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use efficientnet_lite::{EfficientNetLite, EfficientNetLiteConfig};
pub use mobilenet_v2::{MobileNetV2, MobileNetV2Config};
pub use mobilenet_v3::{MobileNetV3, MobileNetV3Activation, MobileNetV3Block, MobileNetV3Config};
pub use resnet::{ResNet, ResNetBlock, ResNetConfig};

pub use text::{TextConfig, TextEncoder};
pub use vision_transformer::{
    DualEncoder, TextTower, TextTowerConfig, TextTowerFamily, TokenPooling, VisionFamily,
    VisionTransformer, VisionTransformerConfig,
};

pub use registry::{Model, by_name};

pub use image_encoder::{ImageEncoder, ImageEncoderConfig, SharedBackbone};
pub use vector_encoder::{VectorEncoder, VectorEncoderConfig};
