//! Exported networks beside themselves: what ONNX Runtime computes from the file is what `forward` computes.
#![allow(clippy::unwrap_used)]

mod images;
mod layers;
mod onnxruntime;
mod texts;
mod vision_transformers;
