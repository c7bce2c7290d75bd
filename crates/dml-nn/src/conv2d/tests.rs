use super::*;
use candle_core::backprop::GradStore;
use dml_core::Error;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn configs() -> Vec<Conv2dConfig> {
    let plain = Conv2dConfig::new(4, 6, [3, 3]);
    vec![
        plain.clone(),
        Conv2dConfig {
            bias: false,
            ..plain.clone()
        },
        Conv2dConfig {
            stride: [2, 2],
            padding: [1, 1],
            ..plain.clone()
        },
        Conv2dConfig {
            dilation: [2, 2],
            ..plain.clone()
        },
        Conv2dConfig {
            groups: 2,
            padding: [1, 1],
            ..plain.clone()
        },
        Conv2dConfig {
            stride: [2, 1],
            padding: [0, 2],
            dilation: [1, 2],
            ..plain.clone()
        },
        Conv2dConfig {
            stride: [1, 3],
            groups: 2,
            ..Conv2dConfig::new(4, 6, [2, 4])
        },
    ]
}

fn layer(config: &Conv2dConfig, dtype: DType) -> Conv2d {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    Conv2d::new(config.clone(), &mut rng, dtype, &Device::Cpu).unwrap()
}

fn images(dtype: DType) -> Var {
    let values: Vec<f64> = (0..2 * 4 * 9 * 8)
        .map(|i| f64::from(i * 31 % 19) / 9.0 - 1.0)
        .collect();
    let images = Tensor::from_vec(values, (2, 4, 9, 8), &Device::Cpu).unwrap();
    Var::from_tensor(&images.to_dtype(dtype).unwrap()).unwrap()
}

/// The gradients of a sum in which every value counts differently.
fn gradients(y: &Tensor) -> GradStore {
    let weights: Vec<f64> = (0..y.elem_count()).map(|i| (i as f64).sin()).collect();
    let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu).unwrap();
    let weights = weights.to_dtype(y.dtype()).unwrap();
    (y * weights)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    (wide(a) - wide(b))
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar()
        .unwrap()
}

#[test]
fn the_kernel_agrees_with_candle_in_value_and_gradients() -> Result<()> {
    for config in configs() {
        let (conv, x) = (layer(&config, DType::F64), images(DType::F64));
        let (fused, composite) = (conv.forward(&x)?, conv.composite(&x)?);
        assert!(largest_difference(&fused, &composite) < 1e-12, "{config:?}");
        let (first, second) = (gradients(&fused), gradients(&composite));
        let mut leaves: Vec<Tensor> = vec![x.as_tensor().clone()];
        leaves.extend(
            conv.parameters()
                .iter()
                .map(|(_, var)| var.as_tensor().clone()),
        );
        for leaf in leaves {
            let (a, b) = (first.get(&leaf).unwrap(), second.get(&leaf).unwrap());
            assert!(
                largest_difference(a, b) < 1e-11,
                "{config:?}, {:?}",
                leaf.dims()
            );
        }
    }
    Ok(())
}

#[test]
fn single_and_half_precision_agree_with_double() -> Result<()> {
    let config = Conv2dConfig {
        padding: [1, 1],
        ..Conv2dConfig::new(4, 6, [3, 3])
    };
    let wide = layer(&config, DType::F64).forward(&images(DType::F64))?;
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F16, 1e-2), (DType::BF16, 5e-2)] {
        let (conv, x) = (layer(&config, dtype), images(dtype));
        let y = conv.forward(&x)?;
        assert_eq!(y.dtype(), dtype);
        assert!(largest_difference(&y, &wide) < tolerance, "{dtype:?}");
        let store = gradients(&y);
        assert!(store.get(&x).is_some() && store.get(conv.weight()).is_some());
    }
    Ok(())
}

#[test]
fn an_input_outside_of_the_graph_gets_no_gradient() -> Result<()> {
    let (conv, x) = (layer(&configs()[0], DType::F32), images(DType::F32));
    let x = x.as_tensor().detach();
    let store = gradients(&conv.forward(&x)?);
    assert!(store.get(&x).is_none());
    assert!(store.get(conv.weight()).is_some() && store.get(conv.bias().unwrap()).is_some());
    Ok(())
}

#[test]
fn a_view_is_as_good_as_its_copy() -> Result<()> {
    let conv = layer(&configs()[0], DType::F64);
    let view = images(DType::F64).transpose(2, 3)?;
    assert!(!view.is_contiguous());
    let (of_view, of_copy) = (conv.forward(&view)?, conv.forward(&view.contiguous()?)?);
    assert!(largest_difference(&of_view, &of_copy) == 0.0);
    Ok(())
}

#[test]
fn initial_parameters_follow_the_seed_and_fill_their_range() {
    let conv = layer(&Conv2dConfig::new(4, 6, [3, 3]), DType::F32);
    let again = layer(&Conv2dConfig::new(4, 6, [3, 3]), DType::F32);
    let values = |conv: &Conv2d| {
        conv.weight()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    assert_eq!(values(&conv), values(&again));
    // 1/√36
    let largest = values(&conv).iter().fold(0f32, |m, x| m.max(x.abs()));
    assert!(largest > 0.15 && largest <= 1.0 / 6.0);
    let names: Vec<String> = conv
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["weight", "bias"]);
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let plain = Conv2dConfig::new(4, 6, [3, 3]);
    for (name, config) in [
        (
            "in_channels",
            Conv2dConfig {
                in_channels: 0,
                ..plain.clone()
            },
        ),
        (
            "out_channels",
            Conv2dConfig {
                out_channels: 0,
                ..plain.clone()
            },
        ),
        (
            "groups",
            Conv2dConfig {
                groups: 3,
                ..plain.clone()
            },
        ),
        (
            "groups",
            Conv2dConfig {
                groups: 0,
                ..plain.clone()
            },
        ),
        (
            "kernel_size",
            Conv2dConfig {
                kernel_size: [3, 0],
                ..plain.clone()
            },
        ),
        (
            "stride",
            Conv2dConfig {
                stride: [0, 1],
                ..plain.clone()
            },
        ),
        (
            "dilation",
            Conv2dConfig {
                dilation: [1, 0],
                ..plain.clone()
            },
        ),
    ] {
        let error = Conv2d::new(config, rng, DType::F32, &Device::Cpu).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidParameter { name: got, .. } if *got == name),
            "{error}"
        );
    }
    let conv = layer(&plain, DType::F32);
    for shape in [vec![1, 3, 9, 9], vec![1, 4, 2, 9], vec![4, 9, 9]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            conv.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    let weight = Var::zeros((6, 4, 3, 2), DType::F32, &Device::Cpu)?;
    assert!(matches!(
        Conv2d::from_parameters(plain, weight, None),
        Err(Error::Shape { arg: "weight", .. })
    ));
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn configurations_are_read_with_pytorchs_defaults() {
    let config: Conv2dConfig =
        serde_json::from_str(r#"{"in_channels": 1, "out_channels": 32, "kernel_size": [3, 3]}"#)
            .unwrap();
    assert_eq!(config, Conv2dConfig::new(1, 32, [3, 3]));
    assert!(serde_json::from_str::<Conv2dConfig>(r#"{"in_channels": 1}"#).is_err());
}
