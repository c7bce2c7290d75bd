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
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Tensor, Var};
use dml_core::autograd::{GradMode, list_node, node};
use dml_core::{Result, RunningStatistics, SeedSequence, no_grad};

use crate::{Graph, GraphValue, Layer, Parameters};

/// Whether layers are computed again in the backward pass: one switch for all of them, which clones share. Off by default.
///
/// ```
/// use dml_nn::CheckpointSwitch;
///
/// let switch = CheckpointSwitch::default();
/// let of_a_layer = switch.clone();
/// switch.set(true);
/// assert!(of_a_layer.is_on());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CheckpointSwitch(Arc<AtomicBool>);

impl CheckpointSwitch {
    /// Turns it on or off, from the next forward pass on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

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
    switch: CheckpointSwitch,
}

impl ActivationCheckpoint {
    /// A layer whose activations are not kept.
    pub fn new(layer: impl Layer + 'static) -> Self {
        let switch = CheckpointSwitch::default();
        switch.set(true);
        Self::with_switch(layer, &switch)
    }

    /// A layer whose activations are not kept while a switch is on; while it is off, it is the layer.
    pub fn with_switch(layer: impl Layer + 'static, switch: &CheckpointSwitch) -> Self {
        Self {
            layer: Arc::new(layer),
            switch: switch.clone(),
        }
    }
}

/// Computes a part of a network with several inputs again in the backward pass ([method](self)).
///
/// `forward` gets the part and the inputs, and must read no other tensor that depends on a variable. It is called once in the
/// forward pass and once in the backward pass. Variables and random sequences are those that the part lists as a layer.
///
/// ```
/// use std::sync::Arc;
///
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, Linear, LinearConfig, checkpoint_activations};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let linear = Arc::new(Linear::new(LinearConfig::new(3, 3), rng, DType::F32, &Device::Cpu)?);
/// let (x, mask) = (Tensor::ones((2, 3), DType::F32, &Device::Cpu)?, Tensor::new(&[[1f32], [0.]], &Device::Cpu)?);
/// let y = checkpoint_activations(&linear, &[&x, &mask], |linear, inputs| {
///     Ok(linear.forward(&inputs[0])?.broadcast_mul(&inputs[1])?)
/// })?;
/// assert!(y.sum_all()?.backward()?.get(linear.weight()).is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// As `forward`; [`Error::Missing`](dml_core::Error::Missing) without an input.
pub fn checkpoint_activations<P: Layer + ?Sized + 'static>(
    part: &Arc<P>,
    inputs: &[&Tensor],
    forward: impl Fn(&P, &[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let variables = variables(&**part);
    let before = Positions::of(&**part);
    let constants: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    let value = no_grad(|| forward(part, &constants))?.detach();
    let count = inputs.len();
    let all = variables.iter().map(Var::as_tensor);
    let all: Vec<&Tensor> = inputs.iter().copied().chain(all).collect();
    // Which variables are frozen.
    let mode = GradMode::current();
    let (part, variables) = (part.clone(), variables.clone());
    list_node("checkpoint", &all, value, move |all, _, gradient| {
        let inputs = &all[..count];
        let leaf = |input: &Tensor| {
            let leaf = input.track_op().then(|| Var::from_tensor(&input.detach()));
            leaf.transpose()
        };
        let leaves = inputs.iter().map(leaf);
        let leaves: Vec<Option<Var>> = leaves.collect::<candle_core::Result<_>>()?;
        let again = leaves.iter().zip(inputs);
        let again = again.map(|(leaf, input)| leaf.as_ref().map_or(input, |leaf| leaf).clone());
        let again: Vec<Tensor> = again.collect();
        let repeat = || repeated(&*part, &before, || forward(&part, &again));
        let output = mode.clone().run(repeat)?;
        let zero = Tensor::zeros((), output.dtype(), output.device())?;
        let gradient = gradient.clone();
        // Its backward pass begins with the gradient as it came.
        let root = mode.clone().run(|| {
            node("recomputed", [&output], zero, move |_, _, _| {
                Ok([Some(gradient.clone())])
            })
        })?;
        drop(output);
        let mut store = root.backward()?;
        let mut gradients = Vec::with_capacity(all.len());
        for leaf in &leaves {
            gradients.push(match leaf {
                None => None,
                Some(leaf) => match store.remove(leaf) {
                    None => Some(leaf.zeros_like()?),
                    gradient => gradient,
                },
            });
        }
        gradients.extend(variables.iter().map(|var| store.remove(var)));
        Ok(gradients)
    })
}

impl Layer for ActivationCheckpoint {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        if !self.switch.is_on() {
            return self.layer.forward_t(input, train);
        }
        checkpoint_activations(&self.layer, &[input], move |layer, inputs| {
            layer.forward_t(&inputs[0], train)
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

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        self.layer.export(graph, input)
    }
}

/// What the layer learns, and what its adapters learn.
fn variables<P: Layer + ?Sized>(layer: &P) -> Vec<Var> {
    let parameters = layer.parameters();
    let adapters = parameters.adapters();
    let adapters = adapters.flat_map(|own| [own.a().clone(), own.b().clone()]);
    let own = parameters.iter().map(|(_, var)| var.clone());
    own.chain(adapters).collect()
}

/// Random sequences of the layer and its adapters, and where they stood.
struct Positions(Vec<(SeedSequence, u64)>);

impl Positions {
    fn of<P: Layer + ?Sized>(layer: &P) -> Self {
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
fn repeated<P: Layer + ?Sized>(
    part: &P,
    first: &Positions,
    forward: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    let latest = Positions::of(part);
    let copied = |(_, var): (String, Var)| {
        let copy = var.as_detached_tensor().copy()?;
        Ok((var, copy))
    };
    let buffers = part.buffers().into_iter().map(copied);
    let buffers: Vec<(Var, Tensor)> = buffers.collect::<Result<_>>()?;
    first.resume();
    let output = forward();
    latest.resume();
    for (var, copy) in &buffers {
        var.set(copy)?;
    }
    output
}

#[cfg(test)]
mod tests;
