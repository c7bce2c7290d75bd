//! Queries and a gallery of the same things seen from several places.

use std::sync::Arc;

use dml_core::{Error, Relation, Result, Verdict};

/// Label of the rows of a gallery that are of no class, −1: detections that no identity was given, as Market-1501 has them.
pub const JUNK: i64 = -1;

/// Who matches whom in re-identification: the same thing matches, unless the same camera saw it, and then it does not count
/// either way. Neither does what is [`JUNK`] in the gallery.
///
/// `(things, cameras)` say of every row what is seen and where from. Metrics of rankings pass over what does not count.
/// A row may be a query and in the gallery: the same camera saw both.
///
/// ```
/// use dml_core::Verdict;
/// use dml_eval::query_gallery_relation;
///
/// let relation = query_gallery_relation((&[7], &[0]), (&[7, 7, 8, -1], &[0, 1, 0, 2]))?;
/// let verdicts: Vec<Verdict> = (0..4).map(|r| relation.judge(0, r)).collect();
/// let expected = [Verdict::Ignored, Verdict::POSITIVE, Verdict::NEGATIVE, Verdict::Ignored];
/// assert_eq!(verdicts, expected);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] if there is not one camera for each thing.
pub fn query_gallery_relation(
    query: (&[i64], &[i64]),
    gallery: (&[i64], &[i64]),
) -> Result<Relation> {
    let pairs = |arg, (things, cameras): (&[i64], &[i64])| {
        if things.len() != cameras.len() {
            return Err(Error::Length {
                arg,
                expected: things.len(),
                got: cameras.len(),
            });
        }
        let pairs = things.iter().copied().zip(cameras.iter().copied());
        Ok(pairs.collect::<Arc<[(i64, i64)]>>())
    };
    let query = pairs("query cameras", query)?;
    let gallery = pairs("gallery cameras", gallery)?;
    let counts = (query.len(), gallery.len());
    Ok(Relation::closure(counts.0, counts.1, move |q, r| {
        let ((thing, camera), (other, elsewhere)) = (query[q], gallery[r]);
        if other == JUNK {
            return Verdict::Ignored;
        }
        match (thing == other, camera == elsewhere) {
            (true, true) => Verdict::Ignored,
            (true, false) => Verdict::POSITIVE,
            (false, _) => Verdict::NEGATIVE,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex};
    use candle_core::{Device, Tensor};
    use dml_core::Batch;

    #[test]
    fn the_view_of_the_same_camera_is_passed_over() -> Result<()> {
        let query = Tensor::new(&[[0f32], [9.]], &Device::Cpu)?;
        // Nearest to the first query: itself by the same camera, then another thing, then itself by another camera.
        let gallery = Tensor::new(&[[0.1f32], [0.2], [0.3], [8.]], &Device::Cpu)?;
        let relation = query_gallery_relation((&[7, 8], &[0, 0]), (&[7, 5, 7, 8], &[0, 0, 1, 1]))?;
        let batch = Batch::unlabeled(&query)?
            .with_unlabeled_reference(&gallery)?
            .with_relation(relation)?;
        let config = AccuracyCalculatorConfig {
            include: vec![
                AccuracyMetric::PrecisionAt1,
                AccuracyMetric::MeanReciprocalRank,
            ],
            ..Default::default()
        };
        let calculator = AccuracyCalculator::new(config, Arc::new(FlatIndex::default()))?;
        let accuracies = calculator.get_accuracy(&batch)?;
        let per_query = |metric| accuracies.get(metric).map(|score| score.per_query.clone());
        assert_eq!(per_query("precision_at_1"), Some(vec![0.0, 1.0]));
        assert_eq!(per_query("mean_reciprocal_rank"), Some(vec![0.5, 1.0]));
        Ok(())
    }

    #[test]
    fn junk_is_passed_over_wherever_it_ranks() -> Result<()> {
        let query = Tensor::new(&[[0f32]], &Device::Cpu)?;
        let gallery = Tensor::new(&[[0.1f32], [0.2], [0.3], [0.4]], &Device::Cpu)?;
        let relation = query_gallery_relation((&[7], &[0]), (&[JUNK, 7, 7, 5], &[1, 0, 1, 1]))?;
        let batch = Batch::unlabeled(&query)?
            .with_unlabeled_reference(&gallery)?
            .with_relation(relation)?;
        let config = AccuracyCalculatorConfig {
            include: vec![AccuracyMetric::MeanAveragePrecision],
            ..Default::default()
        };
        let calculator = AccuracyCalculator::new(config, Arc::new(FlatIndex::default()))?;
        let accuracies = calculator.get_accuracy(&batch)?;
        let score = accuracies.get("mean_average_precision").unwrap();
        // Junk and the view of the same camera come first and don't count: the third is the first.
        assert_eq!(score.per_query, [1.0]);
        Ok(())
    }

    #[test]
    fn every_row_has_a_camera() {
        assert!(matches!(
            query_gallery_relation((&[1], &[]), (&[], &[])),
            Err(Error::Length {
                arg: "query cameras",
                expected: 1,
                got: 0
            })
        ));
        assert!(query_gallery_relation((&[], &[]), (&[1], &[1, 2])).is_err());
    }
}
