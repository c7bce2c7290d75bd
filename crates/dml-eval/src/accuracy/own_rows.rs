//! Saying that the references contain the queries themselves.

use dml_core::fused::with_slice;
use dml_core::{Batch, Error, Result, for_element};

/// The batch with the knowledge that its references begin with its queries: PML's `ref_includes_query`.
///
/// No query then finds itself. A batch without references of its own knows that already.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::with_queries_among_references;
///
/// let query = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
/// let gallery = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu)?;
/// let batch = Batch::new(&query, [0i64, 1])?.with_reference(&gallery, [0i64, 1, 0])?;
/// let batch = with_queries_among_references(batch)?;
/// assert_eq!(batch.relation().unwrap().same_as(1), Some(1));
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Missing`] without labels or a relation, [`Error::Length`] for fewer references than queries,
/// [`Error::Unsupported`] if the first references are not equal to the queries.
pub fn with_queries_among_references(batch: Batch) -> Result<Batch> {
    let Some(reference) = batch.reference() else {
        return Ok(batch);
    };
    let relation = batch.require_relation("with_queries_among_references")?;
    let relation = relation.clone().with_diagonal_identity()?;
    let (queries, first) = (batch.embeddings(), reference.narrow(0, 0, batch.queries())?);
    let equal = for_element!(queries, "embeddings", |T| with_slice::<T, _>(
        queries,
        |q| { with_slice::<T, _>(&first, |r| q == r) }
    ))??;
    if !equal {
        return Err(Error::Unsupported {
            component: "with_queries_among_references",
            reason: "the references do not begin with the queries; put the same rows first, or say which reference is \
                     which query by Relation::with_identity",
        });
    }
    batch.with_relation(relation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn other_rows_are_refused() -> Result<()> {
        let query = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
        for (gallery, labels) in [([[0f32], [1.5]], [0i64, 1]), ([[1.], [0.]], [1, 0])] {
            let gallery = Tensor::new(&gallery, &Device::Cpu)?;
            let batch = Batch::new(&query, [0i64, 1])?.with_reference(&gallery, labels)?;
            assert!(matches!(
                with_queries_among_references(batch),
                Err(Error::Unsupported { .. })
            ));
        }
        let short =
            Batch::new(&query, [0i64, 1])?.with_reference(&query.narrow(0, 0, 1)?, [0i64])?;
        assert!(matches!(
            with_queries_among_references(short),
            Err(Error::Length { .. })
        ));
        let unknown = Batch::unlabeled(&query)?.with_unlabeled_reference(&query)?;
        assert!(matches!(
            with_queries_among_references(unknown),
            Err(Error::Missing { .. })
        ));
        Ok(())
    }
}
