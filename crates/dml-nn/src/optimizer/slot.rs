//! A parameter with the running numbers that an optimiser keeps for it.

use std::collections::HashMap;
use std::sync::Mutex;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
use dml_core::autograd::{Element, has_kernel};
use dml_core::{Error, Result};

use dml_core::checkpoint::{self, CheckpointError};

/// A parameter, how many steps it has made, and `K` numbers kept for each of its own.
#[derive(Debug)]
pub(super) struct Slot<const K: usize> {
    pub(super) name: String,
    pub(super) var: Var,
    pub(super) steps: u64,
    kept: Kept<K>,
}

#[derive(Debug)]
enum Kept<const K: usize> {
    Single([Vec<f32>; K]),
    Double([Vec<f64>; K]),
    /// Wherever the one-pass kernels do not reach: on other devices, and for half precision, whose running numbers
    /// are kept in single.
    Tensors([Tensor; K]),
}

/// What an optimiser does to one parameter, in both forms.
pub(super) trait Update<const K: usize> {
    /// On the CPU, in place.
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], kept: [&mut [T]; K]);

    /// Of Candle's operations: the new parameter and the new kept numbers.
    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        kept: &[Tensor; K],
    ) -> Result<(Tensor, [Tensor; K])>;
}

/// Parameters as slots.
pub(super) fn slots<const K: usize>(
    parameters: impl IntoIterator<Item = (String, Var)>,
) -> Result<Vec<Slot<K>>> {
    let mut slots: Vec<Slot<K>> = Vec::new();
    for (name, var) in parameters {
        if slots.iter().any(|slot| slot.name == name) {
            return Err(Error::Unsupported {
                component: "optimizer",
                reason: "two parameters have one name: prefix those of each part of the network",
            });
        }
        if !var.dtype().is_float() {
            return Err(Error::DType {
                arg: "parameters",
                expected: "a floating-point type",
                got: var.dtype(),
            });
        }
        let len = var.elem_count();
        let kept = if !has_kernel(&var) || !var.is_contiguous() {
            let zeros = Tensor::zeros(var.shape(), wide(var.dtype()), var.device())?;
            Kept::Tensors(std::array::from_fn(|_| zeros.clone()))
        } else if var.dtype() == DType::F64 {
            Kept::Double(std::array::from_fn(|_| vec![0.0; len]))
        } else {
            Kept::Single(std::array::from_fn(|_| vec![0.0; len]))
        };
        slots.push(Slot {
            name,
            var,
            steps: 0,
            kept,
        });
    }
    Ok(slots)
}

fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

impl<const K: usize> Slot<K> {
    /// One step, if there is a gradient; `update` is told which step of the parameter it is, from 1.
    pub(super) fn step<U: Update<K> + Sync>(
        &mut self,
        gradients: &GradStore,
        update: impl FnOnce(u64) -> U,
    ) -> Result<()> {
        let Some(gradient) = gradients.get(&self.var) else {
            return Ok(());
        };
        if gradient.shape() != self.var.shape() {
            return Err(Error::Shape {
                arg: "gradient",
                expected: "the shape of its parameter",
                got: gradient.dims().to_vec(),
            });
        }
        let update = update(self.steps + 1);
        match &mut self.kept {
            Kept::Single(kept) => in_place(&self.var, gradient, &update, kept)?,
            Kept::Double(kept) => in_place(&self.var, gradient, &update, kept)?,
            Kept::Tensors(kept) => {
                let dtype = self.var.dtype();
                let (parameter, now) = update.composite(
                    &self.var.detach().to_dtype(wide(dtype))?,
                    &gradient.detach().to_dtype(wide(dtype))?,
                    kept,
                )?;
                self.var.set(&parameter.to_dtype(dtype)?)?;
                *kept = now.map(|tensor| tensor.detach());
            }
        }
        self.steps += 1;
        Ok(())
    }

    /// The kept numbers as tensors.
    fn tensors(&self) -> Result<[Tensor; K]> {
        let shape = self.var.shape();
        let mut tensors = Vec::with_capacity(K);
        for k in 0..K {
            tensors.push(match &self.kept {
                Kept::Single(kept) => Tensor::from_slice(&kept[k], shape, &Device::Cpu)?,
                Kept::Double(kept) => Tensor::from_slice(&kept[k], shape, &Device::Cpu)?,
                Kept::Tensors(kept) => kept[k].clone(),
            });
        }
        tensors.try_into().map_err(|_| Error::Unsupported {
            component: "optimizer",
            reason: "as many tensors as are kept",
        })
    }

