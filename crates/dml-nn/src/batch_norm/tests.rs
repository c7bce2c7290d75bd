use super::*;
use crate::{Linear, LinearConfig, Sequential};
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
