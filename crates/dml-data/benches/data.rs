//! Reading, generating and gathering images.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dml_core::candle_core::Device;
use dml_data::synthetic::{Split, SyntheticDigits, SyntheticDigitsConfig};
use dml_data::{Idx, Normalization};
use flate2::Compression;
use flate2::write::GzEncoder;

fn benches(c: &mut Criterion) {
    let digits = SyntheticDigits::new(SyntheticDigitsConfig::default()).expect("valid defaults");
    let set = digits.dataset(Split::Train, 10_000).expect("a valid set");

    let mut group = c.benchmark_group("data");
    group.sample_size(20);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("SyntheticDigits/N10000", |b| {
        b.iter(|| digits.dataset(Split::Train, black_box(10_000)));
    });

    let rows: Vec<usize> = (0..256).map(|i| i * 7919 % 10_000).collect();
    group.throughput(Throughput::Elements(256));
    group.bench_function("ImageDataset/batch/B256", |b| {
        b.iter(|| set.batch(black_box(&rows), Normalization::MNIST, &Device::Cpu));
    });

    let mut plain = vec![0, 0, 8, 3];
    for dim in [10_000u32, 28, 28] {
        plain.extend(dim.to_be_bytes());
    }
    plain.extend(set.pixels());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).expect("memory");
    let compressed = encoder.finish().expect("memory");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("Idx/plain/N10000", |b| {
        b.iter(|| Idx::parse("x", black_box(&plain)));
    });
    group.bench_function("Idx/gzip/N10000", |b| {
        b.iter(|| Idx::parse("x", black_box(&compressed)));
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
