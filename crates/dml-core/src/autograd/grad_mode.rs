//! Which operations are recorded for a backward pass: all, none, or all but those of frozen variables.
//!
//! Candle records an operation if one of its inputs is a variable or was recorded itself; it has no switch. The mode of a
//! thread is one here: [`no_grad`] turns recording off for a closure, [`with_frozen`] makes variables constants in it. Nodes
//! of [`autograd`](crate::autograd) follow the mode. Operations of Candle follow it as far as their inputs do, so layers pass
//! their variables through [`in_graph`].

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use candle_core::{Tensor, TensorId, Var};

/// Variables that are constants within [`with_frozen`]. Clones share one list.
///
/// ```
/// use dml_core::FrozenVariables;
/// use dml_core::candle_core::{Device, Var};
///
/// let (weight, bias) = (Var::new(2f32, &Device::Cpu)?, Var::new(1f32, &Device::Cpu)?);
/// let frozen: FrozenVariables = [&weight].into_iter().collect();
/// assert!(frozen.contains(&weight) && !frozen.contains(&bias));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FrozenVariables(Arc<HashSet<TensorId>>);

impl FrozenVariables {
    /// Whether the tensor is one of the variables.
    #[must_use]
    pub fn contains(&self, tensor: &Tensor) -> bool {
        !self.0.is_empty() && self.0.contains(&tensor.id())
    }

    /// Whether there is no variable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn union(&self, other: &Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (_, true) => self.clone(),
            (true, _) => other.clone(),
            _ => Self(Arc::new(self.0.union(&other.0).copied().collect())),
        }
    }
}

impl<'a> FromIterator<&'a Var> for FrozenVariables {
    fn from_iter<I: IntoIterator<Item = &'a Var>>(variables: I) -> Self {
        let ids = variables.into_iter().map(|var| var.id());
        Self(Arc::new(ids.collect()))
    }
}

/// The mode of a thread: what is recorded.
#[derive(Clone, Debug, Default)]
pub struct GradMode {
    is_off: bool,
    frozen: FrozenVariables,
}

thread_local! {
    static MODE: RefCell<GradMode> = RefCell::default();
}

impl GradMode {
    /// The mode of this thread.
    #[must_use]
    pub fn current() -> Self {
        MODE.with_borrow(Self::clone)
    }

    /// Runs `f` in this mode, such as a part of the forward pass that a backward pass repeats.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        /// Restores the previous mode, also when `f` panics.
        struct Restore(Option<GradMode>);
        impl Drop for Restore {
            fn drop(&mut self) {
                if let Some(mode) = self.0.take() {
                    MODE.set(mode);
                }
            }
        }
        let _restore = Restore(Some(MODE.replace(self)));
        f()
    }
}

/// Runs `f` without recording a graph: PyTorch's `torch.no_grad`.
///
/// Results of layers and losses within `f` are constants: no gradient reaches a parameter through them, and nothing is kept
/// for a backward pass, so each activation is freed as soon as the next layer has read it. The numbers are the same to the
/// bit. It holds for this thread, until `f` returns or panics; calls may be nested.
///
/// Operations of Candle on a variable are recorded even so, since Candle has no switch: layers of one's own pass their
/// variables through [`in_graph`].
///
/// ```
/// use dml_core::candle_core::{Device, Var};
/// use dml_core::{TensorExt, no_grad};
///
/// let rows = Var::new(&[[3f32, 4.]], &Device::Cpu)?;
/// assert!(rows.normalize_rows(2.0)?.track_op());
/// let unit = no_grad(|| rows.normalize_rows(2.0))?;
/// assert!(!unit.track_op());
/// assert_eq!(unit.to_vec2::<f32>()?, [[0.6, 0.8]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let mode = GradMode {
        is_off: true,
        ..GradMode::current()
    };
    mode.run(f)
}

/// Runs `f` with frozen variables as constants: no gradient is computed for them, and none for what lies below the lowest
/// variable that learns.
///
/// It holds for this thread, until `f` returns or panics. Nested calls freeze the variables of all of them. Layers of one's
/// own pass their variables through [`in_graph`].
///
/// ```
/// use dml_core::candle_core::{Device, Var};
/// use dml_core::{in_graph, with_frozen};
///
/// let (weight, bias) = (Var::new(2f32, &Device::Cpu)?, Var::new(1f32, &Device::Cpu)?);
/// let sum = || in_graph(&weight) + in_graph(&bias);
/// let gradients = with_frozen(&[&weight].into_iter().collect(), sum)?.backward()?;
/// assert!(gradients.get(&weight).is_none() && gradients.get(&bias).is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
pub fn with_frozen<R>(frozen: &FrozenVariables, f: impl FnOnce() -> R) -> R {
    if frozen.is_empty() {
        return f();
    }
    let mode = GradMode::current();
    let frozen = mode.frozen.union(frozen);
    GradMode { frozen, ..mode }.run(f)
}

/// The tensor as operations should read it in the mode of this thread: a constant on the same memory for a frozen variable,
/// and for every tensor within [`no_grad`]; else the tensor itself.
///
/// ```
/// use dml_core::candle_core::{Device, Var};
/// use dml_core::{in_graph, no_grad};
///
/// let weight = Var::new(2f32, &Device::Cpu)?;
/// assert_eq!(in_graph(&weight).id(), weight.id());
/// assert!(!no_grad(|| in_graph(&weight).sqr())?.track_op());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn in_graph(tensor: &Tensor) -> Tensor {
    if is_tracked(tensor) {
        tensor.clone()
    } else {
        tensor.detach()
    }
}

