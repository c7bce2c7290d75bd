//! Arithmetic of the layers and optimisers on slices, and the CUDA text of convolution and pooling.
//!
//! Nothing here knows a tensor. The layers hand slices to [`conv2d`] and [`max_pool2d`] by [`dml_core::autograd`], and CUDA
//! tensors to the launches of [`image_windows`] by [`dml_core::autograd::cuda`].

pub(crate) mod adaptive_avg_pool2d;
pub(crate) mod attention;
pub(crate) mod avg_pool2d;
pub(crate) mod batch_norm;
pub(crate) mod channel_scale;
pub(crate) mod conv2d;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod feed_forward;
pub(crate) mod gem;
pub(crate) mod group_norm;
pub(crate) mod image_windows;
pub(crate) mod linear;
pub(crate) mod max_pool2d;
pub(crate) mod moments;
pub(crate) mod normalization;
pub(crate) mod optimizer;
pub(crate) mod pixel_norm;
pub(crate) mod plane_conv2d;
pub(crate) mod product;
pub(crate) mod register_tile;
pub(crate) mod rotation;
pub(crate) mod row_norm;
mod winograd;

#[cfg(test)]
mod tests;
