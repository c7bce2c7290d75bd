//! Modules that say what a training loop has to know of them.

use candle_core::{ModuleT, Var};

use crate::SeedSequence;

/// What a module has beside its computation.
#[derive(Debug, Default)]
pub struct Contents {
    /// What it learns, by name.
    pub parameters: Vec<(String, Var)>,
    /// What it changes without learning it, by name: the running numbers of batch normalisation.
    pub buffers: Vec<(String, Var)>,
    /// Where its randomness comes from: [handles](SeedSequence::handle).
    pub seeds: Vec<SeedSequence>,
}

/// A module that knows its [`Contents`], so that nobody has to list them beside it and forget some: what is not told is
/// neither saved nor repeated by a run that is taken up again.
///
/// ```
/// use dml_core::candle_core::{Device, ModuleT, Result, Tensor, Var};
/// use dml_core::{Contents, Trainable};
///
/// /// Multiplies by a number that it learns.
/// struct Scale(Var);
/// impl ModuleT for Scale {
///     fn forward_t(&self, x: &Tensor, _train: bool) -> Result<Tensor> {
///         x.broadcast_mul(&self.0)
///     }
/// }
/// impl Trainable for Scale {
///     fn contents(&self) -> Contents {
///         Contents { parameters: vec![("scale".to_owned(), self.0.clone())], ..Contents::default() }
///     }
/// }
/// let scale = Scale(Var::new(&[2f32], &Device::Cpu)?);
/// assert_eq!(scale.contents().parameters[0].0, "scale");
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Trainable: ModuleT {
    /// What the module learns, changes and draws from.
    fn contents(&self) -> Contents;
}
