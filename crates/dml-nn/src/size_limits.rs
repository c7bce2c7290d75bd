//! Sizes and shares that nobody means: an error, or a layer that works on a small image, never a panic or an allocation
//! without bound.

use candle_core::{DType, Device, Tensor};
use dml_core::SeedSequence;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Dropout, DropoutConfig, Layer, Linear,
    LinearConfig, MaxPool2d, MaxPool2dConfig,
};

const SIZES: [usize; 10] = [
    0,
    1,
    3,
    1024,
    1025,
    1_000_000,
    1 << 32,
    1_000_000_000_000,
    1 << 63,
    usize::MAX,
];

const NUMBERS: [f64; 12] = [
    0.0,
    -1.0,
    1.0,
    0.5,
    1e-320,
    1e-45,
    1e-30,
    1e30,
    1e308,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

fn image() -> Tensor {
    let pixels: Vec<f32> = (0..2 * 2 * 5 * 6).map(|i| (i as f32 * 0.3).sin()).collect();
    Tensor::from_vec(pixels, (2, 2, 5, 6), &Device::Cpu).unwrap()
}

/// The gradient of a layer's output in its input; what can't be computed is an error.
fn used(layer: &dyn Layer, input: &Tensor) -> bool {
    let input = candle_core::Var::from_tensor(input).unwrap();
    layer
        .forward_t(&input, true)
        .and_then(|output| Ok(output.sum_all()?.backward()?))
        .is_ok()
}

#[test]
fn windows_of_any_size_are_refused_or_work() {
    let mut works = 0;
    for size in SIZES {
        for field in 0..7 {
            let mut config = Conv2dConfig::new(2, 2, [2, 3]);
            let mut pooling = MaxPool2dConfig::new([2, 2]);
            match field {
                0 => config.kernel_size[0] = size,
                1 => config.stride[1] = size,
                2 => config.padding = [size, 0],
                3 => config.dilation[1] = size,
                4 => config.groups = size,
                5 => config.in_channels = size,
                _ => config.out_channels = size,
            }
            match field {
                0 => pooling.kernel_size = [size, 2],
                1 => pooling.stride = Some([1, size]),
                2 => pooling.padding = [0, size],
                _ => pooling.dilation = [size, 1],
            }
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            if let Ok(layer) = Conv2d::new(config, &mut rng, DType::F32, &Device::Cpu) {
                works += usize::from(used(&layer, &image()));
            }
            if let Ok(layer) = MaxPool2d::new(pooling) {
                works += usize::from(used(&layer, &image()));
            }
        }
    }
    assert!(works > 20, "{works}");
}

#[test]
fn widths_of_any_size_are_refused_or_work() {
    let rows = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
    for size in SIZES {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for config in [LinearConfig::new(size, 2), LinearConfig::new(3, size)] {
            if let Ok(layer) = Linear::new(config, &mut rng, DType::F32, &Device::Cpu) {
                used(&layer, &rows);
            }
        }
        let norm = BatchNorm::new(BatchNormConfig::new(size), DType::F32, &Device::Cpu);
        if let Ok(layer) = norm {
            assert_eq!(used(&layer, &rows), size == 3, "{size}");
        }
    }
    let huge = LinearConfig::new(1 << 31, 1 << 31);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let refused = Linear::new(huge, &mut rng, DType::F32, &Device::Cpu);
    assert!(matches!(refused, Err(dml_core::Error::Size { .. })));
}

#[test]
fn shares_of_any_value_are_refused_or_work() {
    let rows = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
    for number in NUMBERS {
        if let Ok(layer) = Dropout::new(DropoutConfig { p: number }, SeedSequence::new(0)) {
            assert!((0.0..1.0).contains(&number));
            assert!(used(&layer, &rows));
        }
        for (eps, momentum) in [(number, 0.1), (1e-5, number)] {
            let config = BatchNormConfig {
                eps,
                momentum,
                ..BatchNormConfig::new(3)
            };
            if let Ok(layer) = BatchNorm::new(config, DType::F32, &Device::Cpu) {
                assert!((1e-30..=1e30).contains(&eps));
                assert!(used(&layer, &rows));
            }
        }
    }
}
