//! Layers in sequence, with neighbours fused where that is faster.

use candle_core::Tensor;
use dml_core::{Result, RunningStatistics, SeedSequence};

use crate::block::Block;
use crate::layer::collected_from;
use crate::{Activation, Graph, GraphValue, Layer, Parameters, Role};

/// Layers, each with a name, computed in order.
///
/// A convolution is computed together with the ReLU, the max pooling and the dropout of channels that follow it, in
/// this order, while each image is in the processor's cache: the results are those of the layers one by one, and
/// nothing between them is written to memory. A first convolution whose windows hold few inputs, with its ReLU, joins
/// the convolution behind it: it is computed again in the backward pass rather than stored. A batch normalisation is computed
/// together with the activation that follows it.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Conv2d, Conv2dConfig, Flatten, Layer, Linear, LinearConfig, MaxPool2d, MaxPool2dConfig, Relu, Sequential};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let (dtype, device) = (DType::F32, &Device::Cpu);
/// let network = Sequential::default()
///     .with("conv1", Conv2d::new(Conv2dConfig::new(1, 8, [3, 3]), rng, dtype, device)?)
///     .with("relu1", Relu)
///     .with("pool", MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?)
///     .with("flatten", Flatten)
///     .with("fc1", Linear::new(LinearConfig::new(8 * 13 * 13, 16), rng, dtype, device)?);
/// let images = Tensor::zeros((2, 1, 28, 28), dtype, device)?;
/// assert_eq!(network.forward_t(&images, true)?.dims(), [2, 16]);
/// assert!(network.parameters().get("conv1.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Sequential {
    layers: Vec<Named>,
}

/// A layer and its name.
type Named = (String, Box<dyn Layer>);

impl Sequential {
    /// Adds a layer.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.layers.push((name.into(), Box::new(layer)));
        self
    }

    /// Names and layers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &dyn Layer)> {
        self.layers
            .iter()
            .map(|(name, layer)| (name.as_str(), layer.as_ref()))
    }
}

/// The activation that layers begin with, and the layers behind it.
fn leading_activation(layers: &[Named]) -> (Option<Activation>, &[Named]) {
    match layers.split_first() {
        Some(((_, first), rest)) if first.role().activation().is_some() => {
            (first.role().activation(), rest)
        }
        _ => (None, layers),
    }
}

impl Layer for Sequential {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = input.clone();
        let mut rest = self.layers.as_slice();
        while let Some(((_, layer), mut later)) = rest.split_first() {
            if let Role::Conv2d(convolution) = layer.role()
                && let Some(((_, next), after)) = later.split_first()
                && let Role::BatchNorm(norm) = next.role()
            {
                let activation;
                (activation, later) = leading_activation(after);
                x = norm.forward_convolved(convolution, &x, None, activation, train)?;
            } else if let Role::Conv2d(convolution) = layer.role() {
                let mut block = Block::new(convolution);
                while let Some(((_, next), after)) = later.split_first() {
                    let Some(longer) = block.with(next.as_ref(), &x) else {
                        break;
                    };
                    (block, later) = (longer, after);
                }
                x = block.forward_t(&x, train)?;
            } else if let Role::BatchNorm(norm) = layer.role() {
                let activation;
                (activation, later) = leading_activation(later);
                x = norm.forward_activated(&x, None, activation, train)?;
            } else {
                x = layer.forward_t(&x, train)?;
            }
            rest = later;
        }
        Ok(x)
    }

    collected_from!(self.iter());

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let mut layers = self.iter();
        layers.try_fold(input.clone(), |x, (name, layer)| {
            graph.part(name, layer, &x)
        })
    }
}

#[cfg(test)]
mod tests;
