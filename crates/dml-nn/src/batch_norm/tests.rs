use super::*;
use crate::checked_layer::{assert_close, check, input, run};
use crate::{Conv2d, Conv2dConfig, Linear, LinearConfig, Sequential};
use dml_core::Error;
use dml_core::autograd::without_kernels;
use rand::SeedableRng;

fn numbers(count: usize) -> Vec<f64> {
    let number = |i: usize| ((i * 29 % 83) as f64 / 41.0 - 1.0) * (1.0 + (i % 3) as f64);
    (0..count).map(number).collect()
}

fn close(a: &Tensor, b: &Tensor, limit: f64) -> Result<()> {
    assert_eq!(a.dims(), b.dims());
    let gap = (a.to_dtype(DType::F64)? - b.to_dtype(DType::F64)?)?;
    let gap = gap.abs()?.max_all()?.to_scalar::<f64>()?;
    assert!(gap < limit, "{gap}");
    Ok(())
}

/// A layer whose γ and β are no 1 and 0.
fn norm(channels: usize, dtype: DType) -> Result<BatchNorm> {
    let norm = BatchNorm::new(BatchNormConfig::new(channels), dtype, &Device::Cpu)?;
    for (var, shift) in [(&norm.weight, 0.5), (&norm.bias, -0.25)] {
        let values: Vec<f64> = (0..channels).map(|i| i as f64 * 0.3 + shift).collect();
        var.set(&Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?)?;
    }
    Ok(norm)
}

#[test]
fn numbers_and_gradients_are_those_of_candles_layer() -> Result<()> {
    for shape in [vec![5, 3], vec![4, 3, 2, 5]] {
        let own = norm(3, DType::F64)?;
        let device = &Device::Cpu;
        let weight = Var::from_tensor(&own.weight.as_detached_tensor())?;
        let bias = Var::from_tensor(&own.bias.as_detached_tensor())?;
        let theirs = candle_nn::BatchNorm::new(
            3,
            Tensor::zeros(3, DType::F64, device)?,
            Tensor::ones(3, DType::F64, device)?,
            weight.as_tensor().clone(),
            bias.as_tensor().clone(),
            1e-5,
        )?;
        let count = shape.iter().product();
        for train in [true, true, false] {
            let x = Var::from_vec(numbers(count), shape.as_slice(), device)?;
            let weights =
                Tensor::from_vec(numbers(count + 7)[7..].to_vec(), shape.as_slice(), device)?;
            let (a, b) = (
                own.forward_t(&x, train)?,
                candle_nn::ModuleT::forward_t(&theirs, &x, train)?,
            );
            close(&a, &b, 1e-12)?;
            let first = (a * &weights)?.sum_all()?.backward()?;
            let second = (b * &weights)?.sum_all()?.backward()?;
            for (a, b) in [(&own.weight, &weight), (&own.bias, &bias), (&x, &x)] {
                close(first.get(a).unwrap(), second.get(b).unwrap(), 1e-10)?;
            }
            close(&own.running_mean, theirs.running_mean(), 1e-12)?;
            close(&own.running_var, theirs.running_var(), 1e-12)?;
        }
    }
    Ok(())
}

