//! Modules that list what a training loop saves and restores.

use candle_core::{ModuleT, Var};

use crate::SeedSequence;

/// Parameters, buffers and seeds of a module.
///
/// ```
/// use dml_core::{Contents, SeedSequence};
///
/// let dropout = Contents { seeds: vec![SeedSequence::new(7)], ..Contents::default() };
/// assert!(dropout.parameters.is_empty() && dropout.buffers.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Contents {
    /// Learned parameters by name.
    pub parameters: Vec<(String, Var)>,
    /// Tensors that change without being learned, by name: the running statistics of batch normalisation.
    pub buffers: Vec<(String, Var)>,
    /// Sources of randomness: [handles](SeedSequence::handle).
    pub seeds: Vec<SeedSequence>,
}

/// A module that lists its [`Contents`], which checkpoints save and resumed runs restore.
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
    /// Parameters, buffers and seeds.
    fn contents(&self) -> Contents;
}
