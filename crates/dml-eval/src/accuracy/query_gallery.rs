//! Queries and a gallery of the same things seen from several places.
//!
//! The protocol of Market-1501, DukeMTMC-reID and MSMT17; Zheng et al., "Scalable Person Re-identification: A Benchmark"
//! (2015). For query q and image r of the gallery, with identities i and cameras c:
//!
//! ```text
//! ignored    i_r = −1 (junk: a part of a person, a false detection), or i_r = i_q and c_r = c_q
//! match      i_r = i_q and c_r ≠ c_q
//! no match   every other r, distractors (identity 0) among them
//! mAP        mean_average_precision; CMC at rank k  hit_rate_at_k; queries without a match are left out of both
//! ```
//!
//! Ignored images are taken out of the ranking before it is measured. Average precision is the mean of the precision at each
//! match; the protocol's first code took the mean with the precision before that match instead, later ones don't.

use std::sync::Arc;

use dml_core::{PairKind, Relation, Result, check};

/// The identity of images in a gallery that count neither as a match nor as none.
pub const JUNK: i64 = -1;

/// Who matches whom in re-identification: the same thing matches, unless the same camera saw it, and then it does not count
/// either way; nor does a gallery row of the identity [`JUNK`], −1. The whole protocol is in the [module](self).
///
/// `(things, cameras)` say of every row what is seen and where from. Metrics of rankings pass over what does not count.
/// A row that is both query and gallery does not count for itself, since the same camera saw it;
/// [`Relation::with_self_matches`] says so where cameras do not tell.
///
/// ```
/// use dml_core::PairKind;
/// use dml_eval::query_gallery_relation;
///
/// let relation = query_gallery_relation((&[7], &[0]), (&[7, 7, 8, -1], &[0, 1, 0, 2]))?;
/// let verdicts: Vec<PairKind> = (0..4).map(|r| relation.pair_kind(0, r)).collect();
/// let expected = [PairKind::Ignored, PairKind::POSITIVE, PairKind::NEGATIVE, PairKind::Ignored];
/// assert_eq!(verdicts, expected);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// The evaluation of Market-1501:
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{
///     AccuracyCalculator, AccuracyCalculatorConfig, FlatIndex, FlatMetric, RetrievalMetric, query_gallery_relation,
/// };
///
/// let query = Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
/// // Closest first: the same camera's image, junk, a match, a distractor, another match.
/// let gallery = Tensor::new(&[[1f32, 0.], [1., 0.1], [1., 0.2], [1., 0.3], [1., 0.4]], &Device::Cpu)?;
/// let relation = query_gallery_relation((&[7], &[1]), (&[7, -1, 7, 0, 7], &[1, 2, 2, 3, 3]))?;
/// let batch = Batch::unlabeled(&query)?.with_unlabeled_reference(&gallery)?.with_relation(relation)?;
/// let config = AccuracyCalculatorConfig {
///     // None of PML's metrics; of the others mAP and rank 1.
///     exclude: dml_eval::AccuracyMetric::ALL.to_vec(),
///     retrieval: vec![RetrievalMetric::MeanAveragePrecision, RetrievalMetric::HitRateAt(1)],
///     ..Default::default()
/// };
/// let index = FlatIndex::new(FlatMetric::Cosine);
/// let found = AccuracyCalculator::new(config, index)?.get_accuracy(&batch)?;
/// // The ranking that counts is match, distractor, match.
/// assert_eq!(found.get("hit_rate_at_1").unwrap().value, 1.0);
/// assert_eq!(found.get("mean_average_precision").unwrap().value, (1. + 2. / 3.) / 2.);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`](dml_core::Error::Length) if there is not one camera for each thing.
pub fn query_gallery_relation(
    query: (&[i64], &[i64]),
    gallery: (&[i64], &[i64]),
) -> Result<Relation> {
    let pairs = |arg, (things, cameras): (&[i64], &[i64])| -> Result<Arc<[(i64, i64)]>> {
        check::length(arg, things.len(), cameras.len())?;
        let pairs = things.iter().copied().zip(cameras.iter().copied());
        Ok(pairs.collect())
    };
    let query = pairs("query cameras", query)?;
    let gallery = pairs("gallery cameras", gallery)?;
    let counts = (query.len(), gallery.len());
    Ok(Relation::closure(counts.0, counts.1, move |q, r| {
        let ((thing, camera), (other, elsewhere)) = (query[q], gallery[r]);
        match (thing == other, camera == elsewhere) {
            _ if other == JUNK => PairKind::Ignored,
            (true, true) => PairKind::Ignored,
            (true, false) => PairKind::POSITIVE,
            (false, _) => PairKind::NEGATIVE,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric};
    use crate::index::FlatIndex;
    use candle_core::{Device, Tensor};
    use dml_core::Batch;
    use dml_core::Error;

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
        let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
        let accuracies = calculator.get_accuracy(&batch)?;
        let per_query = |metric| accuracies.get(metric).map(|score| score.per_query.clone());
        assert_eq!(per_query("precision_at_1"), Some(vec![0.0, 1.0]));
        assert_eq!(per_query("mean_reciprocal_rank"), Some(vec![0.5, 1.0]));
        Ok(())
    }

    /// The value of mAP and of every query, and the same of rank 1.
    fn evaluated(
        query: &[f32],
        gallery: &[f32],
        relation: Relation,
    ) -> Result<[(f64, Vec<f64>); 2]> {
        let line = |places: &[f32]| Tensor::from_slice(places, (places.len(), 1), &Device::Cpu);
        let batch = Batch::unlabeled(&line(query)?)?
            .with_unlabeled_reference(&line(gallery)?)?
            .with_relation(relation)?;
        let config = AccuracyCalculatorConfig {
            exclude: AccuracyMetric::ALL.to_vec(),
            retrieval: vec![
                crate::RetrievalMetric::MeanAveragePrecision,
                crate::RetrievalMetric::HitRateAt(1),
            ],
            ..Default::default()
        };
        let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
        let found = calculator.get_accuracy(&batch)?;
        let score = |name| {
            let score = found.get(name).unwrap();
            (score.value, score.per_query.clone())
        };
        Ok([score("mean_average_precision"), score("hit_rate_at_1")])
    }

    #[test]
    fn junk_and_the_same_camera_leave_a_perfect_ranking_perfect() -> Result<()> {
        // Gallery in order of distance from 0: junk, the same camera, junk, both matches, a distractor.
        let gallery = [0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6];
        let of_gallery: (&[i64], &[i64]) = (&[JUNK, 3, JUNK, 3, 3, 0], &[2, 1, 1, 2, 3, 1]);
        let relation = query_gallery_relation((&[3], &[1]), of_gallery)?;
        let [precision, first] = evaluated(&[0.0], &gallery, relation)?;
        assert_eq!((precision.0, first.0), (1.0, 1.0));
        // Seen by camera 2, the first match is at 0.2, and that at 0.4 does not count.
        let relation = query_gallery_relation((&[3], &[2]), of_gallery)?;
        let [precision, first] = evaluated(&[0.0], &gallery, relation)?;
        assert_eq!((precision.0, first.0), (1.0, 1.0));
        // Distractors count: 0.6 is a distractor, then matches at 0.5, 0.4 and, of the same camera, 0.2.
        let relation = query_gallery_relation((&[3], &[1]), of_gallery)?;
        let [precision, first] = evaluated(&[1.0], &gallery, relation)?;
        assert!((precision.0 - (1. / 2. + 2. / 3.) / 2.).abs() < 1e-15);
        assert_eq!(first.0, 0.0);
        Ok(())
    }

    #[test]
    fn queries_without_a_match_are_left_out_and_junk_queries_have_none() -> Result<()> {
        // Query 0 finds its match, query 1 is seen by one camera only, query 2 is junk.
        let query: (&[i64], &[i64]) = (&[5, 6, JUNK], &[0, 0, 0]);
        let relation = query_gallery_relation(query, (&[5, 6, JUNK], &[1, 0, 1]))?;
        let [precision, first] = evaluated(&[0., 1., 2.], &[0., 1., 2.], relation)?;
        assert_eq!((precision.0, first.0), (1.0, 1.0));
        assert!(precision.1[1].is_nan() && precision.1[2].is_nan());
        Ok(())
    }

    #[test]
    fn a_row_may_be_query_and_gallery() -> Result<()> {
        // All rows are both, as in data sets without a separate query set.
        let (things, cameras): (&[i64], &[i64]) = (&[1, 1, 2, 2], &[0, 1, 0, 1]);
        let places = [0.0, 1.0, 1.1, 2.2];
        let relation = query_gallery_relation((things, cameras), (things, cameras))?;
        let known = relation.clone().with_diagonal_self_matches()?;
        // The nearest others: 1 (a match); 1.1, then 0 (a match); 1, then 0, then 2.2 (a match); 1.1 (a match).
        let want = [1., 1. / 2., 1. / 3., 1.];
        for relation in [relation, known] {
            let [precision, first] = evaluated(&places, &places, relation)?;
            for (got, want) in precision.1.iter().zip(want) {
                assert!((got - want).abs() < 1e-15, "{:?}", precision.1);
            }
            assert_eq!(first.1, [1., 0., 0., 1.]);
        }
        // One camera for all, but a row is not its own neighbour: only then is the same thing no match at all.
        let relation = query_gallery_relation((things, &[0; 4]), (things, &[0; 4]))?;
        let [precision, _] = evaluated(&places, &places, relation)?;
        assert!(precision.0.is_nan());
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
        let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
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
