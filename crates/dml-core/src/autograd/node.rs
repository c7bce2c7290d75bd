//! A value that a kernel has computed, as a node of Candle's graph.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Storage, Tensor,
    WithDType,
};

use super::grad_mode::in_graph;
use super::relay::{Deposits, Gate, gate_of, is_worth_a_gate, register};
use crate::{Result, check};

/// The value of a node, computed before the node is made.
#[derive(Debug)]
pub struct Value(Memory);

#[derive(Debug)]
enum Memory {
    /// Memory of the host that Candle takes over, once.
    Host(Mutex<Option<CpuStorage>>, Shape),
    /// A tensor of any device. A node needs memory of its own, so Candle gets a copy within the device.
    Tensor(Tensor),
}

impl Value {
    /// The result of a kernel of the host.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if the shape does not hold the value.
    pub fn host<T: WithDType>(value: Vec<T>, shape: impl Into<Shape>) -> Result<Self> {
        // Candle takes the shape on trust, and would read beyond the end of a value that is too short.
        let shape = shape.into();
        check::length("value", shape.elem_count(), value.len())?;
        let storage = T::to_cpu_storage_owned(value);
        Ok(Self(Memory::Host(Mutex::new(Some(storage)), shape)))
    }

    /// Number of elements.
    fn elements(&self) -> usize {
        match &self.0 {
            Memory::Host(_, shape) => shape.elem_count(),
            Memory::Tensor(tensor) => tensor.elem_count(),
        }
    }

    /// The value outside of the graph.
    fn constant(self) -> Result<Tensor> {
        if let Memory::Tensor(tensor) = self.0 {
            return Ok(tensor.detach());
        }
        let (storage, shape) = self.on_cpu()?;
        let (storage, no_op) = (Storage::Cpu(storage), BackpropOp::none());
        Ok(Tensor::from_storage(storage, shape, no_op, false))
    }

    fn on_cpu(&self) -> candle_core::Result<(CpuStorage, Shape)> {
        match &self.0 {
            Memory::Host(value, shape) => {
                let value = value.lock().ok().and_then(|mut value| value.take());
                let value = value.ok_or_else(|| message("the value of a node was taken twice"))?;
                Ok((value, shape.clone()))
            }
            Memory::Tensor(tensor) => {
                let tensor = whole_storage(tensor)?;
                let (storage, layout) = tensor.storage_and_layout();
                let Storage::Cpu(storage) = &*storage else {
                    return Err(message("the value is not on the CPU"));
                };
                Ok((storage.try_clone(layout)?, tensor.shape().clone()))
            }
        }
    }

    fn on_cuda(&self) -> candle_core::Result<(CudaStorage, Shape)> {
        if let Memory::Tensor(tensor) = &self.0 {
            let tensor = whole_storage(tensor)?;
            let (storage, layout) = tensor.storage_and_layout();
            if let Storage::Cuda(storage) = &*storage {
                return Ok((storage.try_clone(layout)?, tensor.shape().clone()));
            }
        }
        Err(message("the value is not on a CUDA device"))
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self(Memory::Tensor(tensor))
    }
}

/// The tensor, or a copy of a view: Candle clones a storage as a whole, and takes its beginning for the elements in order.
fn whole_storage(tensor: &Tensor) -> candle_core::Result<Tensor> {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        return Ok(tensor.clone());
    }
    tensor.force_contiguous()
}

fn message(text: &str) -> candle_core::Error {
    candle_core::Error::Msg(text.to_owned())
}

/// The node of a value of one to three inputs; `backward(inputs, value, gradient)` gives the gradient of each input, `None`
/// for one that needs none. If no input is [tracked](super::is_tracked), the value outside of the graph. The inputs that
/// `backward` gets are those of the graph: a frozen variable is a constant there. A large value on the CPU gets a
/// gate (see the module `relay`), through which nodes of ours exchange gradients without Candle's sums.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if the value is not on the device of the inputs.
pub fn node<const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    value: impl Into<Value>,
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    const { assert!(0 < N && N < 4, "a node of Candle has one to three inputs") };
    let value = value.into();
    let inputs = inputs.map(in_graph);
    if !inputs.iter().any(Tensor::track_op) {
        return value.constant();
    }
    let originals = inputs.clone();
    let backward = move |value: &Tensor, gradient: &Tensor| {
        backward(originals.each_ref(), value, gradient).map(Vec::from)
    };
    tracked_node(name, &inputs, value, Box::new(backward))
}

