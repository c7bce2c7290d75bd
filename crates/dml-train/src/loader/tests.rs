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
    Loader::new(
        Arc::new(Slow(labels)),
        Arc::new(Pairs(7)),
        5,
        position,
        threads,
    )
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
        let mut loader = Loader::new(dataset, Arc::new(Pairs(0)), 0, Position::START, threads);
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
fn a_panic_of_the_data_set_reaches_the_caller() {
    let labels = vec![0i64; 100].into_labels().unwrap();
    let dataset = Arc::new(Slow(labels));
    let mut loader = Loader::new(dataset, Arc::new(Broken), 0, Position::START, 2);
    let panic = catch_unwind(AssertUnwindSafe(|| loader.next_batch().map(|_| ()))).unwrap_err();
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or(panic.downcast_ref::<&str>().copied());
    assert!(message.unwrap().contains("row 99 is broken"));
}
