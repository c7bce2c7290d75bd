//! One index of every kind, and what all of them do alike. For tests.

mod among;
pub(crate) mod clustered_rows;

use candle_core::{DType, Device, Tensor};
use dml_core::{Distance, Result, TensorExt};

use crate::index::{
    Codes, CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, KnnIndex, QuantizedIndex,
    QuantizedIndexConfig, RowStorage, SelfMatch,
};

#[derive(Debug)]
struct Manhattan;

impl Distance for Manhattan {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_lp(reference.unwrap_or(query), 1.0)
    }
}

/// One of every kind, empty, and the element type of its rows.
pub(crate) fn indexes() -> Vec<(Box<dyn KnnIndex>, DType)> {
    let mut indexes: Vec<(Box<dyn KnnIndex>, DType)> = Vec::new();
    for metric in [
        FlatMetric::SquaredEuclidean,
        FlatMetric::InnerProduct,
        FlatMetric::Cosine,
    ] {
        indexes.push((Box::new(FlatIndex::new(metric)), DType::F32));
        indexes.push((Box::new(FlatIndex::new(metric)), DType::F64));
        let half = FlatIndex::with_storage(metric, RowStorage::Float16);
        indexes.push((Box::new(half), DType::F32));
        for codes in [Codes::Int8, Codes::Binary] {
            for storage in [RowStorage::AsGiven, RowStorage::Float16] {
                let config = QuantizedIndexConfig {
                    metric,
                    codes,
                    storage,
                    rescore: 2,
                };
                let index = QuantizedIndex::new(config).unwrap();
                indexes.push((Box::new(index), DType::F32));
            }
        }
        #[cfg(feature = "usearch")]
        {
            let config = crate::UsearchIndexConfig {
                metric,
                ..Default::default()
            };
            let index = crate::UsearchIndex::new(config).unwrap();
            indexes.push((Box::new(index), DType::F32));
        }
    }
    for dtype in [DType::F32, DType::F64] {
        let custom = CustomKNN::new(CustomKNNConfig::default(), Manhattan).unwrap();
        indexes.push((Box::new(custom), dtype));
    }
    indexes
}

#[test]
fn no_rows_are_added_and_no_queries_are_searched_for() -> Result<()> {
    let rows = Tensor::new(&[[0f32, 1., 2.], [2., 1., 0.], [1., 1., 1.]], &Device::Cpu)?;
    let wide = Tensor::new(&[[0f32, 1.], [1., 0.]], &Device::Cpu)?;
    for (mut index, dtype) in indexes() {
        let (rows, wide) = (rows.to_dtype(dtype)?, wide.to_dtype(dtype)?);
        let none = rows.narrow(0, 0, 0)?;
        // An empty index finds nothing within a threshold, and has no nearest row to give.
        index.add(&none)?;
        assert!(index.is_empty(), "{index:?}");
        assert!(index.search(&rows, 1).is_err(), "{index:?}");
        let within = index.search_within(&rows, 1.0, SelfMatch::None)?;
        assert_eq!((within.queries(), within.indices.len()), (3, 0));
        // No rows say nothing of the width of those that come.
        index.add(&wide)?;
        assert_eq!(index.remove(&[1, 0])?, 2);
        index.add(&rows)?;
        index.add(&none)?;
        assert_eq!(index.len(), 3, "{index:?}");
        assert_eq!(index.search(&rows, 2)?.queries(), 3);
        let found = index.search(&none, 2)?;
        assert_eq!((found.queries(), found.k), (0, 2), "{index:?}");
        assert!(found.indices.is_empty() && found.distances.is_empty());
        let within = index.search_within(&none, 1.0, SelfMatch::None)?;
        assert_eq!((within.offsets, within.indices), (vec![0], vec![]));
        assert_eq!(index.remove(&[])?, 0);
        // Of another width, no rows are refused as all others are.
        assert!(index.add(&wide.narrow(0, 0, 0)?).is_err(), "{index:?}");
    }
    Ok(())
}

#[test]
fn what_is_not_finite_is_refused_by_every_index() -> Result<()> {
    let rows = Tensor::new(&[[0f64, 1., 2.], [2., 1., 0.], [1., 1., 1.]], &Device::Cpu)?;
    for (mut index, dtype) in indexes() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let odd = Tensor::new(&[[0.0, odd, 1.0]], &Device::Cpu)?.to_dtype(dtype)?;
            assert!(index.add(&odd).is_err() && index.is_empty(), "{index:?}");
            index.add(&rows.to_dtype(dtype)?)?;
            for refused in [
                index.add(&odd).err(),
                index.search(&odd, 1).err(),
                index.search_within(&odd, 1.0, SelfMatch::None).err(),
            ] {
                assert!(
                    matches!(refused, Some(dml_core::Error::InvalidParameter { .. })),
                    "{index:?}"
                );
            }
            assert_eq!(index.remove(&[0, 1, 2])?, 3);
        }
    }
    Ok(())
}

#[test]
fn an_index_shows_itself_without_its_rows() -> Result<()> {
    let rows = Tensor::ones((500, 40), DType::F32, &Device::Cpu)?;
    for (mut index, dtype) in indexes() {
        index.add(&rows.to_dtype(dtype)?)?;
        let shown = format!("{index:?}");
        assert!(shown.len() < 300, "{shown}");
    }
    Ok(())
}

#[test]
fn no_search_asks_for_more_neighbours_than_memory_holds() -> Result<()> {
    let rows = Tensor::zeros((70_000, 1), DType::F32, &Device::Cpu)?;
    let mut index = FlatIndex::default();
    index.add(&rows)?;
    let refused = index.search(&rows, 70_000);
    assert!(matches!(
        refused,
        Err(dml_core::Error::InvalidParameter { name: "k", .. })
    ));
    Ok(())
}

#[test]
fn cosines_don_t_depend_on_lengths_in_any_index() -> Result<()> {
    use crate::index::tests::clustered_rows::around_centres;
    let (references, queries) = (around_centres(40, 400, 8, 0), around_centres(40, 30, 8, 1));
    let times = |rows: &Tensor, size: f64| -> Result<Tensor> {
        Ok((rows.to_dtype(DType::F64)? * size)?.to_dtype(DType::F32)?)
    };
    for (index, dtype) in indexes() {
        if dtype != DType::F32 || !format!("{index:?}").contains("Cosine") {
            continue;
        }
        let mut ordinary = index.to_empty();
        ordinary.add(&references)?;
        let want = ordinary.search(&queries, 5)?;
        for size in [1e-36, 1e-30, 1e-13, 1e19, 1e30] {
            let mut index = index.to_empty();
            index.add(&times(&references, size)?)?;
            let found = index.search(&times(&queries, size)?, 5)?;
            let same = found.indices.iter().zip(&want.indices);
            let same = same.filter(|(a, b)| a == b).count();
            assert!(
                same * 100 >= want.indices.len() * 98,
                "{index:?} {size}: {same}"
            );
            assert!(found.distances.iter().all(|cosine| cosine.abs() <= 1.0));
            let apart = found.distances.iter().zip(&want.distances);
            assert!(apart.into_iter().all(|(a, b)| (a - b).abs() < 1e-3));
        }
    }
    Ok(())
}
