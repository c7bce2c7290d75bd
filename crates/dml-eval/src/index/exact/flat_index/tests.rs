use super::*;
use dml_core::Error;

fn tensor<const N: usize>(rows: &[[f32; 2]; N]) -> Tensor {
    Tensor::new(rows, &Device::Cpu).unwrap()
}

#[test]
fn every_metric_by_hand() -> Result<()> {
    let references = tensor(&[[2., 0.], [1., 1.], [-1., 0.], [0., 0.]]);
    let query = tensor(&[[1., 0.]]);
    for (metric, indices, distances) in [
        // Three references are equally far: the lower row comes first.
        (FlatMetric::SquaredEuclidean, [0, 1, 3, 2], [1., 1., 1., 4.]),
        (FlatMetric::InnerProduct, [0, 1, 3, 2], [2., 1., 0., -1.]),
        (
            FlatMetric::Cosine,
            [0, 1, 3, 2],
            [1., 0.5f64.sqrt(), 0., -1.],
        ),
    ] {
        let mut index = FlatIndex::new(metric);
        index.add(&references)?;
        let found = index.search(&query, 4)?;
        assert_eq!(found.indices, indices, "{metric:?}");
        for (found, expected) in found.distances.iter().zip(distances) {
            assert!(
                (found - expected).abs() < 1e-7,
                "{metric:?}: {found} {expected}"
            );
        }
        assert_eq!(found.queries(), 1);
    }
    Ok(())
}

#[test]
fn adding_in_pieces_is_adding_at_once() -> Result<()> {
    let rows = tensor(&[[0., 0.], [1., 0.], [2., 0.], [3., 0.]]);
    let (mut pieces, mut whole) = (FlatIndex::default(), FlatIndex::default());
    pieces.add(&rows.narrow(0, 0, 1)?)?;
    pieces.add(&rows.narrow(0, 1, 3)?)?;
    whole.add(&rows)?;
    assert_eq!(pieces.len(), 4);
    assert_eq!(
        pieces.search_others(&rows, 2, SelfMatch::Same)?,
        whole.search_others(&rows, 2, SelfMatch::Same)?
    );
    assert!(whole.to_empty().is_empty());
    Ok(())
}

#[test]
fn no_row_finds_itself() -> Result<()> {
    let rows = tensor(&[[0., 0.], [0., 0.], [5., 0.]]);
    let mut index = FlatIndex::default();
    index.add(&rows)?;
    let found = index.search_others(&rows, 2, SelfMatch::Same)?;
    assert_eq!(found.indices, [1, 2, 0, 2, 0, 1]);
    let found = index.search_others(&rows, 1, SelfMatch::Rows(&[Some(1), None, Some(2)]))?;
    assert_eq!(found.indices, [0, 0, 0]);
    Ok(())
}

#[test]
fn half_precision_is_searched_in_single() -> Result<()> {
    let mut index = FlatIndex::default();
    index.add(&tensor(&[[0., 0.], [1., 0.]]).to_dtype(DType::F16)?)?;
    assert_eq!(index.search(&tensor(&[[0.9, 0.]]), 1)?.indices, [1]);
    Ok(())
}