#[test]
fn frozen_statistics_stay_and_the_layer_still_learns() -> Result<()> {
    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let linear = Linear::new(LinearConfig::new(4, 3), rng, DType::F32, &Device::Cpu)?;
    let network = Sequential::default()
        .with("fc1", linear)
        .with("norm1", norm(3, DType::F32)?);
    let x = Tensor::from_vec(numbers(20), (5, 4), &Device::Cpu)?.to_dtype(DType::F32)?;
    network.forward_t(&x, true)?;
    let buffers = || -> Result<Vec<(String, Vec<f32>)>> {
        let buffers = network.buffers().into_iter();
        buffers
            .map(|(name, var)| Ok((name, var.to_vec1()?)))
            .collect()
    };
    let before = buffers()?;
    let names: Vec<&str> = before.iter().map(|own| own.0.as_str()).collect();
    assert_eq!(names, ["norm1.running_mean", "norm1.running_var"]);
    assert!(network.parameters().get("norm1.running_mean").is_none());
    network.forward_t(&x, true)?;
    assert_ne!(buffers()?, before);

    network.freeze_statistics();
    let before = buffers()?;
    let trained = network.forward_t(&x, true)?;
    assert_eq!(buffers()?, before);
    assert_eq!(
        trained.to_vec2::<f32>()?,
        network.forward(&x)?.to_vec2::<f32>()?
    );
    let gradients = trained.sqr()?.sum_all()?.backward()?;
    for name in ["fc1.weight", "norm1.weight", "norm1.bias"] {
        let gradient = gradients
            .get(network.parameters().get(name).unwrap())
            .unwrap();
        assert!(
            gradient.abs()?.sum_all()?.to_scalar::<f32>()? > 0.0,
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn half_precision_is_computed_in_single() -> Result<()> {
    let x = Tensor::from_vec(numbers(60), (10, 3, 2), &Device::Cpu)?;
    for dtype in [DType::F16, DType::BF16] {
        let half = norm(3, dtype)?;
        let y = half.forward_t(&x.to_dtype(dtype)?, true)?;
        assert_eq!((y.dtype(), half.running_mean.dtype()), (dtype, DType::F32));
        close(&y, &norm(3, DType::F64)?.forward_t(&x, true)?, 0.05)?;
    }
    Ok(())
}

#[test]
fn what_has_no_spread_and_no_channels_is_refused() -> Result<()> {
    let layer = norm(3, DType::F32)?;
    let one = Tensor::zeros((1, 3), DType::F32, &Device::Cpu)?;
    assert!(matches!(
        layer.forward_t(&one, true),
        Err(Error::Shape { .. })
    ));
    assert_eq!(layer.forward(&one)?.dims(), [1, 3]);
    for shape in [vec![3], vec![2, 4]] {
        let other = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            layer.forward(&other),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    for (name, config) in [
        ("channels", BatchNormConfig::new(0)),
        (
            "eps",
            BatchNormConfig {
                eps: 0.0,
                ..BatchNormConfig::new(1)
            },
        ),
        (
            "momentum",
            BatchNormConfig {
                momentum: 1.5,
                ..BatchNormConfig::new(1)
            },
        ),
    ] {
        let error = BatchNorm::new(config, DType::F32, &Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { name: own, .. } if own == name));
    }
    Ok(())
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]:
///
/// ```text
/// w, b = torch.arange(3.) * 0.3 + 0.5, torch.arange(3.) * 0.3 - 0.25; rm, rv = torch.zeros(3), torch.ones(3)
/// y = F.batch_norm(num(12).reshape(2, 3, 2), rm, rv, w, b, True, 0.1, 1e-5); (y * num(19)[7:].reshape(2, 3, 2)).sum().backward()
/// ```
///
/// and then the same in evaluation.
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let layer = norm(3, DType::F64)?;
    let x = input(&[2, 3, 2])?;
    let got = run(&layer, &x, true)?;
    #[rustfmt::skip]
    let wanted = [
        vec![-0.841434, -0.148029, 0.639845, -0.801998, -0.924136, 1.109334, -0.515126, 0.504589, 1.033075, -0.670922,
             -0.512294, 1.727096],
        vec![-0.050994, 0.931458, -0.149827, -0.12948, -0.451446, -0.642001, -0.5292, -0.351263, 0.105288, 0.174019,
             0.711601, 0.381846],
        vec![4.144517, -1.502586, -5.520143],
        vec![4.243902, -0.829268, 3.804878],
    ];
    assert_close(&got, &wanted, 1e-6);
    let running = [layer.running_mean.to_vec1()?, layer.running_var.to_vec1()?];
    let wanted = [
        vec![-0.064634, 0.036585, 0.081707],
        vec![0.911918, 1.089094, 1.044854],
    ];
    assert_close(&running, &wanted, 1e-6);
    let got = run(&layer, &x, false)?;
    #[rustfmt::skip]
    let wanted = [
        vec![-0.739747, -0.522649, 0.975501, -0.669834, -0.157879, 1.915631, -0.637583, -0.318322, 1.424228, -0.520258,
             0.262073, 2.545558],
        vec![-0.102164, 0.957783, -0.542212, 0.0, 2.283485, -0.656174, 0.102164, 1.264274, -0.392637, 0.299152, 2.913412,
             -0.446198],
        vec![-1.287572, -1.976294, -2.891588],
        vec![4.243902, -0.829268, 3.804878],
    ];
    assert_close(&got, &wanted, 1e-6);
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for train in [true, false] {
        for shape in [
            vec![7, 3],
            vec![2, 1, 5],
            vec![1, 4, 3, 3],
            vec![3, 5, 11, 13],
        ] {
            let make = |dtype| -> Result<Box<dyn Layer>> { Ok(Box::new(norm(shape[1], dtype)?)) };
            check(make, &shape, train)?;
        }
    }
    Ok(())
}

#[test]
fn sums_of_large_batches_are_cut_into_pieces() -> Result<()> {
    let layer = norm(9, DType::F64)?;
    let x = input(&[130, 9, 8, 16])?;
    let fused = run(&layer, &x, true)?;
    assert_close(&fused, &without_kernels(|| run(&layer, &x, true))?, 1e-9);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    assert_eq!(pool.install(|| run(&layer, &x, true))?, fused);
    Ok(())
}

#[test]
fn channels_far_from_zero_keep_their_digits_and_equal_ones_become_the_bias() -> Result<()> {
    let layer = BatchNorm::new(BatchNormConfig::new(2), DType::F32, &Device::Cpu)?;
    let x = [[1e6f32, 3.], [1e6 + 1., 3.], [1e6 + 2., 3.], [1e6 + 5., 3.]];
    let y = layer
        .forward_t(&Tensor::new(&x, &Device::Cpu)?, true)?
        .to_vec2::<f32>()?;
    // Mean 10⁶ + 2, variance 3.5.
    for (y, want) in y.iter().zip([-2f32, -1., 0., 3.]) {
        assert!(
            (y[0] - want / 3.5f32.sqrt()).abs() < 1e-5 && y[1] == 0.0,
            "{y:?}"
        );
    }
    assert_eq!(layer.running_var.to_vec1::<f32>()?[1], 0.9);
    Ok(())
}

#[test]
fn nan_spoils_its_channel_alone() -> Result<()> {
    for bad in [f64::NAN, f64::INFINITY] {
        let x = Var::new(&[[1., bad], [2., 3.], [4., 5.]], &Device::Cpu)?;
        let all = run(&norm(2, DType::F64)?, &x, true)?;
        for values in &all[..2] {
            let nan: Vec<bool> = values.iter().map(|y| y.is_nan()).collect();
            assert_eq!(nan, [false, true, false, true, false, true]);
        }
    }
    Ok(())
}

#[test]
fn what_needs_no_gradient_gets_none_and_views_work() -> Result<()> {
    let layer = norm(3, DType::F32)?;
    let x = input(&[4, 3, 5])?.to_dtype(DType::F32)?.detach();
    let store = layer.forward_t(&x, true)?.sqr()?.sum_all()?.backward()?;
    assert!(store.get(&x).is_none() && store.get(&layer.weight).is_some());
    let turned = x.transpose(0, 2)?.contiguous()?.transpose(0, 2)?;
    let [a, b] = [&x, &turned].map(|x| layer.forward_t(x, true));
    close(&a?, &b?, 1e-6)?;
    let empty = layer.forward(&Tensor::zeros((0, 3, 5), DType::F32, &Device::Cpu)?)?;
    assert_eq!(empty.dims(), [0, 3, 5]);
    Ok(())
}

#[test]
fn given_parameters_have_the_size_of_the_channels() -> Result<()> {
    for wrong in 0..4 {
        let var = |i: usize| Var::ones(if i == wrong { 2 } else { 3 }, DType::F32, &Device::Cpu);
        let config = BatchNormConfig::new(3);
        let refused = BatchNorm::from_parameters(config, var(0)?, var(1)?, var(2)?, var(3)?);
        let name = ["weight", "bias", "running_mean", "running_var"][wrong];
        assert!(matches!(refused, Err(Error::Shape { arg, .. }) if arg == name));
    }
    Ok(())
}

/// A normalisation with an activation, and its own input as the residual, which makes every gradient a sum of two.
#[derive(Debug)]
struct Block(BatchNorm, Option<Activation>, bool);

impl Layer for Block {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let residual = self.2.then(|| input * 0.3).transpose()?;
        self.0
            .forward_activated(input, residual.as_ref(), self.1, train)
    }

    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

#[test]
fn activations_and_residuals_hold_in_every_form() -> Result<()> {
    let activations = [
        None,
        Some(Activation::Relu),
        Some(Activation::Relu6),
        Some(Activation::Silu),
        Some(Activation::Hardswish),
        Some(Activation::Tanh),
    ];
    for activation in activations {
        for residual in [false, true] {
            for train in [true, false] {
                let make = |dtype| -> Result<Box<dyn Layer>> {
                    Ok(Box::new(Block(norm(3, dtype)?, activation, residual)))
                };
                check(make, &[3, 3, 5, 7], train)?;
            }
        }
    }
    Ok(())
}

#[test]
fn residuals_of_another_shape_or_type_are_refused() -> Result<()> {
    let layer = norm(3, DType::F32)?;
    let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
    let other = Tensor::zeros((1, 3), DType::F32, &Device::Cpu)?;
    let refused = layer.forward_activated(&x, Some(&other), None, true);
    assert!(matches!(
        refused,
        Err(Error::Shape {
            arg: "residual",
            ..
        })
    ));
    let other = x.to_dtype(DType::F64)?;
    let refused = layer.forward_activated(&x, Some(&other), None, true);
    assert!(matches!(
        refused,
        Err(Error::DType {
            arg: "residual",
            ..
        })
    ));
    Ok(())
}

#[test]
fn outputs_of_convolutions_are_normalised_in_the_cache_with_the_same_bits() -> Result<()> {
    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let square = |inputs, outputs, kernel: usize, stride, groups| Conv2dConfig {
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        groups,
        bias: groups == 2,
        ..Conv2dConfig::new(inputs, outputs, [kernel; 2])
    };
    // Each plane by itself, tiles of 3 × 3 windows in single precision, and products of columns.
    let configs = [
        square(6, 6, 3, 1, 6),
        square(6, 12, 5, 2, 6),
        square(32, 33, 3, 1, 1),
        square(5, 7, 1, 1, 1),
        square(4, 6, 3, 2, 2),
    ];
    let activations = [
        None,
        Some(Activation::Relu),
        Some(Activation::Relu6),
        Some(Activation::Hardswish),
        Some(Activation::Tanh),
    ];
    for (config, activation) in configs.into_iter().zip(activations) {
        for dtype in [DType::F32, DType::F64] {
            let convolution = Conv2d::new(config.clone(), rng, dtype, &Device::Cpu)?;
            let norm = norm(config.out_channels, dtype)?;
            let variance: Vec<f64> = (0..config.out_channels).map(|i| 0.5 + i as f64).collect();
            let variance = Tensor::new(variance, &Device::Cpu)?.to_dtype(dtype)?;
            norm.running_mean.set(&(&variance * 0.1)?)?;
            norm.running_var.set(&variance)?;
            // 17 images of 7 × 6 are more than one run of small images.
            let shape = (17, config.in_channels, 7, 6);
            let x = Tensor::from_vec(numbers(17 * config.in_channels * 42), shape, &Device::Cpu)?;
            let x = x.to_dtype(dtype)?;
            let plain = convolution.forward(&x)?;
            let residual = (plain.detach() * 0.3)?.cos()?;
            for residual in [None, Some(&residual)] {
                let expected = norm.forward_activated(&plain, residual, activation, false)?;
                let run =
                    |train| norm.forward_convolved(&convolution, &x, residual, activation, train);
                let (recorded, constant) = (run(false)?, dml_core::no_grad(|| run(false))?);
                assert!(recorded.track_op() && !constant.track_op());
                for own in [recorded, constant] {
                    assert_eq!(own.dims(), expected.dims());
                    let bits = |x: &Tensor| x.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
                    assert_eq!(bits(&own)?, bits(&expected)?, "{config:?} {activation:?}");
                }
                // A batch is measured before anything is normalised.
                let mean = norm.running_mean.as_detached_tensor().copy()?;
                dml_core::no_grad(|| run(true))?;
                let moved = (norm.running_mean.as_detached_tensor() - &mean)?
                    .abs()?
                    .max_all()?;
                assert!(moved.to_dtype(DType::F64)?.to_scalar::<f64>()? > 0.0);
                norm.running_mean.set(&mean)?;
                norm.running_var.set(&variance)?;
            }
        }
    }
    let convolution = Conv2d::new(square(4, 6, 3, 2, 2), rng, DType::F32, &Device::Cpu)?;
    let x = Tensor::zeros((1, 4, 5, 5), DType::F32, &Device::Cpu)?;
    let other = norm(5, DType::F32)?;
    let refused =
        dml_core::no_grad(|| other.forward_convolved(&convolution, &x, None, None, false));
    assert!(matches!(refused, Err(Error::Shape { .. })));
    Ok(())
}
