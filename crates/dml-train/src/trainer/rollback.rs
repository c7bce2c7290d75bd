//! What a step changes besides weights and optimisers, as it was before the step.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Tensor, Var};
use dml_core::{Loss, Result, SeedSequence};
use tracing::error;

use crate::host_numbers::first_non_finite;
use crate::{Criterion, NonFinite};

/// Buffers of parts and losses and positions of random sequences. Unless it is told that the step was made, it puts them
/// back when it is dropped: after an error and after a panic.
pub(super) struct BeforeStep {
    buffers: Vec<Buffer>,
    losses: Vec<(Arc<dyn Loss>, HashMap<String, Tensor>)>,
    seeds: Vec<(SeedSequence, u64)>,
}

struct Buffer {
    name: String,
    var: Var,
    copy: Tensor,
}

impl BeforeStep {
    pub(super) fn of(
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

    /// A buffer of a part that was finite and is no longer. A buffer may hold infinities from the start, as masks do.
    pub(super) fn fault(&self) -> Result<Option<NonFinite>> {
        let latest = self.buffers.iter().map(|own| ((), own.var.as_tensor()));
        if first_non_finite(latest)?.is_none() {
            return Ok(None);
        }
        for Buffer { name, var, copy } in &self.buffers {
            let is_finite =
                |tensor| Ok::<bool, dml_core::Error>(first_non_finite([((), tensor)])?.is_none());
            if !is_finite(var.as_tensor())? && is_finite(copy)? {
                let buffer = name.clone();
                return Ok(Some(NonFinite::Buffer { buffer }));
            }
        }
        Ok(None)
    }

    /// The step was made: what it changed stays.
    pub(super) fn forget(mut self) {
        self.clear();
    }

    /// The step is skipped: buffers are put back, random sequences go on.
    pub(super) fn skip(mut self) -> Result<()> {
        self.seeds.clear();
        self.put_back()
    }

    fn clear(&mut self) {
        self.buffers.clear();
        self.losses.clear();
        self.seeds.clear();
    }

    /// Puts all back, even if something can't be, and returns the first error.
    fn put_back(&mut self) -> Result<()> {
        let mut all = Ok(());
        for Buffer { var, copy, .. } in &self.buffers {
            let set = var.set(copy).map_err(dml_core::Error::from);
            all = all.and(set);
        }
        for (loss, buffers) in &self.losses {
            let set = loss.set_buffers(buffers);
            all = all.and(set);
        }
        for (seeds, calls) in &self.seeds {
            seeds.resume(*calls);
        }
        self.clear();
        all
    }
}

impl Drop for BeforeStep {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            error!(%error, "buffers could not be put back after a step that failed");
        }
    }
}
