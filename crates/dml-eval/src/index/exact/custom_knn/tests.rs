use super::*;
use dml_core::Error;

/// |q₀ − r₀|, or its negative.
#[derive(Debug)]
struct Gap(Order);

impl Distance for Gap {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let column = |rows: &Tensor| rows.narrow(1, 0, 1);
        let (q, r) = (column(query)?, column(reference.unwrap_or(query))?.t()?);
        let gap = q.broadcast_sub(&r)?.abs()?;
        Ok((gap * self.0.sign())?)
    }

    fn order(&self) -> Order {
        self.0
    }
}

fn index(order: Order, batch_size: Option<usize>) -> CustomKNN {
    CustomKNN::new(CustomKNNConfig { batch_size }, Gap(order)).unwrap()
}

#[test]
fn distances_and_similarities_by_hand_in_blocks_of_any_size() -> Result<()> {
    let references = Tensor::new(&[[0f32], [10.], [4.], [6.]], &Device::Cpu)?;
    let queries = Tensor::new(&[[1f32], [5.], [10.]], &Device::Cpu)?;
    for (order, distances) in [
        (Order::SmallerIsCloser, [1., 3., 1., 1., 0., 4.]),
        (Order::LargerIsCloser, [-1., -3., -1., -1., 0., -4.]),
    ] {
        for batch_size in [None, Some(1), Some(2), Some(9)] {
            let mut index = index(order, batch_size);
            index.add(&references.narrow(0, 0, 1)?)?;
            index.add(&references.narrow(0, 1, 3)?)?;
            let found = index.search(&queries, 2)?;
            // 5 is as far from 4 as from 6: the lower row comes first.
            assert_eq!(found.indices, [0, 2, 2, 3, 1, 3]);
            assert_eq!(found.distances, distances);
        }
    }
    Ok(())
}

#[test]
fn no_row_finds_itself_in_any_block() -> Result<()> {
    let rows = Tensor::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
    for batch_size in [Some(1), Some(2), None] {
        let mut index = index(Order::SmallerIsCloser, batch_size);
        index.add(&rows)?;
        assert_eq!(
            index.search_others(&rows, 1, SelfMatch::Same)?.indices,
            [1, 0, 1]
        );
    }
    Ok(())
}

#[test]
fn bad_input_is_refused_by_name() -> Result<()> {
    let config = CustomKNNConfig {
        batch_size: Some(0),
    };
    assert!(matches!(
        CustomKNN::new(config, Gap(Order::SmallerIsCloser)),
        Err(Error::InvalidParameter {
            name: "batch_size",
            ..
        })
    ));
    let mut index = index(Order::SmallerIsCloser, None);
    let rows = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
    assert!(matches!(
        index.search(&rows, 1),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    index.add(&rows)?;
    assert!(matches!(
        index.search(&rows, 3),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    let double = rows.to_dtype(candle_core::DType::F64)?;
    assert!(matches!(
        index.search(&double, 1),
        Err(Error::DType { arg: "queries", .. })
    ));
    assert!(matches!(
        index.add(&double),
        Err(Error::DType {
            arg: "references",
            ..
        })
    ));
    assert!(matches!(
        index.add(&rows.t()?),
        Err(Error::Shape {
            arg: "references",
            ..
        })
    ));
    assert_eq!(index.len(), 2);
    assert!(index.to_empty().is_empty());
    Ok(())
}

#[test]
fn within_a_threshold_and_removed() -> Result<()> {
    let line = |places: &[f32]| Tensor::from_slice(places, (places.len(), 1), &Device::Cpu);
    let filled = |order| -> Result<CustomKNN> {
        let mut index = index(order, Some(1));
        index.add(&line(&[0.0, 0.1, 0.3, f32::MAX])?)?;
        Ok(index)
    };
    let mut smaller = filled(Order::SmallerIsCloser)?;
    let found = smaller.search_within(&line(&[0.0, 0.3])?, 0.1, SelfMatch::None)?;
    // 0.1 in single precision is within 0.1.
    assert_eq!(
        (&found.indices[..], &found.offsets[..]),
        (&[0, 1, 2][..], &[0, 2, 3][..])
    );
    let found = smaller.search_within(&line(&[0.0])?, 0.1, SelfMatch::Same)?;
    assert_eq!(found.indices, [1]);
    let found =
        filled(Order::LargerIsCloser)?.search_within(&line(&[0.0])?, -0.1, SelfMatch::None)?;
    assert_eq!(found.indices, [0, 1]);
    assert!((found.distances[1] + 0.1).abs() < 1e-7);
    assert_eq!(smaller.remove(&[3, 0])?, 2);
    assert_eq!(smaller.search(&line(&[0.0])?, 2)?.indices, [0, 1]);
    assert!(smaller.remove(&[2]).is_err());
    smaller.remove(&[0, 1])?;
    assert!(smaller.is_empty());
    assert!(
        smaller
            .search_within(&line(&[0.0])?, 1.0, SelfMatch::None)?
            .indices
            .is_empty()
    );
    Ok(())
}

#[test]
fn rows_that_were_added_do_not_change_with_the_variable_they_were() -> Result<()> {
    let var = candle_core::Var::new(&[[0f32], [5.]], &Device::Cpu)?;
    let query = Tensor::new(&[[1f32]], &Device::Cpu)?;
    let mut index = index(Order::SmallerIsCloser, None);
    index.add(var.as_tensor())?;
    let before = index.search(&query, 1)?;
    var.set(&Tensor::new(&[[9f32], [1.]], &Device::Cpu)?)?;
    assert_eq!(index.search(&query, 1)?, before);
    Ok(())
}

/// The root of q₀ − r₀, which is no number where r₀ is larger.
#[derive(Debug)]
struct Root;

impl Distance for Root {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let (q, r) = (query, reference.unwrap_or(query).t()?);
        Ok(q.broadcast_sub(&r)?.sqrt()?)
    }
}

#[test]
fn a_distance_that_is_no_number_is_an_error() -> Result<()> {
    let mut index = CustomKNN::new(CustomKNNConfig::default(), Root)?;
    index.add(&Tensor::new(&[[0f32], [5.], [1.]], &Device::Cpu)?)?;
    let queries = |place: f32| Tensor::new(&[[9f32], [place]], &Device::Cpu);
    assert_eq!(index.search(&queries(6.)?, 1)?.indices, [1, 1]);
    let odd = |error: Option<Error>| {
        let is_odd = |error| {
            matches!(
                error,
                Error::InvalidParameter {
                    name: "distance",
                    ..
                }
            )
        };
        error.is_some_and(is_odd)
    };
    assert!(odd(index.search(&queries(3.)?, 1).err()));
    assert!(odd(index
        .search_within(&queries(3.)?, 1.0, SelfMatch::None)
        .err()));
    // The row that a query is itself plays no part.
    let self_matches = SelfMatch::Rows(&[None, Some(1)]);
    assert_eq!(
        index.search_others(&queries(3.)?, 1, self_matches)?.indices,
        [1, 2]
    );
    assert!(
        index
            .search_within(&queries(3.)?, 1.0, self_matches)
            .is_ok()
    );
    Ok(())
}
