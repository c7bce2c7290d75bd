//! How many neighbours are searched for, and in which blocks.

use std::path::Path;

use super::*;
use crate::index::{IndexFileError, Neighbors, NeighborsWithin};

/// Notes how many neighbours are asked for.
#[derive(Clone, Debug, Default)]
struct Spy(FlatIndex, Arc<std::sync::Mutex<Vec<usize>>>);

impl KnnIndex for Spy {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        self.0.add(references)
    }

    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        self.1.lock().unwrap().push(k);
        self.0.search_others(queries, k, self_matches)
    }

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: SelfMatch<'_>,
    ) -> Result<NeighborsWithin> {
        self.0.search_within(queries, threshold, self_matches)
    }

    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        self.0.remove(rows)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.0.save(path)
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.0.load(path)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self(FlatIndex::default(), self.1.clone()))
    }
}

#[test]
fn no_more_neighbours_are_searched_for_than_the_metrics_need() -> Result<()> {
    for (metric, expected) in [
        (AccuracyMetric::PrecisionAt1, 1),
        (AccuracyMetric::MeanAveragePrecisionAtR, 3),
        (AccuracyMetric::MeanReciprocalRank, 5),
    ] {
        let spy = Spy::default();
        let config = AccuracyCalculatorConfig {
            include: vec![metric],
            ..Default::default()
        };
        AccuracyCalculator::new(config, spy.clone())?.get_accuracy(&two_queries())?;
        assert_eq!(*spy.1.lock().unwrap(), [expected]);
    }
    Ok(())
}

#[test]
fn whole_rankings_in_blocks_are_whole_rankings_at_once() -> Result<()> {
    let count = 90;
    let places: Vec<f64> = (0..count).map(|i| f64::from(i * 53 % 97)).collect();
    let labels: Vec<i64> = (0..i64::from(count)).map(|i| i * i % 7).collect();
    let rows = line(&places);
    let batch = Batch::new(&rows, &labels)?;
    let spy = Spy::default();
    let config = AccuracyCalculatorConfig {
        exclude: vec![AccuracyMetric::AMI, AccuracyMetric::NMI],
        ..Default::default()
    };
    let mut calculator = AccuracyCalculator::new(config, spy.clone())?;
    let whole = calculator.get_accuracy(&batch)?;
    assert_eq!(spy.1.lock().unwrap().len(), 1);
    // Two queries at a time: 90 rows by 89 neighbours are never in memory together.
    calculator.neighbors_at_a_time = 200;
    let streamed = calculator.get_accuracy(&batch)?;
    assert_eq!(spy.1.lock().unwrap().len(), 1 + 45);
    assert_eq!(whole.iter().count(), 5);
    for (whole, streamed) in whole.iter().zip(&streamed) {
        assert_eq!(whole.metric, streamed.metric);
        assert_eq!(whole.per_query, streamed.per_query);
        assert_eq!(whole.value, streamed.value);
    }
    Ok(())
}
