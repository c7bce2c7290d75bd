use dml_core::candle_core::Device;
use dml_core::{Pairs, Tuples};

use super::*;
use dml_core::Error;

/// Every pair of rows that is closer than 1 on the first coordinate, as a positive or a negative pair.
#[derive(Debug)]
struct Near;

impl Miner for Near {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let x: Vec<f32> = batch.embeddings().narrow(1, 0, 1)?.squeeze(1)?.to_vec1()?;
        let mut pairs = Pairs::default();
        for a in 0..x.len() as u32 {
            for b in 0..x.len() as u32 {
                if a != b && (x[a as usize] - x[b as usize]).abs() < 1.0 {
                    pairs.negative_anchors.push(a);
                    pairs.negatives.push(b);
                }
            }
        }
        Ok(pairs.into())
    }
}

/// The i-th row lies at x = `at[i]`, y = 1.
fn embed(at: &[f32]) -> impl Fn(&[usize]) -> Result<Tensor> + '_ {
    |rows| {
        let values: Vec<f32> = rows.iter().flat_map(|&row| [at[row], 1.0]).collect();
        Ok(Tensor::from_vec(values, (rows.len(), 2), &Device::Cpu)?)
    }
}

fn plain() -> TuplesToWeightsSamplerConfig {
    TuplesToWeightsSamplerConfig {
        normalize_embeddings: false,
        ..Default::default()
    }
}

#[test]
fn weights_are_appearances_and_follow_the_model() -> Result<()> {
    // Row 1 is near both neighbours, row 3 near nothing: 2, 4, 2 and 0 appearances.
    let sampler =
        TuplesToWeightsSampler::new(plain(), Near, [0i64; 4], embed(&[0., 0.9, 1.8, 9.]))?;
    assert_eq!(*sampler.weights(), [0.5, 1.0, 0.5, 0.0]);
    assert_eq!((sampler.length(), sampler.batches()), (4, 1));
    sampler.refresh(1, embed(&[0., 5., 9., 9.]))?;
    assert_eq!(*sampler.weights(), [0.0, 0.0, 1.0, 1.0]);
    // Nothing is near anything: all rows alike.
    sampler.refresh(2, embed(&[0., 5., 10., 15.]))?;
    assert_eq!(*sampler.weights(), [1.0; 4]);
    Ok(())
}

#[test]
fn embeddings_are_normalised_unless_told_otherwise() -> Result<()> {
    // (3, 1) and (30, 1) point almost the same way, (-3, 1) another.
    let at = [3., 30., -3.];
    let config = TuplesToWeightsSamplerConfig::default();
    let unit = TuplesToWeightsSampler::new(config, Near, [0i64; 3], embed(&at))?;
    assert_eq!(*unit.weights(), [1.0, 1.0, 0.0]);
    let raw = TuplesToWeightsSampler::new(plain(), Near, [0i64; 3], embed(&at))?;
    assert_eq!(*raw.weights(), [1.0; 3]);
    Ok(())
}

