//! The parameters of an optimiser, each with the state that the optimiser keeps for it.
//!
//! The state is the number of steps that the parameter has made, and one buffer for each running average: one number per
//! number of the parameter. A parameter without a gradient makes no step, so steps are counted for each parameter.

use std::collections::HashMap;
use std::fmt::Debug;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{Element, has_kernel};
use dml_core::checkpoint::{self, CheckpointError};
use dml_core::{Result, check};

use super::in_place::update_in_place;

/// Key of the learning rate in the state of an optimiser.
const LEARNING_RATE: &str = "learning_rate";

/// One step of an optimiser for one parameter, in two forms that give the same numbers.
pub(super) trait Update: Sync {
    /// Updates the parameter and its buffers in place, in one pass over memory.
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], buffers: &mut [&mut [T]]);

    /// Returns the new parameter and its new buffers, composed of Candle's operations.
    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        buffers: &[Tensor],
    ) -> Result<(Tensor, Vec<Tensor>)>;
}

/// How an optimiser updates its parameters.
pub(super) trait Rule: Debug {
    /// One of its steps.
    type Update: Update;

    /// The learning rate that it starts with, where all its numbers are within their ranges.
    fn checked_rate(&self) -> Result<f64>;

    /// PyTorch's names of the buffers, such as `exp_avg`.
    fn buffer_names(&self) -> &'static [&'static str];

    /// The step of a parameter that is number `step` of this parameter, from 1.
    fn update(&self, step: u64, learning_rate: f64) -> Self::Update;
}

/// The parameters of an optimiser with their state.
#[derive(Debug)]
pub(super) struct ParameterStates<R> {
    rule: R,
    pub(super) learning_rate: f64,
    parameters: Vec<ParameterState>,
}

#[derive(Debug)]
struct ParameterState {
    name: String,
    var: Var,
    /// Number of steps that the parameter has made.
    steps: u64,
    buffers: Buffers,
}

/// The buffers of a parameter, where an update needs them.
#[derive(Debug)]
enum Buffers {
    /// For [`Update::apply`] in single precision.
    F32(Vec<Vec<f32>>),
    /// For [`Update::apply`] in double precision.
    F64(Vec<Vec<f64>>),
    /// For [`Update::composite`]: on devices other than the CPU, and for half precision, whose buffers are in single.
    Composite(Vec<Tensor>),
}

impl<R: Rule> ParameterStates<R> {
    /// Named parameters that have made no step, with buffers of zeros.
    pub(super) fn new(
        parameters: impl IntoIterator<Item = (String, Var)>,
        rule: R,
    ) -> Result<Self> {
        let learning_rate = check::non_negative("lr", rule.checked_rate()?)?;
        let reason = "two parameters have one name: prefix those of each part of the network";
        let mut states: Vec<ParameterState> = Vec::new();
        for (name, var) in parameters {
            let is_new = states.iter().all(|other| other.name != name);
            check::supported(is_new, "optimizer", reason)?;
            let buffers = Buffers::zeros(&var, rule.buffer_names().len())?;
            states.push(ParameterState {
                name,
                var,
                steps: 0,
                buffers,
            });
        }
        Ok(Self {
            rule,
            learning_rate,
            parameters: states,
        })
    }

