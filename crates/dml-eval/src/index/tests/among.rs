//! Search among some of the rows, in every index.

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result};

use super::clustered_rows::around_centres;
use super::indexes;
use crate::index::{FlatIndex, FlatMetric, KnnIndex, RowSet};

const ROWS: usize = 600;

/// An index of the rows of a set alone, and the number of each row in the whole.
fn alone(index: &dyn KnnIndex, rows: &Tensor, set: &RowSet) -> (Box<dyn KnnIndex>, Vec<u32>) {
    let numbers: Vec<u32> = set.iter().collect();
    let which = Tensor::new(numbers.clone(), &Device::Cpu).unwrap();
    let mut alone = index.to_empty();
    alone.add(&rows.index_select(&which, 0).unwrap()).unwrap();
    (alone, numbers)
}

#[test]
fn rows_of_a_set_are_searched_as_if_there_were_no_others() -> Result<()> {
    let rows = around_centres(20, ROWS, 8, 0);
    let queries = around_centres(20, 30, 8, 1);
    for (index, dtype) in indexes() {
        let (rows, queries) = (rows.to_dtype(dtype)?, queries.to_dtype(dtype)?);
        let mut whole = index.to_empty();
        whole.add(&rows)?;
        let shown = format!("{index:?}");
        // Codes and graphs may miss some.
        let is_exact = shown.starts_with("FlatIndex") || shown.starts_with("CustomKNN");
        for every in [1, 2, 7, 150] {
            let set = RowSet::from_fn(ROWS, |row| row % every == every - 1);
            let (alone, numbers) = alone(&*index, &rows, &set);
            for (count, k) in [(1, 5), (30, 5), (30, 10_000)] {
                let queries = queries.narrow(0, 0, count)?;
                let found = whole.search_among(&queries, k, &set)?;
                assert_eq!(found.k, k.min(set.count()), "{shown}");
                assert!(found.indices.iter().all(|row| set.contains(*row as usize)));
                let mut want = alone.search(&queries, found.k)?;
                for row in &mut want.indices {
                    *row = numbers[*row as usize];
                }
                if is_exact || every == 150 {
                    // Rows that are compared alone may be rounded otherwise where they are brought to length 1 together.
                    assert_eq!(found.indices, want.indices, "{shown} {every}");
                    let pairs = found.distances.iter().zip(&want.distances);
                    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
                } else {
                    let same = found.iter().zip(want.iter()).map(|((own, _), (want, _))| {
                        own.iter().filter(|row| want.contains(row)).count()
                    });
                    let same: usize = same.sum();
                    let share = same as f64 / want.indices.len() as f64;
                    let least = if shown.contains("Binary") { 0.3 } else { 0.95 };
                    assert!(share > least, "{shown} {every}: {share}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn sets_and_numbers_that_do_not_fit_are_refused() -> Result<()> {
    let rows = around_centres(3, 20, 4, 0);
    for (mut index, dtype) in indexes() {
        let rows = rows.to_dtype(dtype)?;
        let empty = index.search_among(&rows, 1, &RowSet::all(0))?;
        assert_eq!((empty.k, empty.indices.len()), (0, 0), "{index:?}");
        assert_eq!((index.dim(), index.rows_at(&[])?.dims()[0]), (None, 0));
        index.add(&rows)?;
        assert_eq!(index.dim(), Some(4), "{index:?}");
        assert!(index.order().is_some());
        let all = RowSet::all(20);
        assert!(matches!(
            index.search_among(&rows, 1, &RowSet::all(21)),
            Err(Error::Length {
                expected: 20,
                got: 21,
                ..
            })
        ));
        assert!(matches!(
            index.search_among(&rows, 0, &all),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
        let none = index.search_among(&rows, 3, &RowSet::none(20))?;
        assert_eq!((none.k, none.indices.len()), (0, 0), "{index:?}");
        let no_queries = index.search_among(&rows.narrow(0, 0, 0)?, 3, &all)?;
        assert_eq!(no_queries.indices.len(), 0);
        assert!(index.search_among(&rows.narrow(1, 0, 2)?, 3, &all).is_err());
        assert!(matches!(
            index.rows_at(&[3, 20]),
            Err(Error::Index {
                position: 1,
                limit: 20,
                ..
            })
        ));
        let two = index.rows_at(&[7, 7])?;
        assert_eq!(two.dims(), [2, 4]);
        assert!(
            index
                .save_rows(std::path::Path::new("unused"), &RowSet::all(3))
                .is_err()
        );
    }
    Ok(())
}

#[test]
fn rows_are_given_back_as_they_are_compared() -> Result<()> {
    let rows = Tensor::new(&[[3f32, 4.], [0., 0.], [1e-3, 0.]], &Device::Cpu)?;
    for (metric, want) in [
        (FlatMetric::SquaredEuclidean, [[1e-3, 0.], [3., 4.]]),
        (FlatMetric::InnerProduct, [[1e-3, 0.], [3., 4.]]),
        (FlatMetric::Cosine, [[1., 0.], [0.6, 0.8]]),
    ] {
        let mut index = FlatIndex::new(metric);
        index.add(&rows)?;
        let found = index.rows_at(&[2, 0])?.to_vec2::<f32>()?;
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-7;
        assert!(
            found.concat().iter().zip(&want.concat()).all(close),
            "{found:?}"
        );
    }
    Ok(())
}

#[test]
fn ties_of_cosines_go_to_the_lower_row_of_the_set() -> Result<()> {
    // All of one direction and different lengths: some products are above 1, some below.
    let row = around_centres(1, 1, 9, 3);
    let lengths = (1..=400).map(|i| Tensor::full(i as f32 / 7.0, (1, 1), &Device::Cpu));
    let rows = lengths.map(|length| row.broadcast_mul(&length?));
    let rows = Tensor::cat(&rows.collect::<candle_core::Result<Vec<Tensor>>>()?, 0)?;
    for sign in [1.0, -1.0] {
        let query = (&row * sign)?;
        for dtype in [DType::F32, DType::F64] {
            let mut index = FlatIndex::new(FlatMetric::Cosine);
            index.add(&rows.to_dtype(dtype)?)?;
            let set = RowSet::from_fn(400, |row| row % 3 == 2);
            for count in [1, 20] {
                let queries = query.to_dtype(dtype)?.repeat((count, 1))?;
                let found = index.search_among(&queries, 7, &set)?;
                let all = index.search(&queries, 400)?;
                for ((own, values), (all_rows, all_values)) in found.iter().zip(all.iter()) {
                    let pairs = all_rows.iter().zip(all_values);
                    let want: Vec<(u32, f64)> = pairs
                        .filter(|(row, _)| set.contains(**row as usize))
                        .map(|(row, value)| (*row, *value))
                        .take(7)
                        .collect();
                    let got: Vec<(u32, f64)> =
                        own.iter().copied().zip(values.iter().copied()).collect();
                    assert_eq!(got, want, "{sign} {dtype:?} {count}");
                }
            }
        }
    }
    Ok(())
}
