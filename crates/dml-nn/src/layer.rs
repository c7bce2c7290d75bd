//! What every layer has in common.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Contents, Result, SeedSequence, Trainable};

use crate::{Conv2d, Dropout2d, MaxPool2d, Parameters};

/// A piece of a network.
pub trait Layer: Debug + Send + Sync {
    /// The result for `input`; `train` says whether layers that behave differently in training do so.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for an input that the layer can't work with,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle can't do it.
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor>;

    /// The result outside of training.
    ///
    /// # Errors
    /// As [`forward_t`](Layer::forward_t).
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.forward_t(input, false)
    }

    /// What the layer learns, by name.
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }

    /// What the layer changes without learning it, by name: the running numbers of batch normalisation.
    fn buffers(&self) -> Parameters {
        Parameters::default()
    }

    /// From now on, what is measured of batches in training is left as it is, and used as outside of training; what is
    /// learnt goes on learning. PML's `freeze_trunk_batchnorm`.
    fn freeze_statistics(&self) {}

    /// Where the layer's randomness comes from: [handles](SeedSequence::handle) for a checkpoint.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }

    /// What a [`Sequential`](crate::Sequential) may join with the layers beside it.
    fn role(&self) -> Role<'_> {
        Role::Other
    }
}

/// The layers that a [`Sequential`](crate::Sequential) computes together with their neighbours.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Role<'a> {
    /// A convolution.
    Conv2d(&'a Conv2d),
    /// Negative numbers become 0.
    Relu,
    /// A max pooling.
    MaxPool2d(&'a MaxPool2d),
    /// Dropout of whole channels.
    Dropout2d(&'a Dropout2d),
    /// Anything else, which is computed alone.
    Other,
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<L: Layer + ?Sized> Layer for $t {
            fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
                (**self).forward_t(input, train)
            }
            fn parameters(&self) -> Parameters {
                (**self).parameters()
            }
            fn buffers(&self) -> Parameters {
                (**self).buffers()
            }
            fn freeze_statistics(&self) {
                (**self).freeze_statistics();
            }
            fn seeds(&self) -> Vec<SeedSequence> {
                (**self).seeds()
            }
            fn role(&self) -> Role<'_> {
                (**self).role()
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);

/// Makes layers usable wherever Candle asks for a module, and a training loop for one that knows its contents.
macro_rules! candle_module {
    ($($t:ty),*) => {$(
        impl candle_core::ModuleT for $t {
            fn forward_t(&self, input: &Tensor, train: bool) -> candle_core::Result<Tensor> {
                Ok(Layer::forward_t(self, input, train)?)
            }
        }

        impl Trainable for $t {
            fn contents(&self) -> Contents {
                Contents {
                    parameters: self.parameters().into_iter().collect(),
                    buffers: self.buffers().into_iter().collect(),
                    seeds: self.seeds(),
                }
            }
        }
    )*};
}
candle_module!(
    crate::BatchNorm,
    crate::Conv2d,
    crate::Dropout,
    crate::Dropout2d,
    crate::Flatten,
    crate::Linear,
    crate::MaxPool2d,
    crate::Relu,
    crate::Sequential
);

#[cfg(test)]
mod tests {
    use super::*;

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
