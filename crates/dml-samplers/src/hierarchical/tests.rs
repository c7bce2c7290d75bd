use std::collections::BTreeMap;

use dml_core::candle_core::Device;

use super::*;
use dml_core::Error;

fn config(size: usize, samples: usize) -> HierarchicalSamplerConfig {
    HierarchicalSamplerConfig::new(size, SamplesPerClass::Exactly(samples))
}

/// Nine classes in three super classes: class c belongs to c % 3; class c has 2 + c % 4 rows.
fn levels() -> [Labels; 2] {
    let inner: Vec<i64> = (0..9i64)
        .flat_map(|c| vec![c; 2 + c as usize % 4])
        .collect();
    let outer: Vec<i64> = inner.iter().map(|c| c % 3).collect();
    [inner.into_labels().unwrap(), outer.into_labels().unwrap()]
}

/// Checks an epoch by the rules, and returns how often each combination of super classes came.
fn check_epoch(
    sampler: &HierarchicalSampler,
    inner: &Labels,
    outer: &Labels,
    samples: Option<usize>,
    epoch: u64,
) -> BTreeMap<Vec<i64>, usize> {
    let (inner, outer) = (inner.as_slice(), outer.as_slice());
    let rows_of = |class| inner.iter().filter(|&&c| c == class).count();
    let mut combinations = BTreeMap::new();
    let mut batches = 0;
    for batch in sampler.epoch(epoch) {
        let mut by_super: BTreeMap<i64, BTreeMap<i64, Vec<usize>>> = BTreeMap::new();
        for &row in &batch {
            let classes = by_super.entry(outer[row]).or_default();
            classes.entry(inner[row]).or_default().push(row);
        }
        for classes in by_super.values() {
            assert!(classes.values().map(Vec::len).sum::<usize>() <= sampler.part());
            for (&class, rows) in classes {
                assert_eq!(rows.len(), samples.unwrap_or(rows_of(class)));
                let mut distinct = rows.clone();
                distinct.sort_unstable();
                distinct.dedup();
                assert!(distinct.len() == rows.len() || rows_of(class) < rows.len());
            }
        }
        *combinations
            .entry(by_super.into_keys().collect())
            .or_insert(0) += 1;
        batches += 1;
    }
    assert_eq!(batches, sampler.batches());
    combinations
}

#[test]
fn every_combination_gets_its_batches_by_the_rules() -> Result<()> {
    let [inner, outer] = levels();
    for (size, samples, per_tuple, k) in [(8, 2, 4, 2), (8, 4, 1, 2), (9, 1, 2, 3), (6, 1, 3, 1)] {
        let config = HierarchicalSamplerConfig {
            batches_per_super_tuple: per_tuple,
            super_classes_per_batch: k,
            ..config(size, samples)
        };
        let sampler = HierarchicalSampler::new(config, &[inner.clone(), outer.clone()])?;
        for epoch in 0..5 {
            let combinations = check_epoch(&sampler, &inner, &outer, Some(samples), epoch);
            assert_eq!(combinations.len(), [3, 3, 1][k - 1]);
            assert!(combinations.values().all(|&n| n == per_tuple));
        }
    }
    Ok(())
}

#[test]
fn all_rows_of_a_class_come_as_long_as_they_fit() -> Result<()> {
    let [inner, outer] = levels();
    for size in [6, 8, 14] {
        let config = HierarchicalSamplerConfig::new(size, SamplesPerClass::All);
        let sampler = HierarchicalSampler::new(config, &[inner.clone(), outer.clone()])?;
        check_epoch(&sampler, &inner, &outer, None, 0);
    }
    Ok(())
}

#[test]
fn levels_are_chosen_by_number_and_tensors_serve_too() -> Result<()> {
    let [inner, outer] = levels();
    let swapped = HierarchicalSamplerConfig {
        inner_label: 1,
        outer_label: 0,
        ..config(8, 2)
    };
    let plain = HierarchicalSampler::new(config(8, 2), &[inner.clone(), outer.clone()])?;
    let other = HierarchicalSampler::new(swapped, &[outer.clone(), inner.clone()])?;
    let epoch: Vec<Vec<usize>> = plain.epoch(3).collect();
    assert_eq!(epoch, other.epoch(3).collect::<Vec<_>>());
    assert_ne!(epoch, plain.epoch(4).collect::<Vec<_>>());

    let columns: Vec<i64> = inner
        .as_slice()
        .iter()
        .zip(outer.as_slice())
        .flat_map(|(&i, &o)| [i, o])
        .collect();
    let tensor = Tensor::from_vec(columns, (inner.len(), 2), &Device::Cpu)?;
    let from_tensor = HierarchicalSampler::from_tensor(config(8, 2), &tensor)?;
    assert_eq!(epoch, from_tensor.epoch(3).collect::<Vec<_>>());
    assert!(matches!(
        HierarchicalSampler::from_tensor(config(8, 2), &tensor.flatten_all()?),
        Err(Error::Shape { arg: "labels", .. })
    ));
    Ok(())
}

