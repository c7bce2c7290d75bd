//! Vision transformers: `ViT`, `DINOv2`, and both towers of CLIP and `SigLIP`.
//!
//! ```text
//! x₀ = [class + p₀, registers, patches + p]                      patches: one linear map of each square of pixels
//! a = x + s γ₁ ∘ attention(LN(x))        xₗ = a + s γ₂ ∘ feed_forward(LN(a))
//! embedding = W pool(LN(x_L))
//! ```
//!
//! `s` is stochastic depth. γ ([`layer_scale`](VisionTransformerConfig::layer_scale)), registers, the class token and W are
//! there where the family has them.
//!
//! | family | names of | class token | pooling | embedding |
//! |---|---|---|---|---|
//! | [`Timm`](VisionFamily::Timm) | timm | yes | class token or average | LN of it |
//! | [`Dinov2`](VisionFamily::Dinov2) | transformers | yes | class token | LN of it |
//! | [`Clip`](VisionFamily::Clip) | transformers | yes | class token | LN and a projection |
//! | [`Siglip`](VisionFamily::Siglip) | transformers | no | attention of a learned query | output of the pooling |
//!
//! Images of another size than the network's need other positions: the learned ones are resized by bicubic interpolation.
//! The gradient reaches the learned positions.
//!
//! Dosovitskiy et al. 2021 (arXiv 2010.11929), Oquab et al. 2023 (arXiv 2304.07193), Darcet et al. 2023 (registers, arXiv
//! 2309.16588), Radford et al. 2021 (arXiv 2103.00020), Zhai et al. 2023 (arXiv 2303.15343).

mod attention_pool;
mod block;
mod config;
mod dual_encoder;
mod family;
mod network;
mod patch_tokens;
mod text_tower;

pub use config::{TokenPooling, VisionTransformerConfig};
pub use dual_encoder::DualEncoder;
pub use family::VisionFamily;
pub use network::VisionTransformer;
pub use text_tower::{TextTower, TextTowerConfig, TextTowerFamily};

/// Standard deviation of initial weights.
const STD: f64 = 0.02;
/// Most blocks of a network.
const MOST_BLOCKS: usize = 1000;
