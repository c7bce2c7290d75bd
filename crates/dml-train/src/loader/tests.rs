use std::time::Duration;

use candle_core::{Device, Tensor};
use dml_core::{IntoLabels, Labels};

use super::*;

/// Row numbers and seeds, fetched in a time that depends on the row.
#[derive(Debug)]
struct Slow(Labels);

impl Dataset for Slow {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<Examples> {
        assert!(rows[0] != 99, "row 99 is broken");
        thread::sleep(Duration::from_micros((rows[0] as u64 * 7919) % 900));
        let values: Vec<i64> = rows
            .iter()
            .map(|row| *row as i64 ^ (seed >> 2) as i64)
            .collect();
        Examples::new(Tensor::new(values, &Device::Cpu)?, rows, &self.0)
    }
}

/// Batches of two rows in order, another order in every pass.
#[derive(Debug)]
struct Pairs(usize);

impl Sampler for Pairs {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let batches = self.0;
        let first = move |i| 2 * ((i + epoch as usize) % batches);
        Box::new((0..batches).map(move |i| vec![first(i), first(i) + 1]))
    }

    fn batches(&self) -> usize {
        self.0
    }
}

fn loader(position: Position, threads: usize) -> Loader {
    let labels = vec![0i64; 100].into_labels().unwrap();
    Loader::new(Slow(labels), Pairs(7), 5, position, threads)
}

fn take(loader: &mut Loader, count: usize) -> Vec<(Vec<usize>, Vec<i64>, Position)> {
    (0..count)
        .map(|_| {
            let (examples, position) = loader.next_batch().unwrap();
            let values = examples.views()[0].to_vec1::<i64>().unwrap();
            (examples.rows().to_vec(), values, position)
        })
        .collect()
}

#[test]
fn any_number_of_threads_gives_the_same_batches() {
    let alone = take(&mut loader(Position::START, 0), 40);
    for threads in [1, 2, 4] {
        assert_eq!(take(&mut loader(Position::START, threads), 40), alone);
    }
    let seeds: std::collections::HashSet<&Vec<i64>> = alone.iter().map(|x| &x.1).collect();
    assert_eq!(seeds.len(), 40, "every batch has a seed of its own");
}

#[test]
fn it_goes_on_from_any_position() {
    let all = take(&mut loader(Position::START, 2), 20);
    for done in [1, 6, 7, 13] {
        let later = take(&mut loader(all[done - 1].2, 1), 20 - done);
        assert_eq!(later, all[done..]);
    }
}

#[test]
fn a_sampler_without_batches_is_an_error() {
    let labels = vec![0i64; 2].into_labels().unwrap();
    for threads in [0, 1] {
        let dataset = Arc::new(Slow(labels.clone()));
        let mut loader = Loader::new(dataset, Pairs(0), 0, Position::START, threads);
        let error = loader.next_batch().unwrap_err();
        assert!(matches!(error, TrainError::NoBatches { .. }), "{error}");
    }
}

/// One batch, of a row that can't be fetched.
#[derive(Debug)]
struct Broken;

impl Sampler for Broken {
    fn epoch(&self, _: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        Box::new(std::iter::once(vec![99]))
    }

    fn batches(&self) -> usize {
        1
    }
}

#[test]
fn a_panic_of_the_data_set_is_an_error() {
    let labels = vec![0i64; 100].into_labels().unwrap();
    let dataset = Arc::new(Slow(labels));
    for threads in [0, 2] {
        let sampler = Arc::new(Broken);
        let mut loader = Loader::new(dataset.clone(), sampler, 0, Position::START, threads);
        for _ in 0..3 {
            let error = loader.next_batch().unwrap_err();
            assert_eq!(error.to_string(), "data set: panicked: row 99 is broken");
        }
    }
}

/// Fails every other time, by an error or a panic.
#[derive(Debug)]
struct Shaky {
    inner: Slow,
    calls: std::sync::atomic::AtomicUsize,
    panics: bool,
}

impl Dataset for Shaky {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<Examples> {
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if !call.is_multiple_of(2) {
            return self.inner.fetch(rows, seed);
        }
        assert!(!self.panics, "a loose cable");
        Err(dml_core::Error::Missing {
            component: "disk",
            needed: "a cable",
        })
    }
}

#[test]
fn a_batch_that_fails_is_not_passed_over() {
    let expected = take(&mut loader(Position::START, 0), 20);
    for (threads, panics) in [(0, false), (0, true), (1, false), (3, true), (3, false)] {
        let labels = vec![0i64; 100].into_labels().unwrap();
        let dataset = Shaky {
            inner: Slow(labels),
            calls: Default::default(),
            panics,
        };
        let (dataset, sampler) = (Arc::new(dataset), Arc::new(Pairs(7)));
        let mut loader = Loader::new(dataset, sampler, 5, Position::START, threads);
        let mut batches = Vec::new();
        let mut errors = 0;
        while batches.len() < 20 {
            match loader.next_batch() {
                Ok((examples, position)) => {
                    let values = examples.views()[0].to_vec1::<i64>().unwrap();
                    batches.push((examples.rows().to_vec(), values, position));
                }
                Err(TrainError::Panicked { component, .. }) => {
                    assert!(panics && component == "data set");
                    errors += 1;
                }
                Err(error) => {
                    assert!(!panics, "{error}");
                    errors += 1;
                }
            }
        }
        assert_eq!(batches, expected, "{threads} threads");
        assert!(errors > 0);
    }
}

/// Panics when a pass is drawn for the first time.
#[derive(Debug, Default)]
struct Moody(std::sync::atomic::AtomicBool);

impl Sampler for Moody {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let second = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(second, "not in the mood");
        let batches: Vec<Vec<usize>> = Pairs(7).epoch(epoch).collect();
        Box::new(batches.into_iter())
    }

    fn batches(&self) -> usize {
        7
    }
}

#[test]
fn a_panic_of_the_sampler_is_an_error_and_loses_no_batch() {
    let expected = take(&mut loader(Position::START, 0), 9);
    for threads in [0, 1, 3] {
        let labels = vec![0i64; 100].into_labels().unwrap();
        let (dataset, sampler) = (Arc::new(Slow(labels)), Arc::new(Moody::default()));
        let mut loader = Loader::new(dataset, sampler, 5, Position::START, threads);
        let error = loader.next_batch().unwrap_err();
        assert_eq!(error.to_string(), "sampler: panicked: not in the mood");
        assert_eq!(take(&mut loader, 9), expected);
    }
}
