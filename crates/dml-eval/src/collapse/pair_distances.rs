//! How far apart pairs are on average.

use dml_core::{Batch, Distance, PairKind, Result, check};

use crate::rows::distance_blocks::each_block;

/// What [`mean_pair_distances`] finds.
///
/// ```
/// use dml_core::{Batch, Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// # #[derive(Debug)]
/// # struct Euclidean;
/// # impl Distance for Euclidean {
/// #     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
/// #         query.pairwise_lp(reference.unwrap_or(query), 2.0)
/// #     }
/// # }
///
/// let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu)?;
/// let found = dml_eval::mean_pair_distances(&Batch::new(&rows, [0i64, 0, 1])?, &Euclidean)?;
/// assert!(found.positive_pairs > 0 && found.negative_pairs > found.positive_pairs);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PairDistances {
    /// The mean distance of positive pairs; NaN if there is none.
    pub positive: f64,
    /// The mean distance of negative pairs; NaN if there is none.
    pub negative: f64,
    /// How many positive pairs there are.
    pub positive_pairs: u64,
    /// How many negative pairs there are.
    pub negative_pairs: u64,
}

/// The mean distance (or similarity) of the positive and of the negative pairs of a batch: of its embeddings and its
/// references, or among its embeddings, as its relation judges them. Both small: collapsed to a point.
///
/// ```
/// use dml_core::{Batch, Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// # #[derive(Debug)]
/// # struct Euclidean;
/// # impl Distance for Euclidean {
/// #     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
/// #         query.pairwise_lp(reference.unwrap_or(query), 2.0)
/// #     }
/// # }
///
/// let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu)?;
/// let found = dml_eval::mean_pair_distances(&Batch::new(&rows, [0i64, 0, 1])?, &Euclidean)?;
/// assert_eq!((found.positive, found.negative), (1.0, 4.5));
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Missing`](dml_core::Error::Missing) if the batch has no relation;
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a distance is not a number; those of the distance.
pub fn mean_pair_distances(batch: &Batch, distance: &dyn Distance) -> Result<PairDistances> {
    let relation = batch.require_relation("mean_pair_distances")?;
    let references = batch.references().max(1);
    let (mut positive, mut negative) = ((0.0, 0), (0.0, 0));
    each_block(batch, distance, |start, matrix| {
        for (q, row) in (start..).zip(matrix.chunks_exact(references)) {
            for (r, value) in row.iter().enumerate() {
                let (sum, count) = match relation.pair_kind(q, r) {
                    PairKind::Positive(_) => &mut positive,
                    PairKind::Negative(_) => &mut negative,
                    PairKind::Ignored => continue,
                };
                *sum += value;
                *count += 1;
            }
        }
    })?;
    let are_numbers = !(f64::is_nan(positive.0) || f64::is_nan(negative.0));
    check::parameter(are_numbers, "distance", f64::NAN, "numbers")?;
    Ok(PairDistances {
        positive: positive.0 / positive.1 as f64,
        negative: negative.0 / negative.1 as f64,
        positive_pairs: positive.1,
        negative_pairs: negative.1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use dml_core::Error;
    use dml_core::TensorExt;

    #[derive(Debug)]
    struct Gap;

    impl Distance for Gap {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            query.pairwise_lp(reference.unwrap_or(query), 1.0)
        }
    }

    #[test]
    fn means_by_hand() -> Result<()> {
        let rows = Tensor::new(&[[0f32], [2.], [3.], [7.]], &Device::Cpu)?;
        let found = mean_pair_distances(&Batch::new(&rows, [0i64, 0, 1, 1])?, &Gap)?;
        // 2 and 4, each in both directions; 3, 7, 1 and 5.
        assert_eq!((found.positive, found.negative), (3.0, 4.0));
        assert_eq!((found.positive_pairs, found.negative_pairs), (4, 8));
        let gallery = Tensor::new(&[[1f32]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64; 4])?.with_reference(&gallery, [0i64])?;
        let found = mean_pair_distances(&batch, &Gap)?;
        assert_eq!((found.positive, found.negative_pairs), (2.5, 0));
        assert!(found.negative.is_nan());
        Ok(())
    }

    #[test]
    fn what_is_no_number_is_refused() -> Result<()> {
        let rows = Tensor::new(&[[0f32], [f32::NAN]], &Device::Cpu)?;
        assert!(matches!(
            mean_pair_distances(&Batch::new(&rows, [0i64, 0])?, &Gap),
            Err(Error::InvalidParameter { .. })
        ));
        assert!(matches!(
            mean_pair_distances(&Batch::unlabeled(&rows)?, &Gap),
            Err(Error::Missing { .. })
        ));
        Ok(())
    }
}