/// As [`node()`], of inputs of which one is tracked. A function of its own, compiled once for all nodes: what depends on
/// `backward` is compiled for each of hundreds.
fn tracked_node(
    name: &'static str,
    inputs: &[Tensor],
    value: Value,
    backward: Box<Backward>,
) -> Result<Tensor> {
    let gates: Vec<_> = inputs.iter().map(gate_of).collect();
    let parents = inputs.iter().zip(&gates);
    let parents = parents.map(|(input, gate)| match gate {
        Some(gate) => gate.number().clone(),
        None => input.clone(),
    });
    let parents: Vec<Tensor> = parents.collect();
    let backward = move |value: &Tensor, gradient: &Tensor| -> Result<Vec<Option<Tensor>>> {
        let mut gradients = backward(&value.detach(), gradient)?;
        for (gradient, gate) in gradients.iter_mut().zip(&gates) {
            if let Some(gate) = gate {
                *gradient = Some(gate.deposit(gradient.take())?);
            }
        }
        Ok(gradients)
    };
    if !is_worth_a_gate(&inputs[0], value.elements()) {
        return apply(name, &parents, value, Box::new(backward));
    }
    let deposits = Arc::new(Deposits::default());
    let output_value = Arc::new(OnceLock::<Tensor>::new());
    let number = {
        let (deposits, output_value) = (deposits.clone(), output_value.clone());
        let zero = Tensor::zeros((), inputs[0].dtype(), inputs[0].device())?;
        let backward = move |_: &Tensor, _: &Tensor| -> Result<Vec<Option<Tensor>>> {
            let value = output_value
                .get()
                .ok_or_else(|| message("a gate without output"))?;
            let gradient = match deposits.take() {
                Some(gradient) => gradient,
                None => value.zeros_like()?,
            };
            backward(value, &gradient)
        };
        apply(name, &parents, zero.into(), Box::new(backward))?
    };
    let gate = Arc::new(Gate::new(number.clone(), deposits));
    let backward = {
        let gate = gate.clone();
        move |_: &Tensor, gradient: &Tensor| -> Result<Vec<Option<Tensor>>> {
            Ok(vec![Some(gate.deposit(Some(gradient.clone()))?)])
        }
    };
    let output = apply(name, &[number], value, Box::new(backward))?;
    // Without its node, or the graph would hold itself.
    output_value.get_or_init(|| output.detach());
    register(&output, &gate);
    Ok(output)
}

fn apply(
    name: &'static str,
    inputs: &[Tensor],
    value: Value,
    backward: Box<Backward>,
) -> Result<Tensor> {
    let node = Node {
        name,
        value,
        backward,
    };
    Ok(match inputs {
        [first] => first.apply_op1(node)?,
        [first, second] => first.apply_op2(second, node)?,
        [first, second, third] => first.apply_op3(second, third, node)?,
        _ => unreachable!("the number of inputs is checked at compile time"),
    })
}

/// The node of a value of the host whose gradients are of the host, too: `backward(inputs, value, gradient)` gives the elements
/// of the gradient of each input, in their order. They are not read for an input that is not tracked.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if the input is not on the CPU, [`Error::Length`](crate::Error::Length) if the shape
/// does not hold the value.
pub fn host_node<T: WithDType, const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    value: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Vec<T>; N]> + Send + Sync + 'static,
) -> Result<Tensor> {
    let value = Value::host(value, shape)?;
    node(name, inputs, value, move |inputs, value, gradient| {
        tracked(inputs, backward(inputs, value, gradient)?)
    })
}

/// [`host_node`] of one input.
///
/// # Errors
/// As [`host_node`].
pub fn unary<T: WithDType>(
    name: &'static str,
    input: &Tensor,
    value: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Vec<T>> + Send + Sync + 'static,
) -> Result<Tensor> {
    host_node(
        name,
        [input],
        value,
        shape,
        move |[input], value, gradient| Ok([backward(input, value, gradient)?]),
    )
}