#[test]
fn wrong_parameters_are_named() {
    let all = HierarchicalSamplerConfig::new(2, SamplesPerClass::All);
    let with = |change: fn(&mut HierarchicalSamplerConfig)| {
        let mut config = config(8, 2);
        change(&mut config);
        config
    };
    for (config, message) in [
        (
            config(0, 1),
            "batch_size: expected a whole number >= 1, got 0",
        ),
        (
            config(7, 1),
            "batch_size: expected a multiple of super_classes_per_batch, got 7",
        ),
        (
            config(8, 0),
            "samples_per_class: expected a whole number >= 1, got 0",
        ),
        (
            config(8, 3),
            "samples_per_class: expected a divisor of batch_size / super_classes_per_batch, got 3",
        ),
        (
            with(|c| c.batches_per_super_tuple = 0),
            "batches_per_super_tuple: expected a whole number >= 1, got 0",
        ),
        (
            with(|c| c.super_classes_per_batch = 0),
            "super_classes_per_batch: expected a whole number >= 1, got 0",
        ),
        (
            with(|c| c.super_classes_per_batch = 4),
            "super_classes_per_batch: expected at most the number of super classes, got 4",
        ),
        (
            with(|c| {
                (c.super_classes_per_batch, c.samples_per_class) = (1, SamplesPerClass::Exactly(8));
            }),
            "samples_per_class: expected a number below batch_size: a batch of one class has no negatives, got 8",
        ),
        (
            with(|c| c.outer_label = 2),
            "outer_label[0]: expected an index below 2, got 2",
        ),
        (
            with(|c| c.inner_label = 9),
            "inner_label[0]: expected an index below 2, got 9",
        ),
        (
            all,
            "batch_size: expected room for all rows of an inner class of each super class, got 2",
        ),
    ] {
        let error = HierarchicalSampler::new(config, &levels()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let [inner, _] = levels();
    let short = [0i64, 1].into_labels().unwrap();
    assert!(matches!(
        HierarchicalSampler::new(config(8, 2), &[inner, short]),
        Err(Error::Length { .. })
    ));
    let none = Vec::<i64>::new().into_labels().unwrap();
    assert!(HierarchicalSampler::new(config(8, 2), &[none.clone(), none]).is_err());
    // 600 super classes have more than 2²⁴ combinations of four.
    let many: Vec<i64> = (0..600).collect();
    let many = many.into_labels().unwrap();
    let four = HierarchicalSamplerConfig {
        super_classes_per_batch: 4,
        ..config(8, 2)
    };
    let error = HierarchicalSampler::new(four, &[many.clone(), many]).unwrap_err();
    assert!(error.to_string().contains("16777216"), "{error}");
}

#[cfg(feature = "serde")]
#[test]
fn samples_per_class_is_a_number_or_all() {
    let read = |text: &str| serde_json::from_str::<HierarchicalSamplerConfig>(text);
    let config = read(r#"{"batch_size": 6, "samples_per_class": "all"}"#).unwrap();
    assert_eq!(
        config,
        HierarchicalSamplerConfig::new(6, SamplesPerClass::All)
    );
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""samples_per_class":"all""#), "{text}");
    assert_eq!(read(&text).unwrap(), config);
    let text = serde_json::to_string(&super::tests::config(8, 2)).unwrap();
    assert!(text.contains(r#""samples_per_class":2"#), "{text}");
    for wrong in [
        r#"{"batch_size": 6, "samples_per_class": "most"}"#,
        r#"{"batch_size": 6}"#,
        r#"{"batch_size": 6, "samples_per_class": 1, "shuffle": true}"#,
    ] {
        assert!(read(wrong).is_err());
    }
}
