//! Miners: which pairs or triplets of a batch a loss is computed over.

use std::fmt::Debug;
use std::sync::Arc;

use crate::forward;
use crate::{Batch, Result, SeedSequence, Tuples};

/// Chooses which pairs or triplets of a batch are worth learning from. Miners compute no gradients. Where
/// [`Batch::is_spoiled`], everything is chosen.
///
/// A miner does not look at what pairs of a relation weigh, and tuples hold no weights: a loss that reads weights finds
/// those of the chosen pairs in the relation of the batch.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Miner, PairKind, Pairs, Result, TensorExt, Tuples};
///
/// /// Positive pairs further apart than a limit, and negative pairs that are closer.
/// #[derive(Debug)]
/// struct Confused {
///     limit: f32,
/// }
///
/// impl Miner for Confused {
///     fn mine(&self, batch: &Batch) -> Result<Tuples> {
///         let relation = batch.require_relation("Confused")?;
///         if batch.is_spoiled()? {
///             return Ok(Tuples::all());
///         }
///         let rows = batch.embeddings();
///         let matrix = rows.pairwise_lp(batch.reference().unwrap_or(rows), 2.0)?.to_vec2::<f32>()?;
///         let mut pairs = Pairs::default();
///         for (q, row) in matrix.iter().enumerate() {
///             for (r, distance) in row.iter().enumerate() {
///                 match relation.pair_kind(q, r) {
///                     PairKind::Positive(_) if *distance > self.limit => {
///                         pairs.positive_anchors.push(q as u32);
///                         pairs.positives.push(r as u32);
///                     }
///                     PairKind::Negative(_) if *distance < self.limit => {
///                         pairs.negative_anchors.push(q as u32);
///                         pairs.negatives.push(r as u32);
///                     }
///                     _ => {}
///                 }
///             }
///         }
///         Ok(pairs.into())
///     }
/// }
///
/// let embeddings = Tensor::new(&[[0f32], [3.], [4.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// let mined = Confused { limit: 2.0 }.mine(&batch)?;
/// let pairs = mined.pairs(&batch)?;
/// assert_eq!((&pairs.positive_anchors[..], &pairs.positives[..]), (&[0, 1][..], &[1, 0][..]));
/// assert_eq!((&pairs.negative_anchors[..], &pairs.negatives[..]), (&[1, 2][..], &[2, 1][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Miner: Debug + Send + Sync {
    /// The chosen tuples of `batch`.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch has no relation, and as the miner's distance.
    fn mine(&self, batch: &Batch) -> Result<Tuples>;

    /// The chosen ones of tuples that another miner chose before, as in a cascade. A miner that only knows whole
    /// batches, which is what stands here, mines the batch.
    ///
    /// # Errors
    /// As [`mine`](Miner::mine).
    fn mine_among(&self, batch: &Batch, _tuples: &Tuples) -> Result<Tuples> {
        self.mine(batch)
    }

    /// Where the miner's randomness comes from: [handles](SeedSequence::handle) for a checkpoint.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }
}

forward!(Miner for [&T, Box<T>, Arc<T>] {
    fn mine(&self, batch: &Batch) -> Result<Tuples>;
    fn mine_among(&self, batch: &Batch, tuples: &Tuples) -> Result<Tuples>;
    fn seeds(&self) -> Vec<SeedSequence>;
});
