use candle_core::{DType, Device};
use dml_core::Error;

use super::*;
use crate::index::tests::clustered_rows::{add_in_two, around_centres};

const DIM: usize = 32;

fn rows(count: usize, seed: u64) -> Tensor {
    around_centres(20, count, DIM, seed)
}

fn index(config: QuantizedIndexConfig, rows: &Tensor) -> QuantizedIndex {
    let mut index = QuantizedIndex::new(config).unwrap();
    add_in_two(&mut index, rows);
    index
}

fn configs() -> impl Iterator<Item = QuantizedIndexConfig> {
    let metrics = [
        FlatMetric::SquaredEuclidean,
        FlatMetric::InnerProduct,
        FlatMetric::Cosine,
    ];
    metrics.into_iter().flat_map(|metric| {
        [Codes::Int8, Codes::Binary]
            .into_iter()
            .flat_map(move |codes| {
                [RowStorage::AsGiven, RowStorage::Float16].map(|storage| QuantizedIndexConfig {
                    metric,
                    codes,
                    storage,
                    rescore: 4,
                })
            })
    })
}

#[test]
fn with_all_rows_as_candidates_it_is_the_exact_search() -> Result<()> {
    let (references, queries) = (rows(300, 0), rows(40, 1));
    for config in configs() {
        let config = QuantizedIndexConfig {
            rescore: 300,
            ..config
        };
        let quantized = index(config.clone(), &references);
        let mut flat = FlatIndex::with_storage(config.metric, config.storage);
        flat.add(&references)?;
        for k in [1, 7] {
            assert_eq!(
                quantized.search(&queries, k)?,
                flat.search(&queries, k)?,
                "{config:?}"
            );
            let first = references.narrow(0, 0, 30)?;
            assert_eq!(
                quantized.search_others(&first, k, SelfMatch::Same)?,
                flat.search_others(&first, k, SelfMatch::Same)?
            );
        }
        let threshold = if config.metric == FlatMetric::SquaredEuclidean {
            4.0
        } else {
            0.8
        };
        assert_eq!(
            quantized.search_within(&queries, threshold, SelfMatch::None)?,
            flat.search_within(&queries, threshold, SelfMatch::None)?
        );
    }
    Ok(())
}

/// The share of the 10 nearest neighbours that are found.
fn recall(config: QuantizedIndexConfig) -> Result<f64> {
    let (references, queries) = (rows(2000, 0), rows(100, 1));
    let quantized = index(config, &references);
    let found = quantized.search(&queries, 10)?;
    let exact = quantized.rows().search(&queries, 10)?;
    let common: usize = found
        .iter()
        .zip(exact.iter())
        .map(|((found, _), (exact, _))| exact.iter().filter(|row| found.contains(row)).count())
        .sum();
    Ok(common as f64 / 1000.0)
}

#[test]
fn rescoring_finds_nearly_all_and_more_of_it_more() -> Result<()> {
    for config in configs() {
        let with = |rescore| {
            recall(QuantizedIndexConfig {
                rescore,
                ..config.clone()
            })
        };
        let (few, some, many) = (with(1)?, with(4)?, with(16)?);
        assert!(
            few <= some && some <= many,
            "{config:?}: {few} {some} {many}"
        );
        match config.codes {
            Codes::Int8 => assert!(some > 0.999, "{config:?}: {some}"),
            Codes::Binary => assert!(many > 0.95, "{config:?}: {many}"),
        }
    }
    Ok(())
}

#[test]
fn codes_are_of_the_rows_that_are_kept_before_and_after_a_file() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let (references, queries) = (rows(400, 0), rows(50, 1));
    for config in configs() {
        let config = QuantizedIndexConfig {
            rescore: 1,
            ..config
        };
        let quantized = index(config.clone(), &references);
        quantized.save(&path).unwrap();
        let mut loaded = QuantizedIndex::new(config.clone())?;
        loaded.load(&path).unwrap();
        // Without candidates to spare, another code is another neighbour.
        let found = quantized.search(&queries, 5)?;
        assert_eq!(loaded.search(&queries, 5)?, found, "{config:?}");
        let dim = DIM;
        let all = |index: &QuantizedIndex| {
            with_slice(&queries, |q| {
                index.codes.nearest(q, dim, config.metric, 400, |_| true)
            })
        };
        assert_eq!(all(&quantized)?, all(&loaded)?, "{config:?}");
    }
    Ok(())
}

