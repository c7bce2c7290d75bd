//! How gradients go from node to node without Candle's sums.
//!
//! Candle keeps a gradient for every tensor of the graph. It fills it with zeros, and adds what a consumer sends into a third
//! tensor: four passes over memory for a gradient that has one consumer, more than many a layer takes. Here a node is two
//! nodes of Candle:
//!
//! ```text
//! inputs → gate, one number → output
//! ```
//!
//! The gradient of the output is deposited at the gate, by the output's node when it comes from Candle's operations. A node
//! of ours that reads the output hangs below the gate itself, and deposits there what it computes: the first deposit is
//! moved, each further one is added. Candle goes backward through a gate after all that hangs below it, and there the
//! gradients of the inputs are computed.
//!
//! An output is known by its id on the thread that made it; elsewhere gradients take Candle's way, with the same numbers.
//! Deposits are kept by thread, so that several threads may go backward over one graph.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use candle_core::Tensor;

use super::{SideTable, sum};
use crate::Result;

/// Number of elements from which on an output gets a gate. Below, two nodes cost more than a sum.
const WORTH_A_GATE: usize = 4096;

thread_local! {
    static GATES: SideTable<Gate> = SideTable::new();
}

/// The gate of an output.
pub(super) struct Gate {
    number: Tensor,
    deposits: Arc<Deposits>,
}

/// Gradients of an output, one for each thread that goes backward.
#[derive(Default)]
pub(super) struct Deposits(Mutex<HashMap<ThreadId, Tensor>>);

impl Deposits {
    /// Adds a gradient to what this thread has deposited.
    pub(super) fn add(&self, gradient: &Tensor) -> Result<()> {
        let before = self.take();
        let sum = match before {
            None => gradient.detach(),
            Some(before) => sum(&before, &gradient.detach())?,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(thread::current().id(), sum);
        Ok(())
    }

    /// What this thread has deposited.
    pub(super) fn take(&self) -> Option<Tensor> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&thread::current().id())
    }
}

/// Whether an output of an input gets a gate.
pub(super) fn is_worth_a_gate(input: &Tensor, elements: usize) -> bool {
    elements >= WORTH_A_GATE && input.device().is_cpu() && input.dtype().is_float()
}

/// The gate of a tensor, if this thread has made it.
pub(super) fn gate_of(tensor: &Tensor) -> Option<Arc<Gate>> {
    GATES.with(|gates| gates.get(tensor))
}

/// Makes the gate known.
pub(super) fn register(output: &Tensor, gate: &Arc<Gate>) {
    GATES.with(|gates| gates.insert(output, gate));
}

impl Gate {
    pub(super) fn new(number: Tensor, deposits: Arc<Deposits>) -> Self {
        Self { number, deposits }
    }

    /// The tensor that nodes hang below.
    pub(super) fn number(&self) -> &Tensor {
        &self.number
    }

    /// Deposits a gradient, and returns the gradient of the number.
    pub(super) fn deposit(&self, gradient: Option<Tensor>) -> Result<Tensor> {
        if let Some(gradient) = gradient {
            self.deposits.add(&gradient)?;
        }
        Ok(self.number.zeros_like()?)
    }
}