#[test]
fn bad_input_is_refused_by_name() -> Result<()> {
    let mut index = FlatIndex::default();
    let rows = tensor(&[[0., 0.], [1., 0.]]);
    assert!(matches!(
        index.search(&rows, 1),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    index.add(&rows)?;
    for (k, self_matches) in [
        (0, SelfMatch::None),
        (3, SelfMatch::None),
        (2, SelfMatch::Same),
    ] {
        assert!(matches!(
            index.search_others(&rows, k, self_matches),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
    }
    assert!(matches!(
        index.search(&tensor(&[[f32::NAN, 0.]]), 1),
        Err(Error::InvalidParameter {
            name: "queries",
            ..
        })
    ));
    assert!(matches!(
        index.add(&tensor(&[[f32::INFINITY, 0.]])),
        Err(Error::InvalidParameter {
            name: "references",
            ..
        })
    ));
    assert!(matches!(
        index.search(&rows.to_dtype(DType::F64)?, 1),
        Err(Error::DType { arg: "queries", .. })
    ));
    assert!(matches!(
        index.add(&rows.to_dtype(DType::I64)?),
        Err(Error::DType {
            arg: "references",
            ..
        })
    ));
    assert!(matches!(
        index.add(&rows.reshape((1, 4))?),
        Err(Error::Shape {
            arg: "references",
            ..
        })
    ));
    assert!(matches!(
        index.search(&rows.flatten_all()?, 1),
        Err(Error::Shape { arg: "queries", .. })
    ));
    assert_eq!(index.len(), 2);
    Ok(())
}

#[test]
fn all_within_a_threshold_by_hand() -> Result<()> {
    let references = tensor(&[[2., 0.], [1., 1.], [-1., 0.], [0., 0.]]);
    let query = tensor(&[[1., 0.], [9., 9.]]);
    for (metric, threshold, indices, offsets) in [
        (FlatMetric::SquaredEuclidean, 1.0, vec![0, 1, 3], [0, 3, 3]),
        (FlatMetric::InnerProduct, 1.0, vec![0, 1, 0, 1], [0, 2, 4]),
        (FlatMetric::Cosine, 0.99, vec![0, 1], [0, 1, 2]),
    ] {
        let mut index = FlatIndex::new(metric);
        let found = index.search_within(&query, threshold, SelfMatch::None)?;
        assert_eq!((found.offsets, found.indices.len()), (vec![0, 0, 0], 0));
        index.add(&references)?;
        let found = index.search_within(&query, threshold, SelfMatch::None)?;
        assert_eq!(
            (&found.indices, &found.offsets[..]),
            (&indices, &offsets[..]),
            "{metric:?}"
        );
        let self_matches = SelfMatch::Rows(&[Some(0), None]);
        let others = index.search_within(&query, threshold, self_matches)?;
        assert_eq!(others.indices, indices[1..]);
        assert!(matches!(
            index.search_within(&query, f64::NAN, SelfMatch::None),
            Err(Error::InvalidParameter {
                name: "threshold",
                ..
            })
        ));
        assert!(
            index
                .search_within(&query, 1.0, SelfMatch::Rows(&[None]))
                .is_err()
        );
    }
    Ok(())
}

#[test]
fn what_is_removed_is_not_found() -> Result<()> {
    let rows = tensor(&[[0., 0.], [1., 0.], [2., 0.], [3., 0.]]);
    for (storage, dtype) in [
        (RowStorage::AsGiven, DType::F32),
        (RowStorage::AsGiven, DType::F64),
        (RowStorage::Float16, DType::F32),
    ] {
        let rows = rows.to_dtype(dtype)?;
        let mut index = FlatIndex::with_storage(FlatMetric::SquaredEuclidean, storage);
        index.add(&rows)?;
        assert!(matches!(
            index.remove(&[1, 4]),
            Err(Error::Index {
                arg: "rows",
                position: 1,
                limit: 4,
                got: 4
            })
        ));
        assert_eq!(index.remove(&[1, 1])?, 1);
        let found = index.search(&rows, 1)?;
        assert_eq!(found.indices, [0, 0, 1, 2]);
        assert_eq!(found.distances, [0., 1., 0., 0.]);
        assert_eq!(index.remove(&[2, 0, 1])?, 3);
        assert!(index.is_empty());
        index.add(&rows)?;
        assert_eq!(index.len(), 4);
    }
    Ok(())
}

#[test]
fn half_precision_is_exact_for_the_rounded_rows() -> Result<()> {
    let values: Vec<f32> = (0..200)
        .map(|i| ((i * 37) % 101) as f32 / 31.0 - 1.5)
        .collect();
    let rows = Tensor::from_vec(values, (50, 4), &Device::Cpu)?;
    let rounded = rows.to_dtype(DType::F16)?.to_dtype(DType::F32)?;
    let mut half = FlatIndex::with_storage(FlatMetric::SquaredEuclidean, RowStorage::Float16);
    let mut whole = FlatIndex::default();
    half.add(&rows)?;
    whole.add(&rounded)?;
    assert_eq!(
        half.search_others(&rows, 9, SelfMatch::Same)?,
        whole.search_others(&rows, 9, SelfMatch::Same)?
    );
    assert_eq!(
        half.search_within(&rows, 1.0, SelfMatch::Same)?,
        whole.search_within(&rows, 1.0, SelfMatch::Same)?
    );
    assert!(matches!(
        half.add(&rows.to_dtype(DType::F64)?),
        Err(Error::DType { .. })
    ));
    Ok(())
}

#[test]
fn an_index_without_rows_takes_those_of_any_width() -> Result<()> {
    let (two, three) = (
        tensor(&[[0., 0.], [1., 0.]]),
        Tensor::new(&[[1f64, 2., 3.]], &Device::Cpu)?,
    );
    for storage in [RowStorage::AsGiven, RowStorage::Float16] {
        let fresh = || FlatIndex::with_storage(FlatMetric::SquaredEuclidean, storage);
        let mut refused = fresh();
        let nothing_came = refused.add(&(two.ones_like()? * 1e6)?).is_err();
        assert_eq!(nothing_came, storage == RowStorage::Float16);
        let (mut emptied, mut none) = (fresh(), fresh());
        emptied.add(&two)?;
        assert_eq!(emptied.remove(&[0, 1])?, 2);
        none.add(&two.narrow(0, 0, 0)?)?;
        let wide = match storage {
            RowStorage::AsGiven => three.clone(),
            RowStorage::Float16 => three.to_dtype(DType::F32)?,
        };
        let mut indexes = vec![emptied, none];
        indexes.extend(nothing_came.then_some(refused));
        for mut index in indexes {
            assert!(index.is_empty());
            index.add(&wide)?;
            assert_eq!(index.search(&wide, 1)?.distances, [0.0]);
        }
    }
    Ok(())
}
