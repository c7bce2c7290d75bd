//! An epoch of each sampler.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dml_core::{IntoLabels, Labels, Sampler};
use dml_samplers::{
    FixedSetOfTriplets, FixedSetOfTripletsConfig, HierarchicalSampler, HierarchicalSamplerConfig,
    MPerClassSampler, MPerClassSamplerConfig, NoDuplicatesSampler, NoDuplicatesSamplerConfig,
    SamplesPerClass, ShuffleSampler, ShuffleSamplerConfig,
};

const ROWS: usize = 60_000;

fn labels(classes: usize) -> Labels {
    let labels: Vec<i64> = (0..ROWS).map(|row| (row * 7919 % classes) as i64).collect();
    labels.into_labels().expect("whole numbers")
}

fn bench(c: &mut Criterion, name: &str, sampler: &dyn Sampler) {
    let rows: usize = sampler.epoch(0).map(|batch| batch.len()).sum();
    let mut group = c.benchmark_group("sampler");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(rows as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            sampler
                .epoch(black_box(0))
                .map(|batch| batch.len())
                .sum::<usize>()
        });
    });
    group.finish();
}

fn benches(c: &mut Criterion) {
    for (classes, batch_size) in [(10, 40), (10_000, 256)] {
        let labels = labels(classes);
        for coverage in [false, true] {
            let config = MPerClassSamplerConfig {
                batch_size: Some(batch_size),
                coverage,
                ..MPerClassSamplerConfig::new(4)
            };
            let sampler = MPerClassSampler::new(config, &labels).expect("valid");
            let which = if coverage { "coverage" } else { "random" };
            let name = format!("MPerClassSampler/{which}/N{ROWS}-C{classes}-m4-B{batch_size}");
            bench(c, &name, &sampler);
        }
    }
    let config = NoDuplicatesSamplerConfig {
        batch_size: 256,
        seed: 0,
    };
    let sampler = NoDuplicatesSampler::new(config, labels(10_000)).expect("valid");
    bench(
        c,
        &format!("NoDuplicatesSampler/N{ROWS}-C10000-B256"),
        &sampler,
    );
    let config = HierarchicalSamplerConfig::new(256, SamplesPerClass::Exactly(4));
    let levels = [labels(10_000), labels(10)];
    let sampler = HierarchicalSampler::new(config, &levels).expect("valid");
    bench(
        c,
        &format!("HierarchicalSampler/N{ROWS}-C10000-S10-B256"),
        &sampler,
    );
    let config = FixedSetOfTripletsConfig {
        batch_size: Some(300),
        ..FixedSetOfTripletsConfig::new(ROWS)
    };
    let sampler = FixedSetOfTriplets::new(config, labels(10)).expect("valid");
    bench(c, &format!("FixedSetOfTriplets/T{ROWS}-B300"), &sampler);
    let config = ShuffleSamplerConfig {
        batch_size: 256,
        ..Default::default()
    };
    let sampler = ShuffleSampler::new(config, ROWS).expect("valid");
    bench(c, &format!("ShuffleSampler/N{ROWS}-B256"), &sampler);
}

criterion_group!(all, benches);
criterion_main!(all);
