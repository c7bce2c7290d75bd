//! The trait of layers.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Error, Result, RunningStatistics, SeedSequence};

use crate::{Activation, BatchNorm, Conv2d, Dropout2d, Graph, GraphValue, MaxPool2d, Parameters};

/// A layer of a network.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_core::Result;
/// use dml_nn::{Layer, Linear, LinearConfig};
/// use rand::SeedableRng;
///
/// /// A linear layer that doubles its input first.
/// #[derive(Debug)]
/// struct Doubled(Linear);
///
/// impl Layer for Doubled {
///     fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
///         self.0.forward_t(&(input * 2.0)?, train)
///     }
///
///     fn parameters(&self) -> dml_nn::Parameters {
///         self.0.parameters()
///     }
/// }
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let linear = Linear::new(LinearConfig::new(3, 2), rng, candle_core::DType::F32, &Device::Cpu)?;
/// let layer = Doubled(linear);
/// assert_eq!(layer.forward(&Tensor::new(&[[1f32, 2., 3.]], &Device::Cpu)?)?.dims(), [1, 2]);
/// assert_eq!(layer.parameters().element_count(), 8);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Layer: Debug + Send + Sync {
    /// The output for `input`; `train` selects the behaviour of training, of dropout say.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for an input that the layer can't work with,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't do it.
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor>;

    /// The output outside of training.
    ///
    /// # Errors
    /// As [`forward_t`](Layer::forward_t).
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.forward_t(input, false)
    }

    /// Parameters: the variables that the layer learns, by name.
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }

    /// Buffers: the variables that the layer changes without learning them, by name, such as running statistics.
    fn buffers(&self) -> Parameters {
        Parameters::default()
    }

    /// Freezes running statistics: from now on they are used in training, too, and not updated. Parameters still learn.
    /// PML's `freeze_trunk_batchnorm`.
    fn freeze_statistics(&self) {
        for statistics in self.statistics() {
            statistics.set_frozen(true);
        }
    }

    /// Handles on the running statistics of the layer.
    fn statistics(&self) -> Vec<RunningStatistics> {
        Vec::new()
    }

    /// [Handles](SeedSequence::handle) of the random sequences of the layer, for checkpoints.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }

    /// Adds the operators of [`forward`](Layer::forward) to a graph; the result is the output for `input`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the layer does not describe itself, which is the default.
    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let _ = (graph, input);
        Err(Error::Unsupported {
            component: std::any::type_name::<Self>(),
            reason: "the layer has no description as a graph: implement Layer::export",
        })
    }

    /// Kind of the layer, by which a [`Sequential`](crate::Sequential) fuses it with its neighbours.
    fn role(&self) -> Role<'_> {
        Role::Other
    }
}

