//! Bins by hand, and draws that are even over them.

use candle_core::{Device, Tensor};
use dml_core::Error;

use super::*;
use crate::tests::example_distance::{Euclidean, pairs};

fn miner(num_bins: usize, per_bin: usize, seed: u64) -> Result<UniformHistogramMiner> {
    let config = UniformHistogramMinerConfig {
        num_bins,
        pos_per_bin: per_bin,
        neg_per_bin: per_bin,
        seed,
    };
    UniformHistogramMiner::new(config, Euclidean)
}

#[test]
fn a_bin_holds_its_lower_end_and_the_last_one_both() {
    let bins = Bins::new(0f32, 4.0, 4);
    assert_eq!(
        [0.0, 0.9, 1.0, 2.5, 3.0, 4.0].map(|v| bins.of(v)),
        [0, 0, 1, 2, 3, 3]
    );
    let bins = Bins::new(0.3f32, 1.7, 100);
    for bin in 0..100 {
        assert_eq!(bins.of(bins.edges[bin]), bin);
    }
    assert_eq!((bins.edges[100], bins.of(1.7)), (1.7, 99));
    // All values equal: every edge is the same, and only the last bin has an upper end that belongs to it.
    assert_eq!(Bins::new(2f64, 2.0, 3).of(2.0), 2);
}

#[test]
fn every_bin_that_holds_a_pair_gives_as_many() -> Result<()> {
    let embeddings = Tensor::new(&[[0f32], [1.], [2.], [10.], [10.5]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 0, 1])?;
    // Positive distances 1, 1, 2, 8, 9, 10 in bins of width 3 from 1: two bins hold any.
    let (positive, negative) = pairs(&miner(3, 50, 1)?.mine(&batch)?, &batch)?;
    let distance = |pair: &[u32; 2]| {
        let x = [0f32, 1.0, 2.0, 10.0, 10.5];
        (x[pair[0] as usize] - x[pair[1] as usize]).abs()
    };
    assert_eq!(positive.len(), 100);
    assert!(positive[..50].iter().all(|pair| distance(pair) < 4.0));
    assert!(positive[50..].iter().all(|pair| distance(pair) >= 7.0));
    // Negative distances 0.5, 8.5, 9.5 and 10.5: the middle bin is empty again.
    assert_eq!(negative.len(), 100);
    assert!(negative[..50].iter().all(|pair| distance(pair) < 1.0));
    Ok(())
}

#[test]
fn draws_within_a_bin_are_uniform() -> Result<()> {
    let rows: Vec<f32> = (0..8).map(|i| (i * i) as f32).collect();
    let batch = Batch::new(&Tensor::from_vec(rows, (8, 1), &Device::Cpu)?, [0i64; 8])?;
    let (positive, negative) = pairs(&miner(1, 11_200, 3)?.mine(&batch)?, &batch)?;
    assert!(negative.is_empty());
    let mut counts = [0u32; 64];
    positive
        .iter()
        .for_each(|[a, p]| counts[(a * 8 + p) as usize] += 1);
    let expected = 200.0; // 11,200 draws over 56 pairs
    let chi_square: f64 = (0..64)
        .filter(|i| i / 8 != i % 8)
        .map(|i| (f64::from(counts[i]) - expected).powi(2) / expected)
        .sum();
    // One chance in a thousand for 55 degrees of freedom.
    assert!(chi_square < 93.2, "{chi_square}");
    assert!((0..8).all(|i| counts[i * 9] == 0));
    Ok(())
}

#[test]
fn seeds_decide_and_calls_differ() -> Result<()> {
    let rows: Vec<f32> = (0..40).map(|i| (i as f32 * 1.3).sin()).collect();
    let labels: Vec<i64> = (0..40).map(|i| i % 4).collect();
    let batch = Batch::new(&Tensor::from_vec(rows, (40, 1), &Device::Cpu)?, labels)?;
    let mined = |m: &UniformHistogramMiner| pairs(&m.mine(&batch)?, &batch);
    let (once, again) = (miner(5, 4, 9)?, miner(5, 4, 9)?);
    let first = mined(&once)?;
    assert_eq!(first, mined(&again)?);
    assert_ne!(first, mined(&once)?);
    Ok(())
}

#[test]
fn a_kind_without_pairs_stays_empty_and_errors_name_their_cause() -> Result<()> {
    let embeddings = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 1, 2])?;
    let (positive, negative) = pairs(&miner(4, 10, 0)?.mine(&batch)?, &batch)?;
    assert_eq!((positive.len(), negative.len()), (0, 20));
    assert!(matches!(
        miner(0, 10, 0),
        Err(Error::InvalidParameter {
            name: "num_bins",
            ..
        })
    ));
    Ok(())
}
