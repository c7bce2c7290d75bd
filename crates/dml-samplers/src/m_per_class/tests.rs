use super::*;
use dml_core::Error;
use proptest::prelude::*;

fn config(m: usize, batch_size: Option<usize>, length: usize) -> MPerClassSamplerConfig {
    MPerClassSamplerConfig {
        batch_size,
        length_before_new_iter: length,
        seed: 11,
        ..MPerClassSamplerConfig::new(m)
    }
}

/// Runs of `m` rows of one class, no class twice, no row twice in a run unless the class is smaller than `m`.
fn check_batch(batch: &[usize], labels: &[i64], m: usize) {
    let mut seen = Vec::new();
    for run in batch.chunks(m) {
        assert_eq!(run.len(), m);
        let class = labels[run[0]];
        assert!(run.iter().all(|&row| labels[row] == class));
        assert!(!seen.contains(&class));
        seen.push(class);
        let rows = labels.iter().filter(|&&l| l == class).count();
        assert!(
            rows < m || (1..m).all(|i| !run[..i].contains(&run[i])),
            "{run:?}"
        );
    }
}

#[test]
fn lengths_are_whole_batches() -> Result<()> {
    let labels: Vec<i64> = (0..20).map(|i| i % 5).collect();
    for (m, batch_size, length, batch, batches) in [
        (2, None, 40, 10, 4),
        (3, None, 100, 15, 6),
        (2, Some(6), 33, 6, 5),
        (4, Some(8), 50, 8, 6),
        (1, Some(4), 16, 4, 4),
        (3, None, 100_000, 15, 6666),
        // Shorter than m rows of every class: three classes instead of five, and never more than asked for.
        (3, None, 10, 9, 1),
        (3, None, 15, 15, 1),
    ] {
        let sampler = MPerClassSampler::new(config(m, batch_size, length), &labels)?;
        assert_eq!((sampler.batch_size(), sampler.batches()), (batch, batches));
        let epoch: Vec<Vec<usize>> = sampler.epoch(0).take(50).collect();
        assert_eq!(epoch.len(), batches.min(50));
        for one in &epoch {
            assert_eq!(one.len(), batch);
            check_batch(one, &labels, m);
        }
        assert_eq!(
            sampler.epoch(0).map(|b| b.len()).sum::<usize>(),
            sampler.length()
        );
    }
    Ok(())
}

#[test]
fn classes_smaller_than_m_are_drawn_with_replacement() -> Result<()> {
    let labels = [0i64, 1, 1, 2];
    let sampler = MPerClassSampler::new(config(5, Some(10), 20), labels)?;
    for batch in sampler.epoch(0) {
        assert_eq!(batch.len(), 10);
        check_batch(&batch, &labels, 5);
    }
    Ok(())
}