/// The gradient of an input, if it is tracked; else nothing, and nothing is computed.
pub fn if_tracked<T>(input: &Tensor, gradient: impl FnOnce() -> Vec<T>) -> Vec<T> {
    match input.track_op() {
        true => gradient(),
        false => Vec::new(),
    }
}

/// The gradients of the inputs that are tracked.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) for a gradient of another length than its input.
pub fn tracked<T: WithDType, const N: usize>(
    inputs: [&Tensor; N],
    gradients: [Vec<T>; N],
) -> Result<[Option<Tensor>; N]> {
    let mut tensors = [const { None }; N];
    for ((tensor, input), gradient) in tensors.iter_mut().zip(inputs).zip(gradients) {
        if input.track_op() {
            *tensor = Some(Tensor::from_vec(gradient, input.shape(), input.device())?);
        }
    }
    Ok(tensors)
}

type Backward = dyn Fn(&Tensor, &Tensor) -> Result<Vec<Option<Tensor>>> + Send + Sync;

/// One operation for any number of inputs: its value does not depend on them any more.
struct Node {
    name: &'static str,
    value: Value,
    backward: Box<Backward>,
}

impl Node {
    fn gradients<const N: usize>(
        &self,
        value: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<[Option<Tensor>; N]> {
        let mut gradients = (self.backward)(value, gradient)?.into_iter();
        Ok([(); N].map(|()| gradients.next().flatten()))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.name).finish()
    }
}

/// Implements one of Candle's traits of custom operations, which differ in their number of inputs alone.
macro_rules! custom_op {
    ($trait:ident, $gradients:ty, $($input:ident),+) => {
        #[allow(unused_variables)] // The forward pass is over before the node is made.
        impl $trait for Node {
            fn name(&self) -> &'static str {
                self.name
            }

            fn cpu_fwd(
                &self,
                $($input: &CpuStorage, _: &Layout),+
            ) -> candle_core::Result<(CpuStorage, Shape)> {
                self.value.on_cpu()
            }

            fn cuda_fwd(
                &self,
                $($input: &CudaStorage, _: &Layout),+
            ) -> candle_core::Result<(CudaStorage, Shape)> {
                self.value.on_cuda()
            }

            fn bwd(
                &self,
                $($input: &Tensor,)+
                value: &Tensor,
                gradient: &Tensor,
            ) -> candle_core::Result<$gradients> {
                let [$($input),+] = self.gradients(value, gradient)?;
                Ok(($($input),+))
            }
        }
    };
}

