//! The losses over classes with their gradients: `cargo bench -p dml-losses --bench class_losses`.
//!
//! Ids are `loss/<name>/C<classes>/N<rows>-D<dim>`; the gradient is that of the embeddings and of the weights. Only 100
//! and 10,000 classes and sizes up to 1,024 run by default: set `DML_BENCH_CLASSES=10` and `DML_BENCH_ROWS=4096` for
//! others.

use std::hint::black_box;
use std::sync::Arc;

use candle_nn::VarBuilder;
use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Batch, Loss, Objective, Reducer, Result};
use dml_distances::{CosineSimilarity, DotProductSimilarity, LpDistance};
use dml_losses::{
    ArcFaceLoss, ArcFaceLossConfig, CosFaceLoss, CosFaceLossConfig, LargeMarginSoftmaxLoss,
    LargeMarginSoftmaxLossConfig, NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig, P2SGradLoss,
    P2SGradLossConfig, ProxyAnchorLoss, ProxyAnchorLossConfig, ProxyNCALoss, ProxyNCALossConfig,
    SeededVars, SoftTripleLoss, SoftTripleLossConfig, SphereFaceLoss, SphereFaceLossConfig,
    SubCenterArcFaceLoss, SubCenterArcFaceLossConfig,
};
use dml_reducers::{DivisorReducer, MeanReducer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;

fn batch(rows: usize, classes: usize) -> Result<Batch> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let labels: Vec<i64> = (0..rows)
        .map(|_| rng.random_range(0..classes as i64))
        .collect();
    // The sum of twelve uniform numbers is close enough to a normal one.
    let mut normal = || (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let values: Vec<f32> = (0..rows * DIM).map(|_| normal()).collect();
    let leaf = Var::from_tensor(&Tensor::from_vec(values, (rows, DIM), &Device::Cpu)?)?;
    Batch::new(&leaf, labels)
}

/// A name and what makes the loss for so many classes.
type Maker = (
    &'static str,
    fn(usize, VarBuilder<'_>) -> Result<Arc<dyn Loss>>,
);

fn cosine() -> CosineSimilarity {
    CosineSimilarity::default()
}

/// A loss with its default arguments.
macro_rules! maker {
    ($Loss:ident, $Config:ident, $distance:expr) => {
        (stringify!($Loss), |classes, vars| {
            Ok(Arc::new($Loss::new(
                $Config::new(classes, DIM),
                $distance,
                vars,
            )?))
        })
    };
}

const MAKERS: &[Maker] = &[
    maker!(ArcFaceLoss, ArcFaceLossConfig, cosine()),
    maker!(CosFaceLoss, CosFaceLossConfig, cosine()),
    maker!(
        LargeMarginSoftmaxLoss,
        LargeMarginSoftmaxLossConfig,
        cosine()
    ),
    maker!(
        NormalizedSoftmaxLoss,
        NormalizedSoftmaxLossConfig,
        DotProductSimilarity::default()
    ),
    ("P2SGradLoss", |num_classes, vars| {
        let config = P2SGradLossConfig {
            descriptors_dim: DIM,
            num_classes,
        };
        Ok(Arc::new(P2SGradLoss::new(config, vars)?))
    }),
    maker!(ProxyAnchorLoss, ProxyAnchorLossConfig, cosine()),
    maker!(ProxyNCALoss, ProxyNCALossConfig, LpDistance::squared()),
    maker!(SoftTripleLoss, SoftTripleLossConfig, cosine()),
    maker!(SphereFaceLoss, SphereFaceLossConfig, cosine()),
    maker!(SubCenterArcFaceLoss, SubCenterArcFaceLossConfig, cosine()),
];

fn numbers(variable: &str, default: &str) -> Vec<usize> {
    let list = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    list.split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

fn bench(c: &mut Criterion) {
    for classes in numbers("DML_BENCH_CLASSES", "100,10000") {
        for rows in numbers("DML_BENCH_ROWS", "256,1024") {
            let batch = batch(rows, classes).expect("the batch is well formed");
            for (name, make) in MAKERS {
                let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
                let loss = make(classes, vars).expect("the arguments are valid");
                let reducer: Arc<dyn Reducer> = match *name {
                    "ProxyAnchorLoss" => Arc::new(DivisorReducer),
                    _ => Arc::new(MeanReducer),
                };
                let objective = Objective::new(loss, reducer);
                c.bench_function(&format!("loss/{name}/C{classes}/N{rows}-D{DIM}"), |b| {
                    b.iter(|| {
                        black_box(
                            objective
                                .forward(&batch)
                                .and_then(|loss| Ok(loss.backward()?)),
                        )
                    });
                });
            }
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
