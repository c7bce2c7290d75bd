//! State that a step changes beside weights and optimisers, kept so that it can be put back.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Tensor, Var};
use dml_core::{Loss, Result, SeedSequence};
use tracing::error;

use crate::host_numbers::first_non_finite;
use crate::{Criterion, NonFinite};

/// Buffers of modules and losses and positions of random sequences, as they were before a step.
///
/// Dropping it puts all of them back, which is what happens after an error or a panic. [`commit`](Self::commit) keeps the
/// changes of the step.
pub(super) struct Rollback {
    buffers: Vec<Buffer>,
    losses: Vec<(Arc<dyn Loss>, HashMap<String, Tensor>)>,
    seeds: Vec<(SeedSequence, u64)>,
}

struct Buffer {
    name: String,
    var: Var,
    copy: Tensor,
}

impl Rollback {
    /// Copies buffers by name, the buffers of the criteria's losses, and the positions of random sequences by name.
    pub(super) fn new(
        buffers: Vec<(String, Var)>,
        criteria: &[&Criterion],
        seeds: Vec<(String, Vec<SeedSequence>)>,
    ) -> Result<Self> {
        let copied = |(name, var): (String, Var)| {
            let copy = var.as_tensor().copy()?.detach();
            Ok(Buffer { name, var, copy })
        };
        let mut losses = Vec::new();
        for criterion in criteria {
            let loss = criterion.objective().loss();
            let buffers = loss.buffers()?;
            if !buffers.is_empty() {
                losses.push((loss.clone(), buffers.into_iter().collect()));
            }
        }
        let seeds = seeds.into_iter().flat_map(|(_, seeds)| seeds);
        let with_calls = |seeds: SeedSequence| {
            let calls = seeds.calls();
            (seeds, calls)
        };
        Ok(Self {
            buffers: buffers.into_iter().map(copied).collect::<Result<_>>()?,
            losses,
            seeds: seeds.map(with_calls).collect(),
        })
    }

    /// The first buffer of a module that was finite and is no longer. A buffer may hold infinities from the start, as
    /// masks do.
    pub(super) fn buffer_fault(&self) -> Result<Option<NonFinite>> {
        let latest = self.buffers.iter().map(|own| ((), own.var.as_tensor()));
        if first_non_finite(latest)?.is_none() {
            return Ok(None);
        }
        let is_finite =
            |tensor: &Tensor| -> Result<bool> { Ok(first_non_finite([((), tensor)])?.is_none()) };
        for Buffer { name, var, copy } in &self.buffers {
            if !is_finite(var.as_tensor())? && is_finite(copy)? {
                let buffer = name.clone();
                return Ok(Some(NonFinite::Buffer { buffer }));
            }
        }
        Ok(None)
    }

    /// Keeps the changes of a step that was made.
    pub(super) fn commit(mut self) {
        self.clear();
    }

    /// Puts buffers back after a step that is skipped. Random sequences go on.
    pub(super) fn skip(mut self) -> Result<()> {
        self.seeds.clear();
        self.put_back()
    }

    fn clear(&mut self) {
        self.buffers.clear();
        self.losses.clear();
        self.seeds.clear();
    }

    /// Puts everything back, even if some of it can't be, and returns the first error.
    fn put_back(&mut self) -> Result<()> {
        let mut result = Ok(());
        for Buffer { var, copy, .. } in &self.buffers {
            let set = var.set(copy).map_err(dml_core::Error::from);
            result = result.and(set);
        }
        for (loss, buffers) in &self.losses {
            let set = loss.set_buffers(buffers);
            result = result.and(set);
        }
        for (seeds, calls) in &self.seeds {
            seeds.resume(*calls);
        }
        self.clear();
        result
    }
}

impl Drop for Rollback {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            error!(%error, "buffers could not be put back after a step that failed");
        }
    }
}
