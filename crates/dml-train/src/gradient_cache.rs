//! Gradients of a large batch in the memory of a small one.
//!
//! ```text
//! 1.  z = f(x), chunk by chunk, without graph
//! 2.  u = ∂L/∂z of the whole batch
//! 3.  for each chunk c:  ∂L/∂θ += ∂⟨u_c, f(x_c)⟩/∂θ, with graph
//! ```
//!
//! Gao, Zhang, Han, Callan 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (arXiv
//! 2101.06983), §3.2. The gradient is that of the whole batch for any loss, as long as f treats each row by itself; the
//! forward pass is done twice. Dropout draws the same masks both times, by the seeds of the modules.

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use dml_core::{Examples, Result, SeedSequence, check, no_grad};

use crate::method::number;
use crate::{Losses, Method};

/// The gradients of a batch in one pass.
pub(crate) fn one_pass(
    method: &dyn Method,
    examples: &Examples,
    epoch: u64,
    loss_scale: f64,
) -> Result<(GradStore, Losses)> {
    let views = examples.views().iter().enumerate();
    let representations: Vec<Tensor> = views
        .map(|(i, view)| method.represent_view(i, view, true))
        .collect::<Result<_>>()?;
    let losses = method.losses(&representations, examples, epoch)?;
    Ok((scaled(&losses, loss_scale)?.backward()?, losses))
}

/// The gradients of a batch, `rows` rows at a time ([method](self)).
pub(crate) fn cached(
    method: &dyn Method,
    examples: &Examples,
    epoch: u64,
    loss_scale: f64,
    rows: usize,
) -> Result<(GradStore, Losses)> {
    let seeds: Vec<SeedSequence> = method
        .modules()
        .iter()
        .flat_map(|module| module.seeds().iter().map(SeedSequence::handle))
        .collect();
    let calls = || -> Vec<u64> { seeds.iter().map(SeedSequence::calls).collect() };
    let resume = |calls: &[u64]| {
        for (seed, calls) in seeds.iter().zip(calls) {
            seed.resume(*calls);
        }
    };
    let mut before = Vec::new();
    let mut leaves = Vec::new();
    for (i, view) in examples.views().iter().enumerate() {
        let mut outputs = Vec::new();
        for chunk in chunks(view, rows)? {
            let memory = before.is_empty().then(|| Memory::of(method)).transpose()?;
            before.push(calls());
            let output = no_grad(|| method.represent_view(i, &chunk, true))?;
            outputs.push(output.detach());
            memory.as_ref().map_or(Ok(()), Memory::check)?;
        }
        leaves.push(Var::from_tensor(&Tensor::cat(&outputs, 0)?)?);
    }
    let representations: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
    let losses = method.losses(&representations, examples, epoch)?;
    let mut gradients = scaled(&losses, loss_scale)?.backward()?;
    // The second pass needs gradients of rows alone: matrices of the batch would only take memory from it.
    let losses = losses.detached();
    drop(representations);
    let variables: Vec<Var> = method
        .modules()
        .iter()
        .flat_map(|module| module.group.variables().cloned())
        .collect();
    let after = calls();
    let mut before = before.iter();
    for (i, (view, leaf)) in examples.views().iter().zip(&leaves).enumerate() {
        let upstream = gradients.remove(leaf);
        let mut start = 0;
        for (chunk, calls) in chunks(view, rows)?.into_iter().zip(&mut before) {
            let Some(upstream) = &upstream else {
                // The loss does not read this view.
                continue;
            };
            resume(calls);
            let output = method.represent_view(i, &chunk, true)?;
            let len = output.dims()[0];
            check_repeats(&output, &leaf.narrow(0, start, len)?)?;
            let upstream = upstream.narrow(0, start, len)?;
            let surrogate = (output * upstream)?.sum_all()?;
            let mut own = surrogate.backward()?;
            for var in &variables {
                // What else has a gradient, such as `upstream`, is of this chunk alone.
                let Some(gradient) = own.remove(var) else {
                    continue;
                };
                let sum = match gradients.remove(var) {
                    None => gradient,
                    Some(sum) => (sum + gradient)?.detach(),
                };
                gradients.insert(var, sum);
            }
            start += len;
        }
    }
    resume(&after);
    Ok((gradients, losses))
}

/// What modules remember, as it was before the first chunk.
struct Memory(Vec<(Var, Tensor)>);

impl Memory {
    fn of(method: &dyn Method) -> Result<Self> {
        let modules = method.modules().into_iter();
        let buffers =
            modules.flat_map(|module| module.buffers().iter().map(|(_, var)| var.clone()));
        let with_copy = |var: Var| {
            let copy = var.as_detached_tensor().copy()?;
            Ok((var, copy))
        };
        Ok(Self(buffers.map(with_copy).collect::<Result<_>>()?))
    }

    /// Whether it is the same still. Else it is put back: a step that is refused leaves no trace.
    fn check(&self) -> Result<()> {
        let mut changed = false;
        for (var, copy) in &self.0 {
            // A NaN that was there before is no change, though it differs from itself.
            let differs = (var.as_detached_tensor().ne(copy)? * copy.eq(copy)?)?;
            if number(&differs.to_dtype(DType::F32)?.sum_all()?)? > 0.0 {
                var.set(copy)?;
                changed = true;
            }
        }
        let reason = "a module measures its batch, as batch normalisation in training does, and would measure chunks: \
                      call freeze_statistics of its layers first";
        check::supported(!changed, "gradient cache", reason)
    }
}

/// What gradients are taken of.
fn scaled(losses: &Losses, loss_scale: f64) -> Result<Tensor> {
    let total = losses.total()?;
    if loss_scale == 1.0 {
        return Ok(total);
    }
    Ok((total * loss_scale)?)
}

pub(crate) fn chunks(view: &Tensor, rows: usize) -> Result<Vec<Tensor>> {
    let count = view.dims()[0];
    let chunk = |start| Ok(view.narrow(0, start, rows.min(count - start))?);
    // A batch without rows is one chunk without rows.
    (0..count.max(1)).step_by(rows).map(chunk).collect()
}

/// Whether the second pass made what the first one did. Rounding may differ on some devices, masks may not.
fn check_repeats(second: &Tensor, first: &Tensor) -> Result<()> {
    let wide = |tensor: &Tensor| tensor.detach().to_dtype(DType::F32);
    if second.elem_count() == 0 {
        return Ok(());
    }
    let (first, second) = (wide(first)?, wide(second)?);
    let largest = number(&first.abs()?.max_all()?)?;
    let change = number(&(first - second)?.abs()?.max_all()?)?;
    // Written so that a NaN, of which the loss will tell, is no reproach to the seeds.
    let is_other = change > 1e-2 * largest;
    let reason = "a module gave other numbers for the same rows: tell NamedModule::with_seeds what it draws from";
    check::supported(!is_other, "gradient cache", reason)
}