/// Whether operations on the tensor are recorded in the mode of this thread: [`Tensor::track_op`] of [`in_graph`].
#[must_use]
pub fn is_tracked(tensor: &Tensor) -> bool {
    tensor.track_op()
        && MODE.with_borrow(|mode| {
            !(mode.is_off || tensor.is_variable() && mode.frozen.contains(tensor))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::unary;
    use crate::{Result, TensorExt};
    use candle_core::{DType, Device};

    /// Twice the input as a node that keeps `kept` for its backward pass.
    fn doubled(x: &Tensor, kept: &Arc<()>) -> Result<Tensor> {
        let kept = kept.clone();
        let value = (x.detach() * 2.0)?.flatten_all()?.to_vec1::<f64>()?;
        unary("doubled", x, value, x.shape(), move |_, _, gradient| {
            let _kept = &kept;
            Ok((gradient * 2.0)?.flatten_all()?.to_vec1::<f64>()?)
        })
    }

    /// `2²⁰ x`, and how many nodes of the chain are alive when it is computed.
    fn chain(x: &Tensor) -> Result<(Tensor, usize)> {
        let kept = Arc::new(());
        let mut y = x.clone();
        for _ in 0..20 {
            y = doubled(&y, &kept)?;
        }
        Ok((y, Arc::strong_count(&kept) - 1))
    }

    #[test]
    fn a_chain_without_graph_keeps_no_node_and_has_the_same_bits() -> Result<()> {
        // The longer one has gates.
        for len in [3, 5000] {
            let x = Var::full_of(0.1, len)?;
            let (with, kept) = chain(&x)?;
            assert_eq!(kept, 20);
            let (without, kept) = no_grad(|| chain(&x))?;
            assert_eq!(kept, 0);
            assert!(with.track_op() && !without.track_op());
            assert_eq!(with.to_vec1::<f64>()?, without.to_vec1::<f64>()?);
            let both = (without + &with)?.sum_all()?.backward()?;
            let expected = vec![f64::from(1 << 20); len];
            assert_eq!(both.get(&x).unwrap().to_vec1::<f64>()?, expected);
        }
        Ok(())
    }

    trait Full {
        fn full_of(value: f64, len: usize) -> Result<Var>;
    }
    impl Full for Var {
        fn full_of(value: f64, len: usize) -> Result<Var> {
            Ok(Var::from_vec(vec![value; len], len, &Device::Cpu)?)
        }
    }

    #[test]
    fn the_mode_ends_with_the_closure_even_if_it_panics() -> Result<()> {
        let x = Var::ones(3, DType::F64, &Device::Cpu)?;
        let is_recorded = || is_tracked(&x);
        no_grad(|| {
            no_grad(|| assert!(!is_recorded()));
            assert!(!is_recorded());
            // Other threads have modes of their own.
            std::thread::scope(|scope| {
                let other = scope.spawn(is_recorded);
                assert!(other.join().unwrap());
            });
        });
        assert!(is_recorded());
        let panicked = std::panic::catch_unwind(|| no_grad(|| panic!("of the test")));
        assert!(panicked.is_err() && is_recorded());
        let frozen = [&x].into_iter().collect();
        let panicked = std::panic::catch_unwind(|| with_frozen(&frozen, || panic!("of the test")));
        assert!(panicked.is_err() && is_recorded());
        Ok(())
    }

    #[test]
    fn frozen_variables_are_constants_wherever_they_stand() -> Result<()> {
        let vars = [2.0, 3.0, 5.0].map(|value| Var::full_of(value, 5000).unwrap());
        let [a, b, c] = vars.each_ref();
        let kept = Arc::new(());
        let product = || -> Result<Tensor> {
            let [a, b, c] = [doubled(a, &kept)?, doubled(b, &kept)?, doubled(c, &kept)?];
            Ok(((a * b)? * c)?)
        };
        let only = |var: &Var| -> FrozenVariables { [var].into_iter().collect() };
        let (product, alive) = with_frozen(&only(a), || {
            with_frozen(&only(b), || (product(), Arc::strong_count(&kept)))
        });
        // Three nodes are computed, and only the node of `c` is recorded.
        assert_eq!(alive, 2);
        let store = product?.sum_all()?.backward()?;
        assert!(store.get(a).is_none() && store.get(b).is_none());
        let expected = vec![4.0 * 6.0 * 2.0; 5000];
        assert_eq!(store.get(c).unwrap().to_vec1::<f64>()?, expected);
        Ok(())
    }

    #[test]
    fn matrices_of_rows_follow_the_mode() -> Result<()> {
        let x = Var::new(&[[0f64, 1.], [2., 0.], [3., 3.]], &Device::Cpu)?;
        let frozen: FrozenVariables = [&x].into_iter().collect();
        let matrix = || x.pairwise_lp(&x, 2.0);
        let recorded = matrix()?;
        for constant in [no_grad(matrix)?, with_frozen(&frozen, matrix)?] {
            assert!(recorded.track_op() && !constant.track_op());
            assert_eq!(recorded.to_vec2::<f64>()?, constant.to_vec2::<f64>()?);
        }
        Ok(())
    }
}