#[test]
fn an_epoch_repeats_and_epochs_and_seeds_differ() -> Result<()> {
    let labels: Vec<i64> = (0..60).map(|i| i / 6).collect();
    for coverage in [false, true] {
        let make = |seed| {
            let config = MPerClassSamplerConfig {
                coverage,
                seed,
                ..config(2, Some(8), 48)
            };
            MPerClassSampler::new(config, &labels)
        };
        let (sampler, other) = (make(1)?, make(2)?);
        let epoch: Vec<Vec<usize>> = sampler.epoch(7).collect();
        assert_eq!(epoch, sampler.epoch(7).collect::<Vec<_>>());
        assert_ne!(epoch, sampler.epoch(8).collect::<Vec<_>>());
        assert_ne!(epoch, other.epoch(7).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn wrong_parameters_are_named() {
    let labels: Vec<i64> = (0..24).map(|i| i % 6).collect();
    for (wrong, message) in [
        (
            config(0, None, 100),
            "m: expected a whole number >= 1, got 0",
        ),
        (
            config(3, Some(8), 100),
            "batch_size: expected a multiple of m, got 8",
        ),
        (
            config(3, Some(0), 100),
            "batch_size: expected a multiple of m, got 0",
        ),
        (
            config(2, Some(14), 100),
            "batch_size: expected at most m * (number of classes), got 14",
        ),
        (
            config(2, Some(8), 6),
            "length_before_new_iter: expected at least batch_size, or at least m without one, got 6",
        ),
        (
            config(2, None, 1),
            "length_before_new_iter: expected at least batch_size, or at least m without one, got 1",
        ),
    ] {
        assert_eq!(
            MPerClassSampler::new(wrong, &labels)
                .unwrap_err()
                .to_string(),
            message
        );
    }
    assert!(matches!(
        MPerClassSampler::new(config(1, None, 10), Vec::<i64>::new()),
        Err(Error::Shape { arg: "labels", .. })
    ));
}

#[test]
fn batches_of_one_class_take_a_word() -> Result<()> {
    let labels: Vec<i64> = (0..24).map(|i| i % 6).collect();
    let message = "batch_size: expected at least 2 * m, or one_class_batches: a batch of one class has no negatives, got 4";
    for coverage in [false, true] {
        let one = MPerClassSamplerConfig {
            coverage,
            ..config(4, Some(4), 100)
        };
        let refused = MPerClassSampler::new(one.clone(), &labels);
        assert_eq!(refused.unwrap_err().to_string(), message);
        let meant = MPerClassSamplerConfig {
            one_class_batches: true,
            ..one
        };
        assert_eq!(MPerClassSampler::new(meant, &labels)?.batch_size(), 4);
    }
    // A length that leaves room for one class does the same.
    assert!(MPerClassSampler::new(config(4, None, 7), &labels).is_err());
    // Labels of a single class have no negatives to begin with.
    assert_eq!(
        MPerClassSampler::new(config(4, Some(4), 100), [3i64; 9])?.batch_size(),
        4
    );
    Ok(())
}

#[test]
fn even_classes_are_covered_exactly_once() -> Result<()> {
    let labels: Vec<i64> = (0..120).map(|i| i % 10).collect(); // 12 rows each: 3 runs of 4
    let config = MPerClassSamplerConfig {
        coverage: true,
        ..config(4, Some(20), 1)
    };
    let sampler = MPerClassSampler::new(config, &labels)?;
    assert_eq!(sampler.length(), 120);
    for epoch in 0..5 {
        let mut rows: Vec<usize> = sampler.epoch(epoch).flatten().collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..120).collect::<Vec<_>>());
    }
    Ok(())
}

proptest! {
    #[test]
    fn coverage_shows_every_row_in_balanced_batches(
        labels in prop::collection::vec(0i64..6, 1..60), m in 1usize..5, per_batch in 1usize..7, seed: u64,
    ) {
        let classes = (0..6).filter(|c| labels.contains(c)).count();
        let config = MPerClassSamplerConfig {
            batch_size: (per_batch <= classes).then_some(m * per_batch),
            coverage: true,
            one_class_batches: true,
            seed,
            ..MPerClassSamplerConfig::new(m)
        };
        let sampler = MPerClassSampler::new(config, &labels).unwrap();
        let mut seen = vec![0; labels.len()];
        let mut batches = 0;
        for batch in sampler.epoch(seed) {
            prop_assert_eq!(batch.len(), sampler.batch_size());
            check_batch(&batch, &labels, m);
            batch.iter().for_each(|&row| seen[row] += 1);
            batches += 1;
        }
        prop_assert_eq!(batches, sampler.batches());
        prop_assert!(seen.iter().all(|&n| n > 0));
    }
}

/// Classes, and rows within a class, are equally likely: chi-square on 6 classes of 4 rows.
#[test]
fn classes_and_rows_are_uniform() -> Result<()> {
    let labels: Vec<i64> = (0..24).map(|i| i / 4).collect();
    let sampler = MPerClassSampler::new(config(2, Some(6), 24_000), &labels)?;
    let mut rows = [0u32; 24];
    for batch in sampler.epoch(0) {
        batch.iter().for_each(|&row| rows[row] += 1);
    }
    let chi_square = |counts: &[u32]| -> f64 {
        let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        counts
            .iter()
            .map(|&n| (f64::from(n) - mean).powi(2) / mean)
            .sum()
    };
    let classes: Vec<u32> = rows.chunks(4).map(|c| c.iter().sum()).collect();
    // Draws without replacement vary less than independent ones, so the bounds at p = 0.001 are on the safe side.
    assert!(chi_square(&classes) < 2.0 * 20.5, "{classes:?}"); // runs of 2 double it; 5 degrees of freedom
    assert!(chi_square(&rows) < 49.7, "{rows:?}"); // 23 degrees of freedom
    Ok(())
}
