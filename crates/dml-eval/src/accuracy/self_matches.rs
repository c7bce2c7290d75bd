//! Saying that the references contain the queries themselves.

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::{Batch, Result, check};

use crate::rows::doubles_on_cpu;

/// Rows that are compared at a time.
const ROWS: usize = 1 << 12;

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
/// assert_eq!(batch.relation().unwrap().self_match(1), Some(1));
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Missing`](dml_core::Error::Missing) without labels or a relation,
/// [`Error::Length`](dml_core::Error::Length) for fewer references than queries,
/// [`Error::Unsupported`](dml_core::Error::Unsupported) if the first references are not equal to the queries.
pub fn with_queries_among_references(batch: Batch) -> Result<Batch> {
    let Some(reference) = batch.reference() else {
        return Ok(batch);
    };
    let relation = batch.require_relation("with_queries_among_references")?;
    let relation = relation.clone().with_diagonal_self_matches()?;
    let first = reference.narrow(0, 0, batch.queries())?;
    let equal = first.dims() == batch.embeddings().dims() && same_rows(batch.embeddings(), &first)?;
    let reason = "the references do not begin with the queries; put the same rows first, or say which reference is \
                     which query by Relation::with_self_matches";
    check::supported(equal, "with_queries_among_references", reason)?;
    batch.with_relation(relation)
}

/// Whether all numbers are the same, on whatever device and in whatever precision. What is not a number is the same as
/// itself here: that it can't be searched is for the search to say.
#[allow(clippy::float_cmp)]
fn same_rows(a: &Tensor, b: &Tensor) -> Result<bool> {
    let rows = a.dims()[0];
    for start in (0..rows).step_by(ROWS) {
        let part = |rows_of: &Tensor| {
            doubles_on_cpu(&rows_of.detach().narrow(0, start, ROWS.min(rows - start))?)
        };
        let (a, b) = (part(a)?, part(b)?);
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        if !with_slice::<f64, _>(&a, |a| {
            with_slice::<f64, _>(&b, |b| a.iter().zip(b).all(same))
        })?? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use dml_core::Error;

    #[test]
    fn rows_of_half_precision_and_of_several_blocks_are_compared() -> Result<()> {
        let count = ROWS + 3;
        let rows: Vec<f32> = (0..count).map(|i| (i % 251) as f32).collect();
        let labels: Vec<i64> = (0..count as i64).collect();
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let rows = Tensor::from_slice(&rows, (count, 1), &Device::Cpu)?.to_dtype(dtype)?;
            let batch = Batch::new(&rows, &labels)?.with_reference(&rows, &labels)?;
            let batch = with_queries_among_references(batch)?;
            let same = batch
                .relation()
                .and_then(|known| known.self_match(count - 1));
            assert_eq!(same, Some(count - 1), "{dtype:?}");
        }
        // The last row alone is another one.
        let query = Tensor::from_slice(&rows, (count, 1), &Device::Cpu)?;
        let last = Tensor::new(&[[-1f32]], &Device::Cpu)?;
        let gallery = Tensor::cat(&[&query.narrow(0, 0, count - 1)?, &last], 0)?;
        let batch = Batch::new(&query, &labels)?.with_reference(&gallery, &labels)?;
        assert!(matches!(
            with_queries_among_references(batch),
            Err(Error::Unsupported { .. })
        ));
        Ok(())
    }

    #[test]
    fn what_is_not_a_number_is_left_to_the_search() -> Result<()> {
        let rows = Tensor::new(&[[f32::NAN], [1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0])?.with_reference(&rows, [0i64, 0])?;
        let batch = with_queries_among_references(batch)?;
        let index = crate::FlatIndex::default();
        let calculator = crate::AccuracyCalculator::new(Default::default(), index)?;
        let refused = calculator.get_accuracy(&batch);
        assert!(matches!(
            refused,
            Err(Error::InvalidParameter {
                name: "references",
                expected: "finite numbers",
                ..
            })
        ));
        Ok(())
    }

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
