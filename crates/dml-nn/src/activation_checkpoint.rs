//! A layer that is computed again in the backward pass instead of keeping its activations.
//!
//! ```text
//! forward:   y = f(x; θ), keep x
//! backward:  y = f(x; θ) once more with graph, then ∂L/∂x and ∂L/∂θ from ∂L/∂y
//! ```
//!
//! Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). A network of n blocks keeps n inputs
//! and the activations of one block, for the time of a second forward pass.
//!
//! The second pass draws the dropout masks of the first, by the seeds of the layer, and leaves running statistics as the
//! first has left them. Gradients are the same to the bit.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use dml_core::autograd::{list_node, node};
use dml_core::{Result, RunningStatistics, SeedSequence};

use crate::{Layer, Parameters};

/// Computes a layer again in the backward pass ([method](self)): PyTorch's `torch.utils.checkpoint`.
///
/// The layer must list the variables that it learns as its [parameters](Layer::parameters), and its random sequences as its
/// [seeds](Layer::seeds). Parameters keep their names. Adapters of a [`Lora`](crate::Lora) inside get their gradients, too.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{ActivationCheckpoint, Layer, Linear, LinearConfig, Relu, Sequential};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let linear = Linear::new(LinearConfig::new(3, 3), rng, DType::F32, &Device::Cpu)?;
/// let block = ActivationCheckpoint::new(Sequential::default().with("fc", linear).with("relu", Relu));
/// let y = block.forward_t(&Tensor::ones((2, 3), DType::F32, &Device::Cpu)?, true)?;
/// let gradients = y.sum_all()?.backward()?;
/// assert!(gradients.get(block.parameters().get("fc.weight").unwrap()).is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ActivationCheckpoint {
    layer: Arc<dyn Layer>,
}

impl ActivationCheckpoint {
    /// A layer whose activations are not kept.
    pub fn new(layer: impl Layer + 'static) -> Self {
        let layer = Arc::new(layer);
        Self { layer }
    }
}

impl Layer for ActivationCheckpoint {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let variables = variables(&*self.layer);
        let before = Positions::of(&*self.layer);
        let value = self.layer.forward_t(&input.detach(), train)?.detach();
        let inputs = variables.iter().map(Var::as_tensor);
        let inputs: Vec<&Tensor> = std::iter::once(input).chain(inputs).collect();
        let (layer, variables) = (self.layer.clone(), variables.clone());
        list_node("checkpoint", &inputs, value, move |inputs, _, gradient| {
            let (input, before) = (&inputs[0], &before);
            let tracked = input.track_op();
            let leaf = tracked.then(|| Var::from_tensor(&input.detach()));
            let leaf = leaf.transpose()?;
            let again = leaf.as_ref().map_or(input, |leaf| leaf.as_tensor());
            let output = repeated(&*layer, again, train, before)?;
            let zero = Tensor::zeros((), output.dtype(), output.device())?;
            let gradient = gradient.clone();
            // Its backward pass begins with the gradient as it came.
            let root = node("recomputed", [&output], zero, move |_, _, _| {
                Ok([Some(gradient.clone())])
            })?;
            drop(output);
            let mut store = root.backward()?;
            let of_input = match &leaf {
                None => None,
                Some(leaf) => match store.remove(leaf) {
                    None => Some(leaf.zeros_like()?),
                    gradient => gradient,
                },
            };
            let of_variables = variables.iter().map(|var| store.remove(var));
            Ok(std::iter::once(of_input).chain(of_variables).collect())
        })
    }

    fn parameters(&self) -> Parameters {
        self.layer.parameters()
    }

    fn buffers(&self) -> Parameters {
        self.layer.buffers()
    }

    fn statistics(&self) -> Vec<RunningStatistics> {
        self.layer.statistics()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.layer.seeds()
    }
}

/// What the layer learns, and what its adapters learn.
fn variables(layer: &dyn Layer) -> Vec<Var> {
    let parameters = layer.parameters();
    let adapters = parameters.adapters();
    let adapters = adapters.flat_map(|own| [own.a().clone(), own.b().clone()]);
    let own = parameters.iter().map(|(_, var)| var.clone());
    own.chain(adapters).collect()
}

/// Random sequences of the layer and its adapters, and where they stood.
struct Positions(Vec<(SeedSequence, u64)>);

impl Positions {
    fn of(layer: &dyn Layer) -> Self {
        let adapters = layer.parameters();
        let adapters = adapters.adapters().flat_map(|own| own.seeds());
        let seeds = layer.seeds().into_iter().chain(adapters);
        let with_calls = |own: SeedSequence| {
            let calls = own.calls();
            (own, calls)
        };
        Self(seeds.map(with_calls).collect())
    }

    fn resume(&self) {
        for (seeds, calls) in &self.0 {
            seeds.resume(*calls);
        }
    }
}

/// The output once more: with the random numbers of the first pass, and without a trace in buffers and random sequences.
fn repeated(layer: &dyn Layer, input: &Tensor, train: bool, first: &Positions) -> Result<Tensor> {
    let latest = Positions::of(layer);
    let copied = |(_, var): (String, Var)| {
        let copy = var.as_detached_tensor().copy()?;
        Ok((var, copy))
    };
    let buffers: Vec<(Var, Tensor)> = layer
        .buffers()
        .into_iter()
        .map(copied)
        .collect::<Result<_>>()?;
    first.resume();
    let output = layer.forward_t(input, train);
    latest.resume();
    for (var, copy) in &buffers {
        var.set(copy)?;
    }
    output
}

#[cfg(test)]
mod tests;
