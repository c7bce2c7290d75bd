//! A node with any number of inputs, made of Candle's nodes with at most three.
//!
//! ```text
//! node(a, b, hub(c, d, hub(e, f, …)))
//! ```
//!
//! A hub is a node of one number, below which the inputs hang for which the node has no room. The backward pass of the node
//! computes the gradients of all inputs at once and deposits those of the hubs; the hubs, whose turn comes later, take them
//! from there. Inputs are neither copied nor joined. Deposits are kept by thread, so that several threads may go backward
//! over one graph.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use candle_core::Tensor;

use super::grad_mode::in_graph;
use super::node::{Value, node};
use crate::{Result, check};

/// Gradients of the inputs of a node, from the thread that goes backward.
#[derive(Clone, Default)]
struct Deposits(Arc<Mutex<HashMap<ThreadId, Vec<Option<Tensor>>>>>);

impl Deposits {
    fn put(&self, gradients: Vec<Option<Tensor>>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(thread::current().id(), gradients);
    }

    /// Takes gradient `i`; after the last one, nothing is left of the deposit.
    fn take(&self, i: usize) -> Option<Tensor> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gradients = all.get_mut(&thread::current().id())?;
        let gradient = gradients.get_mut(i)?.take();
        if gradients.iter().all(Option::is_none) {
            all.remove(&thread::current().id());
        }
        gradient
    }
}

/// As [`node()`] for any number of inputs from one on: `backward(inputs, value, gradient)` returns the gradient of each input,
/// `None` for one that needs none.
///
/// # Errors
/// As [`node()`].
pub fn wide_node<const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    value: impl Into<Value>,
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    const { assert!(N > 3, "a node of Candle has room for three inputs") };
    list_node(name, &inputs, value, move |inputs, value, gradient| {
        let inputs = std::array::from_fn(|i| &inputs[i]);
        Ok(Vec::from(backward(inputs, value, gradient)?))
    })
}

/// As [`wide_node()`] for a list of inputs, at least one: `backward` returns a gradient for each.
///
/// # Errors
/// As [`node()`]; [`Error::Missing`](crate::Error::Missing) without an input.
pub fn list_node(
    name: &'static str,
    inputs: &[&Tensor],
    value: impl Into<Value>,
    backward: impl Fn(&[Tensor], &Tensor, &Tensor) -> Result<Vec<Option<Tensor>>>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    let kept: Vec<Tensor> = inputs.iter().map(|input| in_graph(input)).collect();
    let inputs = kept.clone();
    let (first, second) = match &*inputs {
        [] => check::present(None, "list_node", "an input")?,
        [only] => {
            return node(name, [only], value, move |_, value, gradient| {
                let gradients = backward(&kept, value, gradient)?;
                Ok([gradients.into_iter().next().flatten()])
            });
        }
        [first, second, ..] => (first, second),
    };
    let deposits = Deposits::default();
    let rest = match inputs.len() {
        2 => number(&inputs)?,
        _ => hub(&inputs, 2, &deposits)?,
    };
    let all = [first, second, &rest];
    node(name, all, value, move |[_, _, rest], value, gradient| {
        let mut gradients = backward(&kept, value, gradient)?;
        gradients.resize(kept.len(), None);
        let (first, second) = (gradients[0].take(), gradients[1].take());
        if !rest.track_op() {
            return Ok([first, second, None]);
        }
        for (gradient, input) in gradients.iter_mut().zip(&kept) {
            // No hub would come for it.
            *gradient = gradient.take().filter(|_| input.track_op());
        }
        deposits.put(gradients);
        Ok([first, second, Some(rest.zeros_like()?)])
    })
}

/// The value of a hub. Its type is that of an input with a gradient: Candle does not go backward through integers.
fn number(inputs: &[Tensor]) -> candle_core::Result<Tensor> {
    let tracked = inputs.iter().find(|input| input.track_op());
    let like = tracked.unwrap_or(&inputs[0]);
    Tensor::zeros((), like.dtype(), like.device())
}

