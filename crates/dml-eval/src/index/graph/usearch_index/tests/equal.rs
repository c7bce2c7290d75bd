//! Rows that are equal, or equally far from a query.

use super::*;

/// The rows of an index with every kind of ties, and queries.
fn lattice() -> (Tensor, Tensor) {
    let coordinate = |i: usize, k: usize| ((i * 7919 + k * 104_729) / 13 % 3) as f32;
    let values = |count: usize, offset: usize| -> Vec<f32> {
        (0..count)
            .flat_map(|i| (0..4).map(move |k| coordinate(i + offset, k)))
            .collect()
    };
    (
        Tensor::from_vec(values(600, 0), (600, 4), &Device::Cpu).unwrap(),
        Tensor::from_vec(values(60, 17), (60, 4), &Device::Cpu).unwrap(),
    )
}

#[test]
fn a_thousand_copies_push_no_other_row_out_of_reach() -> Result<()> {
    let others = rows(200, 3);
    for metric in [FlatMetric::SquaredEuclidean, FlatMetric::Cosine] {
        let copy = rows(1, 0).broadcast_as((1000, DIM))?.contiguous()?;
        let mut index = UsearchIndex::new(UsearchIndexConfig {
            metric,
            ..Default::default()
        })?;
        index.add(&copy)?;
        index.add(&others)?;
        let found = index.search(&others, 1)?;
        let want: Vec<u32> = (1000..1200).collect();
        assert_eq!(found.indices, want);
        // The copies are all there, in their order.
        let copies = index.search(&copy.narrow(0, 0, 1)?, 1000)?;
        assert_eq!(copies.indices, (0..1000).collect::<Vec<u32>>());
        let self_matches = index.search_others(&copy.narrow(0, 0, 3)?, 2, SelfMatch::Same)?;
        assert_eq!(self_matches.indices, [1, 2, 0, 2, 0, 1]);
    }
    Ok(())
}

#[test]
fn near_copies_of_a_direction_push_few_rows_out_of_reach() -> Result<()> {
    // Nearly equal once they have length 1: the last digit depends on the length that they had.
    let lengths: Vec<f32> = (0..1000).map(|i| 0.5 + i as f32 / 700.0).collect();
    let lengths = Tensor::from_vec(lengths, (1000, 1), &Device::Cpu)?;
    let copies = rows(1, 0).broadcast_mul(&lengths)?;
    let others = rows(200, 3);
    let mut index = UsearchIndex::new(UsearchIndexConfig {
        metric: FlatMetric::Cosine,
        ..Default::default()
    })?;
    index.add(&copies)?;
    index.add(&others)?;
    let found = index.search(&others, 1)?;
    let exact = index.rows().search(&others, 1)?;
    // They are not equal, and so a node each.
    let recall = recall(&found, &exact);
    assert!(recall > 0.9, "{recall}");
    Ok(())
}

#[test]
fn ties_go_to_the_lower_row_as_they_do_in_an_exact_index() -> Result<()> {
    let (references, queries) = lattice();
    for metric in [
        FlatMetric::SquaredEuclidean,
        FlatMetric::InnerProduct,
        FlatMetric::Cosine,
    ] {
        let index = index(metric, &references);
        for k in [1, 2, 7, 50, 128, 599] {
            let found = index.search(&queries, k)?;
            assert_eq!(found, index.rows().search(&queries, k)?, "{metric:?} {k}");
        }
    }
    Ok(())
}

#[test]
fn copies_come_and_go_and_are_in_files() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let (references, queries) = lattice();
    let mut index = index(FlatMetric::SquaredEuclidean, &references);
    let mut exact = FlatIndex::default();
    exact.add(&references)?;
    for round in 0..6u32 {
        let gone: Vec<u32> = (0..exact.len() as u32)
            .filter(|row| (row * 7 + round) % 3 != 0)
            .collect();
        assert_eq!(index.remove(&gone)?, exact.remove(&gone)?);
        let more = references.narrow(0, 50 * round as usize, 200)?;
        index.add(&more)?;
        exact.add(&more)?;
        assert_eq!(index.search(&queries, 9)?, exact.search(&queries, 9)?);
        index.save(&path).unwrap();
        index.load(&path).unwrap();
        assert_eq!(index.search(&queries, 9)?, exact.search(&queries, 9)?);
    }
    Ok(())
}
