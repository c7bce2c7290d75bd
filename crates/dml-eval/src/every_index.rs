//! One index of every kind, and what all of them do alike. For tests.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::{Distance, Result, TensorExt};

use crate::{
    Codes, CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, KnnIndex, OwnRow, QuantizedIndex,
    QuantizedIndexConfig, RowStorage,
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
        let custom = CustomKNN::new(CustomKNNConfig::default(), Arc::new(Manhattan)).unwrap();
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
        let within = index.search_within(&rows, 1.0, OwnRow::None)?;
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
        let within = index.search_within(&none, 1.0, OwnRow::None)?;
        assert_eq!((within.offsets, within.indices), (vec![0], vec![]));
        assert_eq!(index.remove(&[])?, 0);
        // Of another width, no rows are refused as all others are.
        assert!(index.add(&wide.narrow(0, 0, 0)?).is_err(), "{index:?}");
    }
    Ok(())
}