/// The hub of the inputs from number `first` on.
fn hub(inputs: &[Tensor], first: usize, deposits: &Deposits) -> Result<Tensor> {
    let deposits = deposits.clone();
    match inputs.len() - first {
        1 => node("hub", [&inputs[first]], number(inputs)?, move |_, _, _| {
            Ok([deposits.take(first)])
        }),
        2 => {
            let all = [&inputs[first], &inputs[first + 1]];
            node("hub", all, number(inputs)?, move |_, _, _| {
                Ok([deposits.take(first), deposits.take(first + 1)])
            })
        }
        _ => {
            let rest = hub(inputs, first + 2, &deposits)?;
            let all = [&inputs[first], &inputs[first + 1], &rest];
            node("hub", all, number(inputs)?, move |[_, _, rest], _, _| {
                let next = rest.track_op().then(|| rest.zeros_like()).transpose()?;
                Ok([deposits.take(first), deposits.take(first + 1), next])
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// The product of the inputs.
    fn product<const N: usize>(inputs: [&Tensor; N]) -> Result<Tensor> {
        let numbers = |inputs: [&Tensor; N]| -> candle_core::Result<Vec<f64>> {
            inputs.iter().map(|x| x.to_scalar()).collect()
        };
        let value = Value::host(vec![numbers(inputs)?.iter().product::<f64>()], ())?;
        wide_node("product", inputs, value, move |inputs, value, gradient| {
            let numbers = numbers(inputs)?;
            let mut gradients = [const { None }; N];
            for (i, place) in gradients.iter_mut().enumerate() {
                if inputs[i].track_op() {
                    *place = Some(((gradient * value)? / numbers[i])?);
                }
            }
            Ok(gradients)
        })
    }

    #[test]
    fn every_input_gets_its_gradient_each_time() -> Result<()> {
        let vars: Vec<Var> = (2..9)
            .map(|i| Var::new(f64::from(i), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let inputs: [&Tensor; 7] = std::array::from_fn(|i| vars[i].as_tensor());
        let value = product(inputs)?;
        for _ in 0..2 {
            let store = value.backward()?;
            for (i, var) in vars.iter().enumerate() {
                let want = 362_880.0 / (i + 2) as f64 / 9.0;
                assert_eq!(store.get(var).unwrap().to_scalar::<f64>()?, want);
            }
        }
        Ok(())
    }

    #[test]
    fn inputs_that_are_not_tracked_get_none() -> Result<()> {
        let var = Var::new(2f64, &Device::Cpu)?;
        let constant = Tensor::new(3f64, &Device::Cpu)?;
        for place in 0..5 {
            let inputs: [&Tensor; 5] = std::array::from_fn(|i| {
                if i == place {
                    var.as_tensor()
                } else {
                    &constant
                }
            });
            let store = product(inputs)?.backward()?;
            assert_eq!(store.get(&var).unwrap().to_scalar::<f64>()?, 81.0);
            assert!(store.get(&constant).is_none());
        }
        assert!(!product([&constant; 4])?.track_op());
        for count in 1..6 {
            let numbers = vec![var.as_tensor(); count];
            let value = list_node("sum", &numbers, constant.clone(), |all, _, gradient| {
                Ok(vec![Some(gradient.clone()); all.len()])
            })?;
            let store = value.backward()?;
            assert_eq!(store.get(&var).unwrap().to_scalar::<f64>()?, count as f64);
        }
        // Integers in front.
        let ids = Tensor::new(&[1u32], &Device::Cpu)?;
        let inputs = [&ids, &constant, &constant, var.as_tensor()];
        let value = list_node("last", &inputs, constant.clone(), |_, _, gradient| {
            Ok(vec![None, None, None, Some(gradient.clone())])
        })?;
        let store = value.backward()?;
        assert_eq!(store.get(&var).unwrap().to_scalar::<f64>()?, 1.0);
        // An input that comes twice gets the sum.
        let x = var.as_tensor();
        let store = product([x; 4])?.backward()?;
        assert_eq!(store.get(&var).unwrap().to_scalar::<f64>()?, 32.0);
        Ok(())
    }

    #[test]
    fn threads_go_backward_over_one_graph() -> Result<()> {
        let vars: Vec<Var> = (1..6)
            .map(|i| Var::new(f64::from(i), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let value = product(std::array::from_fn::<_, 5, _>(|i| vars[i].as_tensor()))?;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let store = value.backward().unwrap();
                        for (i, var) in vars.iter().enumerate() {
                            let got = store.get(var).unwrap().to_scalar::<f64>().unwrap();
                            assert_eq!(got, 120.0 / (i + 1) as f64);
                        }
                    }
                });
            }
        });
        Ok(())
    }
}
