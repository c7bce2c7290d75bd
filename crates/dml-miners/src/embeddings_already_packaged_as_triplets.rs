//! Triplets that the loader has put in order already.
//!
//! ```text
//! rows (0, 1, 2), (3, 4, 5), … are anchor, positive and negative
//! ```

use dml_core::{Batch, Miner, Result, Triplets, Tuples, check};

/// Takes every three rows as anchor, positive and negative. Labels are not read.
///
/// ```
/// use dml_core::{Batch, Miner, TupleCount, candle_core::{DType, Device, Tensor}};
/// use dml_miners::EmbeddingsAlreadyPackagedAsTriplets;
///
/// let batch = Batch::unlabeled(&Tensor::zeros((6, 2), DType::F32, &Device::Cpu)?)?;
/// let triplets = EmbeddingsAlreadyPackagedAsTriplets.mine(&batch)?.triplets(&batch)?;
/// assert_eq!((triplets.anchors[1], triplets.positives[1], triplets.negatives[1]), (3, 4, 5));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct EmbeddingsAlreadyPackagedAsTriplets;

impl Miner for EmbeddingsAlreadyPackagedAsTriplets {
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the number of rows is a multiple of three, or if
    /// there are references.
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let supported =
            |can, reason| check::supported(can, "EmbeddingsAlreadyPackagedAsTriplets", reason);
        let reason = "the triplets are rows of the batch: give no references";
        supported(batch.reference().is_none(), reason)?;
        let rows = batch.queries() as u32;
        let reason = "the number of rows must be a multiple of three";
        supported(rows.is_multiple_of(3), reason)?;
        let every_third = |first: u32| (first..rows).step_by(3).collect();
        Ok(Triplets::new(every_third(0), every_third(1), every_third(2))?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use dml_core::Error;

    #[test]
    fn seven_rows_are_no_triplets_and_references_have_no_place() -> Result<()> {
        let rows = |n: usize| Tensor::zeros((n, 1), DType::F32, &Device::Cpu);
        let batch = Batch::unlabeled(&rows(7)?)?;
        assert!(matches!(
            EmbeddingsAlreadyPackagedAsTriplets.mine(&batch),
            Err(Error::Unsupported { .. })
        ));
        let batch = Batch::unlabeled(&rows(6)?)?;
        assert!(EmbeddingsAlreadyPackagedAsTriplets.mine(&batch).is_ok());
        let batch = batch.with_unlabeled_reference(&rows(6)?)?;
        assert!(EmbeddingsAlreadyPackagedAsTriplets.mine(&batch).is_err());
        Ok(())
    }
}
