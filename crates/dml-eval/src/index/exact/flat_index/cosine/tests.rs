use candle_core::{DType, Device};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::index::{FlatMetric, KnnIndex, RowStorage, SelfMatch};

const DIM: usize = 9;

/// Copies of a few directions, each of a length of its own, so that their products are 1 and some ulps more or less.
fn copies(directions: usize, count: usize, size: f32) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let values: Vec<f32> = (0..directions * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let rows: Vec<f32> = (0..count)
        .flat_map(|i| {
            let length = size * rng.random_range(0.5..1.5);
            let row = &values[i % directions * DIM..][..DIM];
            row.iter().map(|x| x * length).collect::<Vec<f32>>()
        })
        .collect();
    Tensor::from_vec(rows, (count, DIM), &Device::Cpu).unwrap()
}

fn filled(storage: RowStorage, rows: &Tensor) -> FlatIndex {
    let mut index = FlatIndex::with_storage(FlatMetric::Cosine, storage);
    index.add(rows).unwrap();
    index
}

#[test]
fn cosines_stay_in_their_range_and_ties_at_its_ends_go_by_row() -> Result<()> {
    for (storage, dtype) in [
        (RowStorage::AsGiven, DType::F32),
        (RowStorage::AsGiven, DType::F64),
        (RowStorage::Float16, DType::F32),
    ] {
        let rows = copies(2, 60, 1.0).to_dtype(dtype)?;
        let index = filled(storage, &rows);
        for sign in [1.0, -1.0] {
            let queries = (&rows * sign)?;
            // All of them in the order of clamped products, whatever part of it a search asks for.
            let raw = index.within_prepared(
                &index.prepare("queries", &queries)?,
                f64::NEG_INFINITY,
                |_| None,
            )?;
            for k in [1, 3, 29, 30, 31, 59, 60] {
                let found = index.search(&queries, k)?;
                for (q, (rows, values)) in found.iter().enumerate() {
                    let all = raw.offsets[q]..raw.offsets[q + 1];
                    let values_of_all = raw.distances[all.clone()].iter();
                    let mut want: Vec<(f64, u32)> = values_of_all
                        .map(|value| value.clamp(-1.0, 1.0))
                        .zip(raw.indices[all].iter().copied())
                        .collect();
                    want.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                    let got: Vec<(f64, u32)> =
                        values.iter().copied().zip(rows.iter().copied()).collect();
                    assert_eq!(got, want[..k], "{storage:?} {dtype:?} {k}");
                }
            }
        }
        let over = index.search_within(&rows, 1.0 + 1e-9, SelfMatch::None)?;
        assert!(over.indices.is_empty());
        let all = index.search_within(&rows, -1.0, SelfMatch::None)?;
        assert_eq!(all.indices.len(), 60 * 60);
        assert!(all.distances.iter().all(|x| (-1.0..=1.0).contains(x)));
    }
    Ok(())
}

#[test]
fn a_tie_beyond_the_last_neighbour_is_seen_with_and_without_the_row_itself() -> Result<()> {
    let rows = copies(1, 40, 1.0);
    let index = filled(RowStorage::AsGiven, &rows);
    let self_matches: Vec<Option<u32>> = (0..40).map(|q| (q % 2 == 0).then_some(q)).collect();
    let found = index.search_others(&rows, 39, SelfMatch::Rows(&self_matches))?;
    for (q, (rows, values)) in found.iter().enumerate() {
        let exact = values.iter().take_while(|value| **value == 1.0).count();
        assert!(rows[..exact].is_sorted());
        assert!(q % 2 == 1 || !rows.contains(&(q as u32)));
    }
    Ok(())
}

#[test]
fn directions_don_t_depend_on_lengths() -> Result<()> {
    let of = |size: f32| -> Result<Neighbors> {
        let rows = copies(30, 30, 1.0);
        let short = (rows.to_dtype(DType::F64)? * f64::from(size))?.to_dtype(DType::F32)?;
        filled(RowStorage::AsGiven, &short).search_others(&short, 5, SelfMatch::Same)
    };
    let want = of(1.0)?;
    for size in [1e-30, 1e-20, 1e-13, 1e-12, 1e-7, 1e7, 1e19, 1e30, 1e38] {
        let got = of(size)?;
        assert_eq!(got.indices, want.indices, "{size}");
        let apart = got.distances.iter().zip(&want.distances);
        assert!(
            apart.into_iter().all(|(a, b)| (a - b).abs() < 1e-6),
            "{size}"
        );
    }
    // A row of zeros has no direction: its cosine with every row is 0.
    let zeros = Tensor::zeros((1, DIM), DType::F32, &Device::Cpu)?;
    let found = filled(RowStorage::AsGiven, &copies(3, 3, 1e-13)).search(&zeros, 3)?;
    assert_eq!(
        (&found.indices[..], &found.distances[..]),
        (&[0, 1, 2][..], &[0.0; 3][..])
    );
    Ok(())
}