#[test]
fn what_is_removed_is_not_found() -> Result<()> {
    let references = rows(60, 0);
    for config in configs() {
        let mut removed = index(config.clone(), &references);
        assert_eq!(removed.remove(&[0, 59, 7, 7])?, 3);
        let kept: Vec<u32> = (0..60).filter(|r| ![0, 7, 59].contains(r)).collect();
        let kept = Tensor::new(kept, &Device::Cpu)?;
        let fresh = index(config, &references.index_select(&kept, 0)?);
        let queries = rows(9, 1);
        assert_eq!(removed.search(&queries, 5)?, fresh.search(&queries, 5)?);
        assert!(matches!(
            removed.remove(&[0, 57]),
            Err(Error::Index {
                position: 1,
                limit: 57,
                ..
            })
        ));
        assert_eq!(removed.len(), 57);
    }
    Ok(())
}

#[test]
fn bad_rows_and_numbers_are_refused() -> Result<()> {
    let config = QuantizedIndexConfig {
        rescore: 0,
        ..Default::default()
    };
    assert!(matches!(
        QuantizedIndex::new(config),
        Err(Error::InvalidParameter {
            name: "rescore",
            ..
        })
    ));
    let mut index = QuantizedIndex::new(QuantizedIndexConfig::default())?;
    let queries = rows(2, 0);
    assert!(matches!(
        index.search(&queries, 1),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    assert!(matches!(
        index.add(&queries.to_dtype(DType::F64)?),
        Err(Error::DType { .. })
    ));
    assert!(index.add(&(queries.ones_like()? / 0.0)?).is_err());
    assert!(
        index.is_empty()
            && index
                .search_within(&queries, 1.0, SelfMatch::None)?
                .indices
                .is_empty()
    );
    index.add(&queries)?;
    for k in [0, 3] {
        assert!(index.search(&queries, k).is_err());
    }
    assert!(matches!(
        index.search(&queries.narrow(1, 0, 3)?, 1),
        Err(Error::Shape { .. })
    ));
    let mut small = QuantizedIndex::new(QuantizedIndexConfig {
        storage: RowStorage::Float16,
        ..Default::default()
    })?;
    let large = Tensor::new(&[[1f32, 1e6]], &Device::Cpu)?;
    assert!(matches!(
        small.add(&large),
        Err(Error::InvalidParameter {
            name: "references",
            ..
        })
    ));
    assert!(small.is_empty());
    Ok(())
}

fn scaled(rows: &Tensor, size: f64) -> Tensor {
    let rows = rows.to_dtype(DType::F64).unwrap();
    (rows * size).unwrap().to_dtype(DType::F32).unwrap()
}

fn share_found(found: &Neighbors, exact: &Neighbors) -> f64 {
    let pairs = found.iter().zip(exact.iter());
    let common: usize = pairs
        .map(|((found, _), (exact, _))| exact.iter().filter(|row| found.contains(row)).count())
        .sum();
    common as f64 / exact.indices.len() as f64
}

#[test]
fn rows_of_every_length_are_found_by_their_bytes() -> Result<()> {
    let (references, queries) = (rows(600, 0), rows(40, 1));
    for config in configs() {
        if config.codes != Codes::Int8 || config.storage != RowStorage::AsGiven {
            continue;
        }
        for size in [1e-36, 1e-30, 1e-20, 1e-13, 1.0, 1e13, 1e19, 1e30, 1e37] {
            let index = index(config.clone(), &scaled(&references, size));
            for of_query in [size, 1.0] {
                let queries = scaled(&queries, of_query);
                let found = index.search(&queries, 10)?;
                let recall = share_found(&found, &index.rows().search(&queries, 10)?);
                assert!(recall > 0.95, "{config:?} {size} {of_query}: {recall}");
            }
        }
    }
    Ok(())
}

#[test]
fn later_rows_may_be_longer_than_those_that_were_coded() -> Result<()> {
    let queries = rows(40, 1);
    for metric in [FlatMetric::SquaredEuclidean, FlatMetric::InnerProduct] {
        let mut index = QuantizedIndex::new(QuantizedIndexConfig {
            metric,
            ..Default::default()
        })?;
        for (seed, size) in [(0, 0.0), (1, 1e-30), (2, 1.0), (3, 1e25)] {
            index.add(&scaled(&rows(200, seed), size))?;
            let queries = scaled(&queries, if size == 0.0 { 1.0 } else { size });
            let found = index.search(&queries, 5)?;
            let recall = share_found(&found, &index.rows().search(&queries, 5)?);
            assert!(recall > 0.95, "{metric:?} {size}: {recall}");
        }
    }
    Ok(())
}