#[test]
fn only_the_subset_is_embedded_and_drawn() -> Result<()> {
    let at: Vec<f32> = vec![0.0; 50];
    let config = TuplesToWeightsSamplerConfig {
        subset_size: Some(10),
        batch_size: 4,
        ..plain()
    };
    let sampler = TuplesToWeightsSampler::new(config, Near, vec![0i64; 50], |rows: &[usize]| {
        assert_eq!(rows.len(), 10);
        embed(&at)(rows)
    })?;
    let first = sampler.weights();
    assert_eq!(first.iter().filter(|&&weight| weight > 0.0).count(), 10);
    let sizes: Vec<usize> = sampler.epoch(0).map(|batch| batch.len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
    assert!(sampler.epoch(0).flatten().all(|row| first[row] > 0.0));
    sampler.refresh(1, embed(&at))?;
    assert_ne!(first, sampler.weights());
    sampler.refresh(0, embed(&at))?;
    assert_eq!(first, sampler.weights());
    Ok(())
}

/// Chi-square of 40,000 draws against the weights, 3 degrees of freedom, p = 0.001.
#[test]
fn draws_follow_the_weights() -> Result<()> {
    let at: Vec<f32> = [&[0., 0.9, 1.8, 9., 9.5][..], &vec![100.; 39_995]].concat();
    let miner = Arc::new(FirstFive);
    let sampler = TuplesToWeightsSampler::new(plain(), miner, vec![0i64; at.len()], embed(&at))?;
    assert_eq!(sampler.weights()[..5], [1.0, 0.75, 0.5, 0.25, 0.0]);
    let mut counts = [0u32; 4];
    for row in sampler.epoch(0).flatten() {
        counts[row] += 1;
    }
    assert_eq!(counts.iter().sum::<u32>(), 40_000);
    let chi_square: f64 = counts
        .iter()
        .zip([16e3, 12e3, 8e3, 4e3])
        .map(|(&n, expected)| (f64::from(n) - expected).powi(2) / expected)
        .sum();
    assert!(chi_square < 16.3, "{counts:?}");
    assert_eq!(sampler.epoch(3).next(), sampler.epoch(3).next());
    assert_ne!(sampler.epoch(3).next(), sampler.epoch(4).next());
    Ok(())
}

/// Rows 0 to 3 appear 4, 3, 2 and 1 times.
#[derive(Debug)]
struct FirstFive;

impl Miner for FirstFive {
    fn mine(&self, _: &Batch) -> Result<Tuples> {
        Ok(Pairs::new(vec![0, 0, 0], vec![1, 1, 1], vec![0, 2], vec![2, 3])?.into())
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let new = |config, embed: &dyn Fn(&[usize]) -> Result<Tensor>| {
        TuplesToWeightsSampler::new(config, Near, [0i64; 3], embed)
    };
    let good = embed(&[0.; 3]);
    for (subset_size, batch_size, message) in [
        (
            Some(0),
            1,
            "subset_size: expected between 1 and the number of rows, got 0",
        ),
        (
            Some(4),
            1,
            "subset_size: expected between 1 and the number of rows, got 4",
        ),
        (None, 0, "batch_size: expected a whole number >= 1, got 0"),
    ] {
        let config = TuplesToWeightsSamplerConfig {
            subset_size,
            batch_size,
            ..plain()
        };
        assert_eq!(new(config, &good).unwrap_err().to_string(), message);
    }
    let fewer = |_: &[usize]| embed(&[0.; 3])(&[0, 1]);
    assert!(matches!(new(plain(), &fewer), Err(Error::Length { .. })));
    let flat = |rows: &[usize]| Ok(embed(&[0.; 3])(rows)?.flatten_all()?);
    assert!(matches!(new(plain(), &flat), Err(Error::Shape { .. })));
    let broken = |_: &[usize]| {
        Err(Error::Unsupported {
            component: "model",
            reason: "it is broken",
        })
    };
    assert!(matches!(
        new(plain(), &broken),
        Err(Error::Unsupported { .. })
    ));
    let none = TuplesToWeightsSampler::new(plain(), Near, Vec::<i64>::new(), good);
    assert!(matches!(none, Err(Error::Shape { arg: "labels", .. })));
}

#[test]
fn weights_are_the_state() -> Result<()> {
    let sampler =
        |at: &'static [f32]| TuplesToWeightsSampler::new(plain(), Near, [0i64; 4], embed(at));
    let one = sampler(&[0., 0.9, 1.8, 9.])?;
    let other = sampler(&[0., 5., 9., 9.])?;
    let batches = |sampler: &dyn Sampler| sampler.epoch(1).collect::<Vec<_>>();
    assert_ne!(batches(&other), batches(&one));
    // Through a wrapper, as a trainer sees it.
    let shared: Arc<dyn Sampler> = Arc::new(one);
    let state = shared.state().unwrap();
    assert_eq!(state, [0.5, 1.0, 0.5, 0.0]);
    other.set_state(&state)?;
    assert_eq!(batches(&other), batches(&shared));
    for (wrong, message) in [
        (&[1.0][..], "state: expected length 4, got 1"),
        (
            &[1.0, -1.0, 0.0, 0.0],
            "state: expected finite weights >= 0, one of them > 0, got -1",
        ),
        (
            &[0.0; 4],
            "state: expected finite weights >= 0, one of them > 0, got 0",
        ),
        (
            &[1.0, f64::NAN, 0.0, 0.0],
            "state: expected finite weights >= 0, one of them > 0, got NaN",
        ),
    ] {
        assert_eq!(other.set_state(wrong).unwrap_err().to_string(), message);
    }
    assert_eq!(*other.weights(), *state);
    Ok(())
}
