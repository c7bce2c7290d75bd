//! Rows of every length.

use super::*;

const METRICS: [FlatMetric; 3] = [
    FlatMetric::SquaredEuclidean,
    FlatMetric::InnerProduct,
    FlatMetric::Cosine,
];

fn scaled(rows: &Tensor, size: f64) -> Tensor {
    let rows = rows.to_dtype(DType::F64).unwrap();
    (rows * size).unwrap().to_dtype(DType::F32).unwrap()
}

#[test]
fn rows_of_every_length_are_found() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let (references, queries) = (rows(2000, 0), rows(50, 1));
    for metric in METRICS {
        for size in [1e-37, 1e-30, 1e-13, 5e-4, 1e4, 1e19, 1e30, 1e37] {
            let references = scaled(&references, size);
            let index = index(metric, &references);
            for of_query in [size, 1.0] {
                let queries = scaled(&queries, of_query);
                let found = index.search(&queries, 10)?;
                let exact = index.rows().search(&queries, 10)?;
                let recall = recall(&found, &exact);
                assert!(recall > 0.95, "{metric:?} {size} {of_query}: {recall}");
            }
            index.save(&path).unwrap();
            let mut loaded = index.to_empty();
            loaded.load(&path).unwrap();
            let queries = scaled(&queries, size);
            assert_eq!(loaded.search(&queries, 10)?, index.search(&queries, 10)?);
        }
    }
    Ok(())
}

#[test]
fn later_rows_may_be_longer_than_the_graph_was_made_for() -> Result<()> {
    let queries = rows(50, 1);
    for metric in METRICS {
        let mut index = UsearchIndex::new(UsearchIndexConfig {
            metric,
            ..Default::default()
        })?;
        for (seed, size) in [(0, 0.0), (1, 1e-30), (2, 1.0), (3, 1e25)] {
            let new = scaled(&rows(300, seed), size);
            index.add(&new)?;
            let queries = scaled(&queries, if size == 0.0 { 1.0 } else { size });
            let found = index.search(&queries, 5)?;
            let exact = index.rows().search(&queries, 5)?;
            let recall = recall(&found, &exact);
            assert!(recall > 0.95, "{metric:?} {size}: {recall}");
        }
    }
    Ok(())
}

#[test]
fn a_query_of_zeros_finds_rows_in_their_order() -> Result<()> {
    let zeros = Tensor::zeros((1, DIM), DType::F32, &Device::Cpu)?;
    for metric in [FlatMetric::InnerProduct, FlatMetric::Cosine] {
        let index = index(metric, &rows(400, 0));
        let found = index.search(&zeros, 200)?;
        assert_eq!(found, index.rows().search(&zeros, 200)?);
    }
    Ok(())
}

#[test]
fn settings_and_rows_have_bounds() {
    let new = |config| UsearchIndex::new(config).is_err();
    for number in [1_000_000_000, usize::MAX] {
        assert!(new(UsearchIndexConfig {
            connectivity: number,
            ..Default::default()
        }));
        assert!(new(UsearchIndexConfig {
            expansion_add: number,
            ..Default::default()
        }));
        assert!(new(UsearchIndexConfig {
            expansion_search: number,
            ..Default::default()
        }));
        let mut index = UsearchIndex::new(UsearchIndexConfig::default()).unwrap();
        assert!(index.set_expansion_search(number).is_err());
        index.add(&rows(3, 0)).unwrap();
        assert!(matches!(
            index.search(&rows(1, 1), number),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
    }
    let wide = Tensor::zeros((1, graph::MOST_DIMENSIONS + 1), DType::F32, &Device::Cpu).unwrap();
    let mut index = UsearchIndex::new(UsearchIndexConfig::default()).unwrap();
    assert!(index.add(&wide).is_err());
    assert!(index.is_empty());
    index.add(&rows(3, 0)).unwrap();
}