    fn set(&mut self, tensors: [&Tensor; K]) -> candle_core::Result<()> {
        for (k, tensor) in tensors.into_iter().enumerate() {
            match &mut self.kept {
                Kept::Single(kept) => kept[k] = tensor.flatten_all()?.to_vec1()?,
                Kept::Double(kept) => kept[k] = tensor.flatten_all()?.to_vec1()?,
                Kept::Tensors(kept) => kept[k] = tensor.to_device(self.var.device())?.copy()?,
            }
        }
        Ok(())
    }
}

fn in_place<T: Stored, U: Update<K> + Sync, const K: usize>(
    var: &Var,
    gradient: &Tensor,
    update: &U,
    kept: &mut [Vec<T>; K],
) -> Result<()> {
    let op = InPlace {
        update,
        kept: Mutex::new(kept.each_mut().map(Vec::as_mut_slice)),
    };
    Ok(var.inplace_op2(&gradient.detach().contiguous()?, &op)?)
}

/// An element type found in the memory of a tensor.
trait Stored: Element {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Stored for f32 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(values) => Some(values),
            _ => None,
        }
    }
}

impl Stored for f64 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(values) => Some(values),
            _ => None,
        }
    }
}

struct InPlace<'a, T, U, const K: usize> {
    update: &'a U,
    kept: Mutex<[&'a mut [T]; K]>,
}

impl<T: Stored, U: Update<K> + Sync, const K: usize> InplaceOp2 for InPlace<'_, T, U, K> {
    fn name(&self) -> &'static str {
        "optimizer_step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (Some(place), Some(source)) = (
            parameter_layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("optimizer_step: parameter and gradient must be contiguous");
        };
        let Some(parameter) = T::slice_mut(parameter) else {
            candle_core::bail!("optimizer_step: the parameter has another element type");
        };
        let parameter = &mut parameter[place.0..place.1];
        let gradient = &gradient.as_slice::<T>()?[source.0..source.1];
        let Ok(mut kept) = self.kept.lock() else {
            candle_core::bail!("optimizer_step: an earlier step of this parameter failed");
        };
        let kept = kept.each_mut().map(|kept| &mut **kept);
        self.update.apply(parameter, gradient, kept);
        Ok(())
    }
}

/// The names of the kept numbers, and the learning rate, as tensors by name.
pub(super) fn state<const K: usize>(
    slots: &[Slot<K>],
    names: [&str; K],
    learning_rate: f64,
) -> Result<HashMap<String, Tensor>> {
    let mut state = HashMap::new();
    for slot in slots {
        let name = &slot.name;
        let steps = Tensor::new(slot.steps as i64, &Device::Cpu)?;
        state.insert(format!("{name}.step"), steps);
        for (kept, tensor) in names.iter().zip(slot.tensors()?) {
            state.insert(format!("{name}.{kept}"), tensor);
        }
    }
    let learning_rate = Tensor::new(learning_rate, &Device::Cpu)?;
    state.insert(LEARNING_RATE.to_owned(), learning_rate);
    Ok(state)
}

const LEARNING_RATE: &str = "learning_rate";

/// Sets the slots to a state that [`state`] gave, and returns its learning rate.
pub(super) fn load_state<const K: usize>(
    slots: &mut [Slot<K>],
    names: [&str; K],
    state: &HashMap<String, Tensor>,
) -> std::result::Result<f64, CheckpointError> {
    let own = self::state(slots, names, 0.0).map_err(candle_core::Error::from)?;
    checkpoint::fits(
        own.iter().map(|(name, tensor)| (name.as_str(), tensor)),
        state,
    )?;
    for slot in slots {
        let name = slot.name.clone();
        slot.steps = state[&format!("{name}.step")].to_scalar::<i64>()?.max(0) as u64;
        slot.set(names.map(|kept| &state[&format!("{name}.{kept}")]))?;
    }
    Ok(state[LEARNING_RATE].to_scalar::<f64>()?)
}
