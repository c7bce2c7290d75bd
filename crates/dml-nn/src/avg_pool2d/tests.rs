use super::*;
use crate::layer_checks::{
    close, follows_differences, forms_agree, gradients, list, numbers, sevens,
};
use candle_core::{DType, Device};

fn configs() -> Vec<AvgPool2dConfig> {
    let plain = AvgPool2dConfig::new([2, 3]);
    vec![
        plain.clone(),
        AvgPool2dConfig {
            stride: Some([2, 2]),
            padding: [1, 1],
            ceil_mode: true,
            ..AvgPool2dConfig::new([3, 3])
        },
        AvgPool2dConfig {
            stride: Some([1, 1]),
            padding: [1, 1],
            count_include_pad: false,
            ..AvgPool2dConfig::new([3, 3])
        },
        AvgPool2dConfig {
            stride: Some([3, 2]),
            padding: [1, 0],
            ceil_mode: true,
            count_include_pad: false,
            ..AvgPool2dConfig::new([2, 4])
        },
        AvgPool2dConfig {
            stride: Some([3, 3]),
            ..plain
        },
    ]
}

#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    // x = torch.tensor([(i * 7 % 11) / 4 - 1 for i in range(60)], dtype=torch.float64).reshape(1, 2, 5, 6)
    // y = nn.AvgPool2d((2, 3), (2, 2), (1, 1), ceil_mode=True, count_include_pad=False)(x)
    // torch.autograd.grad((y * torch.arange(1, 25).reshape(y.shape)).sum(), x)
    let pool = AvgPool2d::new(AvgPool2dConfig {
        stride: Some([2, 2]),
        padding: [1, 1],
        ceil_mode: true,
        count_include_pad: false,
        ..AvgPool2dConfig::new([2, 3])
    })?;
    let x = sevens(&[1, 2, 5, 6]);
    let y = pool.forward(&x)?;
    assert_eq!(y.dims(), [1, 2, 3, 4]);
    let first = [-0.125, 0.66667, 0.5, -0.5, 0.5, 0.375, 0.20833, 0.125];
    close(&list(&y)[..8], &first, 1e-5);
    let gradient = list(gradients(&y).get(&x).unwrap());
    let first = [0.5, 1.1667, 0.6667, 1.6667, 1.0, 5.0, 1.25, 2.25];
    close(&gradient[..8], &first, 1e-4);
    // nn.AvgPool2d(3, 2, 1, ceil_mode=True)
    let y = AvgPool2d::new(configs()[1].clone())?.forward(&x)?;
    let first = [
        0.13889, 0.27778, 0.16667, -0.25, 0.16667, 0.27778, 0.11111, 0.16667,
    ];
    close(&list(&y)[..8], &first, 1e-5);
    Ok(())
}

#[test]
fn gradients_follow_differences_and_both_forms_agree() -> Result<()> {
    for config in configs() {
        let pool = AvgPool2d::new(config)?;
        for shape in [[2, 3, 7, 6], [1, 1, 5, 4]] {
            forms_agree(&pool, &numbers(&shape))?;
        }
        follows_differences(&pool, &numbers(&[1, 2, 5, 7]))?;
    }
    Ok(())
}

#[test]
fn half_precision_works_and_not_a_number_stays_so() -> Result<()> {
    let pool = AvgPool2d::new(AvgPool2dConfig::new([2, 2]))?;
    let x = numbers(&[2, 3, 4, 4]).to_dtype(DType::F16)?;
    let y = pool.forward(&x)?;
    assert_eq!(y.dtype(), DType::F16);
    let x = Tensor::new(
        &[[[[f32::NAN, 0., 1., 1.], [0., 0., 1., 1.]]]],
        &Device::Cpu,
    )?;
    let y = list(&pool.forward(&x)?);
    assert!(y[0].is_nan() && y[1] == 1.0);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    for (name, config) in [
        ("kernel_size", AvgPool2dConfig::new([0, 2])),
        (
            "stride",
            AvgPool2dConfig {
                stride: Some([1, 0]),
                ..AvgPool2dConfig::new([2, 2])
            },
        ),
        (
            "padding",
            AvgPool2dConfig {
                padding: [2, 0],
                ..AvgPool2dConfig::new([3, 3])
            },
        ),
    ] {
        let error = AvgPool2d::new(config).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { name: got, .. } if got == name));
    }
    let pool = AvgPool2d::new(AvgPool2dConfig::new([3, 3]))?;
    for shape in [vec![1, 1, 2, 5], vec![1, 5, 5]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(pool.forward(&x), Err(Error::Shape { .. })));
    }
    Ok(())
}