    /// One step of every parameter that has a gradient.
    pub(super) fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for parameter in &mut self.parameters {
            if let Some(gradient) = gradients.get(&parameter.var) {
                let update = self.rule.update(parameter.steps + 1, self.learning_rate);
                parameter.step(gradient, &update)?;
            }
        }
        Ok(())
    }

    /// Steps and buffers of every parameter, as `parameter.step` and `parameter.buffer`, and the learning rate.
    pub(super) fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            let steps = Tensor::new(parameter.steps as i64, &Device::Cpu)?;
            state.insert(format!("{name}.step"), steps);
            for (k, buffer) in self.rule.buffer_names().iter().enumerate() {
                let tensor = parameter.buffers.tensor(k, &parameter.var)?;
                state.insert(format!("{name}.{buffer}"), tensor);
            }
        }
        let learning_rate = Tensor::new(self.learning_rate, &Device::Cpu)?;
        state.insert(LEARNING_RATE.to_owned(), learning_rate);
        Ok(state)
    }

    /// Sets steps, buffers and learning rate to a state that [`state`](Self::state) returned. Nothing is set unless all of it
    /// fits.
    pub(super) fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        let expected = self.state().map_err(candle_core::Error::from)?;
        let expected = expected
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor));
        checkpoint::fits(expected, state)?;
        for parameter in &mut self.parameters {
            let name = &parameter.name;
            let steps = state[&format!("{name}.step")].to_scalar::<i64>()?;
            parameter.steps = steps.max(0) as u64;
            for (k, buffer) in self.rule.buffer_names().iter().enumerate() {
                let tensor = &state[&format!("{name}.{buffer}")];
                parameter.buffers.set(k, tensor, &parameter.var)?;
            }
        }
        self.learning_rate = state[LEARNING_RATE].to_scalar()?;
        Ok(())
    }
}

impl ParameterState {
    fn step<U: Update>(&mut self, gradient: &Tensor, update: &U) -> Result<()> {
        let var = &self.var;
        let fits = gradient.shape() == var.shape();
        check::shape(fits, "gradient", gradient, "the shape of its parameter")?;
        match &mut self.buffers {
            Buffers::F32(buffers) => update_in_place(var, gradient, update, buffers)?,
            Buffers::F64(buffers) => update_in_place(var, gradient, update, buffers)?,
            Buffers::Composite(buffers) => {
                let wide = composite_dtype(var);
                let (parameter, gradient) = (var.detach(), gradient.detach());
                let (parameter, updated) = update.composite(
                    &parameter.to_dtype(wide)?,
                    &gradient.to_dtype(wide)?,
                    buffers,
                )?;
                var.set(&parameter.to_dtype(var.dtype())?)?;
                *buffers = updated.iter().map(Tensor::detach).collect();
            }
        }
        self.steps += 1;
        Ok(())
    }
}

impl Buffers {
    fn zeros(var: &Var, count: usize) -> Result<Self> {
        let is_float = var.dtype().is_float();
        check::dtype(is_float, "parameters", var, "a floating-point type")?;
        let len = var.elem_count();
        if !has_kernel(var) || !var.is_contiguous() {
            let zeros = Tensor::zeros(var.shape(), composite_dtype(var), var.device())?;
            return Ok(Self::Composite(vec![zeros; count]));
        }
        Ok(match var.dtype() {
            DType::F64 => Self::F64((0..count).map(|_| vec![0.0; len]).collect()),
            _ => Self::F32((0..count).map(|_| vec![0.0; len]).collect()),
        })
    }

    /// Buffer `k` of the parameter `var` as a tensor of its shape.
    fn tensor(&self, k: usize, var: &Var) -> Result<Tensor> {
        let shape = var.shape();
        Ok(match self {
            Self::F32(buffers) => Tensor::from_slice(&buffers[k], shape, &Device::Cpu)?,
            Self::F64(buffers) => Tensor::from_slice(&buffers[k], shape, &Device::Cpu)?,
            Self::Composite(buffers) => buffers[k].clone(),
        })
    }

    fn set(&mut self, k: usize, tensor: &Tensor, var: &Var) -> candle_core::Result<()> {
        match self {
            Self::F32(buffers) => buffers[k] = tensor.flatten_all()?.to_vec1()?,
            Self::F64(buffers) => buffers[k] = tensor.flatten_all()?.to_vec1()?,
            Self::Composite(buffers) => buffers[k] = tensor.to_device(var.device())?.copy()?,
        }
        Ok(())
    }
}

/// The element type that a composite update of a parameter computes in.
fn composite_dtype(var: &Var) -> DType {
    match var.dtype() {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}
