use super::*;
use dml_core::Error;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

fn line(places: &[f64]) -> Tensor {
    Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
}

/// The formulas word by word, with matrices of all pairs.
fn dense(places: &[Vec<f64>], queries: usize, config: &KReciprocalConfig) -> Vec<Vec<f64>> {
    let n = places.len();
    let squared =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let d: Vec<Vec<f64>> = places
        .iter()
        .map(|p| {
            let row: Vec<f64> = places.iter().map(|g| squared(p, g)).collect();
            let largest = row.iter().copied().fold(0.0, f64::max);
            row.iter().map(|x| x / largest).collect()
        })
        .collect();
    let ranked: Vec<Vec<usize>> = (0..n)
        .map(|p| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|a, b| {
                let itself = (*b == p).cmp(&(*a == p));
                itself.then(d[p][*a].total_cmp(&d[p][*b])).then(a.cmp(b))
            });
            order
        })
        .collect();
    let r = |p: usize, k: usize| -> BTreeSet<usize> {
        let near = |p: usize| ranked[p][..(k + 1).min(n)].to_vec();
        near(p)
            .into_iter()
            .filter(|g| near(*g).contains(&p))
            .collect()
    };
    let half = (config.k1 as f64 / 2.0).round_ties_even() as usize;
    let v: Vec<Vec<f64>> = (0..n)
        .map(|p| {
            let first = r(p, config.k1);
            let mut all = first.clone();
            for q in &first {
                let theirs = r(*q, half);
                if 3 * theirs.intersection(&first).count() >= 2 * theirs.len() {
                    all.extend(theirs);
                }
            }
            let weights: Vec<f64> = (0..n)
                .map(|g| {
                    if all.contains(&g) {
                        (-d[p][g]).exp()
                    } else {
                        0.0
                    }
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|w| w / sum).collect()
        })
        .collect();
    let averaged: Vec<Vec<f64>> = (0..n)
        .map(|p| {
            let near = &ranked[p][..config.k2.min(n)];
            (0..n)
                .map(|g| near.iter().map(|r| v[*r][g]).sum::<f64>() / near.len() as f64)
                .collect()
        })
        .collect();
    (0..queries)
        .map(|p| {
            (queries..n)
                .map(|g| {
                    let pairs = || averaged[p].iter().zip(&averaged[g]);
                    let least: f64 = pairs().map(|(a, b)| a.min(*b)).sum();
                    let most: f64 = pairs().map(|(a, b)| a.max(*b)).sum();
                    (1.0 - config.lambda) * (1.0 - least / most) + config.lambda * d[p][g]
                })
                .collect()
        })
        .collect()
}

#[test]
fn sparse_is_dense() -> Result<()> {
    // In no pattern: ties would hang on rounding.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let places: Vec<Vec<f64>> = (0..40)
        .map(|_| (0..3).map(|_| rng.random_range(0.0..9.0)).collect())
        .collect();
    let rows = Tensor::from_vec(places.concat(), (40, 3), &Device::Cpu)?;
    for (k1, k2, lambda) in [
        (1, 1, 0.0),
        (5, 3, 0.3),
        (7, 1, 0.5),
        (20, 6, 0.3),
        (99, 99, 1.0),
    ] {
        let config = KReciprocalConfig { k1, k2, lambda };
        let queries = 11;
        let want = dense(&places, queries, &config);
        let (q, g) = (rows.narrow(0, 0, queries)?, rows.narrow(0, queries, 29)?);
        let got = KReciprocal::new(config)?
            .distances(&q, &g)?
            .to_vec2::<f32>()?;
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!(
                (f64::from(*got) - want).abs() < 1e-5,
                "k1 {k1}: {got} {want}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_crowd_that_does_not_know_the_query_goes_behind() -> Result<()> {
    // The nearest of the query, at 1.0, is one of a crowd around 1.1; the query's own are at −1.05 and −1.3,
    // the last of them by exactly two thirds.
    let query = line(&[0.0]);
    let gallery = line(&[1.0, 1.1, 1.15, 1.2, -1.05, -1.3]);
    let config = KReciprocalConfig {
        k1: 3,
        k2: 1,
        lambda: 0.0,
    };
    let mut index = FlatIndex::default();
    index.add(&gallery)?;
    assert_eq!(index.search(&query, 3)?.indices, [0, 4, 1]);
    let found = KReciprocal::new(config)?.search(&query, &gallery, 2)?;
    assert_eq!(found.indices, [4, 5]);
    Ok(())
}

#[test]
fn lambda_one_is_the_distance_and_one_point_is_no_distance() -> Result<()> {
    let config = KReciprocalConfig {
        lambda: 1.0,
        ..Default::default()
    };
    let reciprocal = KReciprocal::new(config)?;
    let (query, gallery) = (line(&[0.0]), line(&[4.0, 1.0, 2.0]));
    let found = reciprocal.search(&query, &gallery, 3)?;
    assert_eq!(found.indices, [1, 2, 0]);
    assert_eq!(found.distances, [1. / 16., 4. / 16., 1.]);
    let same = reciprocal.distances(&line(&[3.0, 3.0]), &line(&[3.0]))?;
    assert_eq!(same.to_vec2::<f32>()?, [[0.0], [0.0]]);
    Ok(())
}

#[test]
fn bad_arguments_are_refused() -> Result<()> {
    let config = |k1, k2, lambda| KReciprocalConfig { k1, k2, lambda };
    for config in [
        config(0, 1, 0.0),
        config(1, 0, 0.0),
        config(1, 1, 1.1),
        config(1, 1, f64::NAN),
    ] {
        assert!(matches!(
            KReciprocal::new(config),
            Err(Error::InvalidParameter { .. })
        ));
    }
    let reciprocal = KReciprocal::default();
    let row = line(&[0.0]);
    assert!(matches!(
        reciprocal.distances(&row, &row.narrow(0, 0, 0)?),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        reciprocal.distances(&row, &line(&[f64::NAN])),
        Err(Error::InvalidParameter { .. })
    ));
    assert!(matches!(
        reciprocal.distances(&row, &row.reshape((1, 1, 1))?),
        Err(Error::Shape { .. })
    ));
    for k in [0, 2] {
        assert!(matches!(
            reciprocal.search(&row, &row, k),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
    }
    Ok(())
}
