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
        pieces.search_others(&rows, 2, OwnRow::Same)?,
        whole.search_others(&rows, 2, OwnRow::Same)?
    );
    assert!(whole.to_empty().is_empty());
    Ok(())
}

#[test]
fn no_row_finds_itself() -> Result<()> {
    let rows = tensor(&[[0., 0.], [0., 0.], [5., 0.]]);
    let mut index = FlatIndex::default();
    index.add(&rows)?;
    let found = index.search_others(&rows, 2, OwnRow::Same)?;
    assert_eq!(found.indices, [1, 2, 0, 2, 0, 1]);
    let found = index.search_others(&rows, 1, OwnRow::Rows(&[Some(1), None, Some(2)]))?;
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
    for (k, own) in [(0, OwnRow::None), (3, OwnRow::None), (2, OwnRow::Same)] {
        assert!(matches!(
            index.search_others(&rows, k, own),
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