/// Kinds of layers that a [`Sequential`](crate::Sequential) fuses with their neighbours.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Role<'a> {
    /// A convolution.
    Conv2d(&'a Conv2d),
    /// A batch normalisation.
    BatchNorm(&'a BatchNorm),
    /// A rectified linear unit.
    Relu,
    /// Another activation.
    Activation(Activation),
    /// A max pooling.
    MaxPool2d(&'a MaxPool2d),
    /// Dropout of whole channels.
    Dropout2d(&'a Dropout2d),
    /// Anything else, which is computed alone.
    Other,
}

impl Role<'_> {
    /// The activation, if the layer is one.
    pub(crate) fn activation(self) -> Option<Activation> {
        match self {
            Self::Relu => Some(Activation::Relu),
            Self::Activation(own) => Some(own),
            _ => None,
        }
    }
}

dml_core::forward!(Layer for [&T, Box<T>, Arc<T>] {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor>;
    fn parameters(&self) -> Parameters;
    fn buffers(&self) -> Parameters;
    fn freeze_statistics(&self);
    fn statistics(&self) -> Vec<RunningStatistics>;
    fn seeds(&self) -> Vec<SeedSequence>;
    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue>;
    fn role(&self) -> Role<'_>;
});

/// Implements the traits of Candle's modules and of trainable modules for layers.
macro_rules! candle_module {
    (<$L:ident> $t:ty) => {
        $crate::layer::candle_module!(@impl [<$L: Layer>] $t);
    };
    (@impl [$($generics:tt)*] $t:ty) => {
        impl $($generics)* candle_core::ModuleT for $t {
            fn forward_t(&self, input: &Tensor, train: bool) -> candle_core::Result<Tensor> {
                Ok(Layer::forward_t(self, input, train)?)
            }
        }

        impl $($generics)* dml_core::Trainable for $t {
            fn contents(&self) -> dml_core::Contents {
                dml_core::Contents {
                    parameters: self.parameters().into_iter().collect(),
                    buffers: self.buffers().into_iter().collect(),
                    seeds: self.seeds(),
                    statistics: self.statistics(),
                }
            }
        }
    };
    ($($t:ty),*) => {
        $($crate::layer::candle_module!(@impl [] $t);)*
    };
}
pub(crate) use candle_module;

/// Gives a layer of parts, which are `$self.$parts()` by name, the methods that collect what they hold.
macro_rules! collected_from {
    ($self:ident.$parts:ident()) => {
        fn parameters(&$self) -> Parameters {
            let mut parameters = Parameters::default();
            for (name, layer) in $self.$parts() {
                parameters.extend(name, layer.parameters());
            }
            parameters
        }

        fn buffers(&$self) -> Parameters {
            let mut buffers = Parameters::default();
            for (name, layer) in $self.$parts() {
                buffers.extend(name, layer.buffers());
            }
            buffers
        }

        fn statistics(&$self) -> Vec<RunningStatistics> {
            let parts = $self.$parts().into_iter();
            parts.flat_map(|(_, layer)| layer.statistics()).collect()
        }

        fn seeds(&$self) -> Vec<SeedSequence> {
            let parts = $self.$parts().into_iter();
            parts.flat_map(|(_, layer)| layer.seeds()).collect()
        }
    };
}
pub(crate) use collected_from;

candle_module!(
    crate::Activation,
    crate::ActivationCheckpoint,
    crate::AdaptiveAvgPool2d,
    crate::AvgPool2d,
    crate::BatchNorm,
    crate::Conv2d,
    crate::DropPath,
    crate::Dropout,
    crate::Dropout2d,
    crate::Embedding,
    crate::FeedForward,
    crate::Flatten,
    crate::Gelu,
    crate::Gem,
    crate::GroupNorm,
    crate::Hardsigmoid,
    crate::Hardswish,
    crate::L2Normalize,
    crate::LayerNorm,
    crate::LayerNorm2d,
    crate::Linear,
    crate::MaxPool2d,
    crate::MultiHeadAttention,
    crate::Relu,
    crate::Relu6,
    crate::RmsNorm,
    crate::RotaryEmbedding,
    crate::Sequential,
    crate::Sigmoid,
    crate::Silu,
    crate::SqueezeExcitation,
    crate::Tanh
);

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Trainable;

    #[test]
    fn layers_are_objects() {
        fn takes(_: &dyn Layer) {}
        takes(&Box::new(crate::Relu));
        takes(&Arc::new(crate::Flatten));
        fn module(_: &dyn candle_core::ModuleT) {}
        module(&crate::Relu);
    }

    #[test]
    fn what_layers_hold_is_told_together() -> Result<()> {
        let norm = crate::BatchNormConfig::new(3);
        let norm = crate::BatchNorm::new(norm, candle_core::DType::F32, &candle_core::Device::Cpu)?;
        let seeds = SeedSequence::new(5);
        let dropout = crate::Dropout::new(crate::DropoutConfig { p: 0.5 }, seeds.handle())?;
        let network = crate::Sequential::default()
            .with("norm", norm)
            .with("dropout", dropout);
        let contents = network.contents();
        let names = |all: &[(String, candle_core::Var)]| -> Vec<String> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&contents.parameters), ["norm.weight", "norm.bias"]);
        assert_eq!(
            names(&contents.buffers),
            ["norm.running_mean", "norm.running_var"]
        );
        // A handle: what the layer draws, it counts.
        let ones = Tensor::ones((2, 3), candle_core::DType::F32, &candle_core::Device::Cpu)?;
        Layer::forward_t(&network, &ones, true)?;
        assert_eq!(
            (contents.seeds[0].seed(), contents.seeds[0].calls()),
            (5, 1)
        );
        Ok(())
    }
}
