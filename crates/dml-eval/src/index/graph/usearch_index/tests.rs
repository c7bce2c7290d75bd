use candle_core::{DType, Device};
use dml_core::Error;

use super::*;
use crate::index::tests::clustered_rows::{add_in_two, around_centres};

const DIM: usize = 16;

fn rows(count: usize, seed: u64) -> Tensor {
    around_centres(30, count, DIM, seed)
}

fn index(metric: FlatMetric, rows: &Tensor) -> UsearchIndex {
    let config = UsearchIndexConfig {
        metric,
        ..Default::default()
    };
    let mut index = UsearchIndex::new(config).unwrap();
    add_in_two(&mut index, rows);
    index
}

fn recall(found: &Neighbors, exact: &Neighbors) -> f64 {
    let pairs = found.iter().zip(exact.iter());
    let common: usize = pairs
        .map(|((found, _), (exact, _))| exact.iter().filter(|row| found.contains(row)).count())
        .sum();
    common as f64 / exact.indices.len() as f64
}

#[test]
fn nearly_all_neighbours_are_found_with_exact_distances() -> Result<()> {
    let (references, queries) = (rows(3000, 0), rows(100, 1));
    for metric in [FlatMetric::SquaredEuclidean, FlatMetric::Cosine] {
        let index = index(metric, &references);
        let found = index.search(&queries, 10)?;
        let exact = index.rows().search(&queries, 10)?;
        assert!(recall(&found, &exact) > 0.98, "{metric:?}");
        // The nearest is found by nearly all, with the very same distance.
        let same = found
            .distances
            .iter()
            .zip(&exact.distances)
            .filter(|(a, b)| a == b);
        assert!(same.count() > 950);
        // The same graph from the same rows.
        assert_eq!(
            self::index(metric, &references).search(&queries, 10)?,
            found
        );
        let first = references.narrow(0, 0, 50)?;
        let others = index.search_others(&first, 3, SelfMatch::Same)?;
        assert!(
            others
                .iter()
                .enumerate()
                .all(|(q, (rows, _))| !rows.contains(&(q as u32)))
        );
    }
    Ok(())
}

#[test]
fn with_all_threads_as_many_are_found() -> Result<()> {
    let (references, queries) = (rows(2000, 0), rows(50, 1));
    let mut index = UsearchIndex::new(UsearchIndexConfig {
        parallel_build: true,
        ..Default::default()
    })?;
    index.add(&references)?;
    let found = index.search(&queries, 10)?;
    assert!(recall(&found, &index.rows().search(&queries, 10)?) > 0.98);
    Ok(())
}

#[test]
fn more_candidates_find_more_also_in_a_graph_that_was_loaded() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    // Without centres, a walk goes astray the most.
    let (references, queries) = (around_centres(3000, 3000, DIM, 0), rows(200, 1));
    let mut index = UsearchIndex::new(UsearchIndexConfig {
        connectivity: 4,
        ..Default::default()
    })?;
    index.add(&references)?;
    let exact = index.rows().search(&queries, 10)?;
    index.set_expansion_search(11)?;
    let few = recall(&index.search(&queries, 10)?, &exact);
    index.save(&path).unwrap();
    let mut loaded = index.to_empty();
    loaded.load(&path).unwrap();
    assert_eq!(recall(&loaded.search(&queries, 10)?, &exact), few);
    index.set_expansion_search(1000)?;
    let many = recall(&index.search(&queries, 10)?, &exact);
    assert!(few < 0.95 && many > 0.99, "{few} {many}");
    assert!(matches!(
        index.set_expansion_search(0),
        Err(Error::InvalidParameter {
            name: "expansion_search",
            ..
        })
    ));
    Ok(())
}

#[test]
fn removed_rows_are_gone_and_files_give_the_same_graph() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let (references, queries) = (rows(400, 0), rows(20, 1));
    let mut index = index(FlatMetric::SquaredEuclidean, &references);
    assert_eq!(index.remove(&[0, 399, 7, 7])?, 3);
    index.add(&references.narrow(0, 0, 1)?)?;
    assert_eq!(index.len(), 398);
    let found = index.search(&references.narrow(0, 0, 9)?, 1)?;
    // Row 0 came back last; what stood behind it moved up, and row 7's nearest is another row.
    assert_eq!(found.indices[..7], [397, 0, 1, 2, 3, 4, 5]);
    assert!(found.distances[7] > 0.0 && found.indices[8] == 6);
    index.save(&path).unwrap();
    let mut loaded = index.to_empty();
    loaded.load(&path).unwrap();
    assert_eq!(loaded.search(&queries, 5)?, index.search(&queries, 5)?);
    loaded.add(&references.narrow(0, 7, 1)?)?;
    assert_eq!(
        loaded.search(&references.narrow(0, 7, 1)?, 1)?.indices,
        [398]
    );
    let mut cosine = UsearchIndex::new(UsearchIndexConfig {
        metric: FlatMetric::Cosine,
        ..Default::default()
    })?;
    assert!(matches!(
        cosine.load(&path),
        Err(IndexFileError::Kind { .. })
    ));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        index.load(&path),
        Err(IndexFileError::Checksum { .. })
    ));
    assert_eq!(index.len(), 398);
    let all: Vec<u32> = (0..398).collect();
    index.remove(&all)?;
    index.save(&path).unwrap();
    loaded.load(&path).unwrap();
    assert!(loaded.is_empty());
    loaded.add(&Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)?;
    assert_eq!(loaded.len(), 1);
    Ok(())
}

#[test]
fn bad_arguments_and_rows_are_refused() -> Result<()> {
    let config = UsearchIndexConfig::default;
    for config in [
        UsearchIndexConfig {
            connectivity: 1,
            ..config()
        },
        UsearchIndexConfig {
            expansion_add: 0,
            ..config()
        },
        UsearchIndexConfig {
            expansion_search: 0,
            ..config()
        },
    ] {
        assert!(matches!(
            UsearchIndex::new(config),
            Err(Error::InvalidParameter { .. })
        ));
    }
    let mut index = UsearchIndex::new(config())?;
    let queries = rows(3, 0);
    assert!(index.search(&queries, 1).is_err());
    assert!(matches!(
        index.add(&(&queries * f64::NAN)?),
        Err(Error::InvalidParameter {
            name: "references",
            ..
        })
    ));
    assert!(matches!(
        index.add(&queries.to_dtype(DType::F64)?),
        Err(Error::DType { .. })
    ));
    index.add(&queries)?;
    for k in [0, 4] {
        assert!(matches!(
            index.search(&queries, k),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
    }
    // All of them, which a graph of three finds.
    assert_eq!(
        index.search_others(&queries, 2, SelfMatch::Same)?.queries(),
        3
    );
    assert!(matches!(
        index.add(&queries.narrow(1, 0, 3)?),
        Err(Error::Shape { .. })
    ));
    assert!(index.remove(&[3]).is_err());
    Ok(())
}

mod equal;
mod lengths;
mod threads;
