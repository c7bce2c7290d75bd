//! Networks by upstream's name.

use candle_core::{DType, Device};
use rand::RngCore;

use crate::error::{ModelError, Result};
use crate::{
    Backbone, ConvNeXt, ConvNeXtConfig, EfficientNet, EfficientNetConfig, EfficientNetLite,
    EfficientNetLiteConfig, MobileNetV2, MobileNetV2Config, MobileNetV3, MobileNetV3Config, ResNet,
    ResNetConfig, VisionTransformer, VisionTransformerConfig,
};

/// Declares the networks: variant, name, type and configuration.
macro_rules! models {
    ($($(#[$doc:meta])* $Variant:ident = $name:literal: $Network:ident($config:expr)),* $(,)?) => {
        /// A network of known size, by upstream's name.
        ///
        /// ```
        /// use dml_models::Model;
        ///
        /// assert_eq!(Model::ResNet18.name(), "resnet18");
        /// assert!(Model::ALL.iter().any(|model| model.name() == "convnext_tiny"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Model {
            $($(#[$doc])* $Variant,)*
        }

        impl Model {
            /// All networks.
            pub const ALL: &'static [Self] = &[$(Self::$Variant,)*];

            /// Upstream's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)*
                }
            }

            /// A network with upstream's initialisation.
            ///
            /// # Errors
            /// [`ModelError::Core`] if the parameters don't fit into memory.
            pub fn build(
                self,
                rng: &mut dyn RngCore,
                dtype: DType,
                device: &Device,
            ) -> Result<Box<dyn Backbone>> {
                Ok(match self {
                    $(Self::$Variant => Box::new($Network::new($config, rng, dtype, device)?),)*
                })
            }
        }
    };
}

models! {
    /// MobileNetV2 of torchvision.
    MobileNetV2 = "mobilenet_v2": MobileNetV2(MobileNetV2Config::default()),
    /// ResNet-18 of torchvision.
    ResNet18 = "resnet18": ResNet(ResNetConfig::resnet18()),
    /// ResNet-34 of torchvision.
    ResNet34 = "resnet34": ResNet(ResNetConfig::resnet34()),
    /// ResNet-50 of torchvision.
    ResNet50 = "resnet50": ResNet(ResNetConfig::resnet50()),
    /// ResNet-101 of torchvision.
    ResNet101 = "resnet101": ResNet(ResNetConfig::resnet101()),
    /// MobileNetV3 small of torchvision.
    MobileNetV3Small = "mobilenet_v3_small": MobileNetV3(MobileNetV3Config::small()),
    /// MobileNetV3 large of torchvision.
    MobileNetV3Large = "mobilenet_v3_large": MobileNetV3(MobileNetV3Config::large()),
    /// EfficientNet-B0 of torchvision.
    EfficientNetB0 = "efficientnet_b0": EfficientNet(EfficientNetConfig::b0()),
    /// EfficientNet-Lite0 of the PyPI package `efficientnet_lite_pytorch`.
    EfficientNetLite0 = "efficientnet_lite0": EfficientNetLite(EfficientNetLiteConfig::lite0()),
    /// ConvNeXt-T of torchvision.
    ConvNeXtTiny = "convnext_tiny": ConvNeXt(ConvNeXtConfig::tiny()),
    /// ViT-Ti/16 of timm.
    VitTinyPatch16 = "vit_tiny_patch16_224": VisionTransformer(VisionTransformerConfig::vit_tiny_patch16_224()),
    /// ViT-S/16 of timm.
    VitSmallPatch16 = "vit_small_patch16_224": VisionTransformer(VisionTransformerConfig::vit_small_patch16_224()),
    /// ViT-B/16 of timm.
    VitBasePatch16 = "vit_base_patch16_224": VisionTransformer(VisionTransformerConfig::vit_base_patch16_224()),
    /// DINOv2-S/14 of transformers.
    Dinov2Small = "dinov2-small": VisionTransformer(VisionTransformerConfig::dinov2_small()),
    /// DINOv2-B/14 of transformers.
    Dinov2Base = "dinov2-base": VisionTransformer(VisionTransformerConfig::dinov2_base()),
    /// DINOv2-S/14 with registers of transformers.
    Dinov2WithRegistersSmall = "dinov2-with-registers-small": VisionTransformer(VisionTransformerConfig::dinov2_with_registers_small()),
    /// DINOv2-B/14 with registers of transformers.
    Dinov2WithRegistersBase = "dinov2-with-registers-base": VisionTransformer(VisionTransformerConfig::dinov2_with_registers_base()),
    /// Image tower of CLIP ViT-B/32 of transformers.
    ClipVitBasePatch32 = "clip-vit-base-patch32": VisionTransformer(VisionTransformerConfig::clip_vit_base_patch32()),
    /// Image tower of SigLIP base of transformers.
    SiglipBasePatch16 = "siglip-base-patch16-224": VisionTransformer(VisionTransformerConfig::siglip_base_patch16_224()),
}

/// The network of a name.
///
/// # Errors
/// [`ModelError::UnknownModel`] with all names if there is none.
///
/// ```
/// use candle_core::{DType, Device};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = dml_models::by_name("mobilenet_v2")?.build(rng, DType::F32, &Device::Cpu)?;
/// assert_eq!(network.embedding_dim(), 1280);
/// let error = dml_models::by_name("resnet19").unwrap_err().to_string();
/// assert!(error.starts_with("resnet19: expected one of mobilenet_v2, resnet18"));
/// # Ok::<(), dml_models::ModelError>(())
/// ```
pub fn by_name(name: &str) -> Result<Model> {
    let mut models = Model::ALL.iter().copied();
    models
        .find(|model| model.name() == name)
        .ok_or_else(|| ModelError::UnknownModel {
            name: name.to_owned(),
            known: Model::ALL.iter().map(|model| model.name()).collect(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_found() {
        for model in Model::ALL {
            assert_eq!(by_name(model.name()).unwrap(), *model);
        }
        assert!(by_name("").is_err());
    }
}