type Gradient = Option<Tensor>;
custom_op!(CustomOp1, Gradient, first);
custom_op!(CustomOp2, (Gradient, Gradient), first, second);
custom_op!(
    CustomOp3,
    (Gradient, Gradient, Gradient),
    first,
    second,
    third
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use candle_core::{Device, Var};

    #[test]
    fn a_value_that_does_not_fill_its_shape_is_an_error() -> Result<()> {
        let x = Var::new(&[1f32, 2.], &Device::Cpu)?;
        for length in [0, 1, 3] {
            let value = vec![0f32; length];
            let refused = unary("short", &x, value.clone(), 2, |_, _, _| Ok(Vec::new()));
            assert!(matches!(refused, Err(Error::Length { expected: 2, .. })));
            let both = |_: [&Tensor; 2], _: &Tensor, _: &Tensor| Ok([Vec::new(), Vec::new()]);
            assert!(host_node("short", [&x, &x], value, 2, both).is_err());
        }
        Ok(())
    }

    fn times(x: &Tensor, factor: f64) -> Result<Vec<f64>> {
        Ok((x.detach() * factor)?.flatten_all()?.to_vec1::<f64>()?)
    }

    /// `factor · x`, as a node.
    fn scaled(x: &Tensor, factor: f64) -> Result<Tensor> {
        let value = times(x, factor)?;
        unary("scaled", x, value, x.shape(), move |_, value, gradient| {
            assert!(!value.track_op());
            times(gradient, factor)
        })
    }

    #[test]
    fn gradients_meet_at_a_gate_wherever_they_come_from() -> Result<()> {
        for len in [3, 5000] {
            let x = Var::ones(len, candle_core::DType::F64, &Device::Cpu)?;
            let y = scaled(&x, 2.0)?;
            // Two nodes of ours, one of them twice below the gate, and two of Candle's.
            let both = host_node("both", [&y, &y], vec![0f64; len], len, |_, _, g| {
                Ok([times(g, 100.0)?, times(g, 1000.0)?])
            })?;
            let sum = (scaled(&scaled(&y, 3.0)?, 5.0)? + &y)?;
            let sum = ((sum + both)? + (&y * 7.0)?)?;
            for _ in 0..2 {
                let store = sum.sum_all()?.backward()?;
                let gradient = store.get(&x).unwrap().to_vec1::<f64>()?;
                assert_eq!(gradient, vec![2.0 * (15.0 + 1.0 + 1100.0 + 7.0); len]);
            }
            let detached = scaled(&y.detach(), 3.0)?;
            assert!(!detached.track_op());
            let store = (detached + &y)?.sum_all()?.backward()?;
            assert_eq!(store.get(&x).unwrap().to_vec1::<f64>()?, vec![2.0; len]);
        }
        Ok(())
    }

    #[test]
    fn a_view_is_a_value_with_its_own_elements() -> Result<()> {
        let x = Var::new(&[1f64, 2.], &Device::Cpu)?;
        let matrix = Tensor::new(&[[1f64, 2., 3.], [4., 5., 6.]], &Device::Cpu)?;
        for (view, expected) in [
            (matrix.narrow(1, 1, 2)?, [[2., 3.], [5., 6.]]),
            (matrix.narrow(1, 0, 2)?.t()?, [[1., 4.], [2., 5.]]),
        ] {
            let of_x = |_: [&Tensor; 1], _: &Tensor, _: &Tensor| Ok([None]);
            let value = node("view", [&x], view, of_x)?;
            assert_eq!(value.to_vec2::<f64>()?, expected);
        }
        Ok(())
    }

    #[test]
    fn a_graph_goes_back_on_another_thread_and_is_freed() -> Result<()> {
        let x = Var::ones(5000, candle_core::DType::F64, &Device::Cpu)?;
        let y = scaled(&scaled(&x, 2.0)?, 3.0)?;
        let gate = Arc::downgrade(&gate_of(&y).unwrap());
        let y = std::thread::scope(|scope| {
            let back = scope.spawn(move || -> Result<Tensor> {
                assert!(gate_of(&y).is_none());
                let z = scaled(&y, 5.0)?;
                let store = z.sum_all()?.backward()?;
                assert_eq!(store.get(&x).unwrap().to_vec1::<f64>()?, vec![30.0; 5000]);
                Ok(y)
            });
            back.join().unwrap()
        })?;
        drop(y);
        assert!(gate.upgrade().is_none());
        Ok(())
    }

    #[test]
    fn each_tracked_input_gets_its_gradient() -> Result<()> {
        let [a, b] = [3f64, 5.].map(|x| Var::new(x, &Device::Cpu));
        let (a, b) = (a?, b?);
        let constant = Tensor::new(7f64, &Device::Cpu)?;
        let product = |inputs| {
            host_node(
                "product",
                inputs,
                vec![105f64],
                (),
                |inputs, _, gradient| {
                    let [a, b, c, g] =
                        [inputs[0], inputs[1], inputs[2], gradient].map(Tensor::to_scalar::<f64>);
                    let (a, b, c, g) = (a?, b?, c?, g?);
                    // Nothing reads the gradient of the constant.
                    Ok([vec![g * b * c], vec![g * a * c], Vec::new()])
                },
            )
        };
        let inside = product([a.as_tensor(), b.as_tensor(), &constant])?;
        assert_eq!(inside.to_scalar::<f64>()?, 105.0);
        let store = inside.backward()?;
        let slope = |x: &Tensor| store.get(x).map(Tensor::to_scalar::<f64>).transpose();
        assert_eq!(slope(&a)?, Some(35.0));
        assert_eq!(slope(&b)?, Some(21.0));
        assert!(store.get(&constant).is_none());
        let [a, b] = [&a, &b].map(|x| x.as_tensor().detach());
        assert!(!product([&a, &b, &constant])?.track_op());
        Ok(())
    }
}
