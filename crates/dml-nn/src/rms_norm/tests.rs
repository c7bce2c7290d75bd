use super::*;
use crate::checked_layer::{assert_close, check, input, row, run};
use dml_core::Error;

fn layer(dim: usize, eps: Option<f64>, dtype: DType) -> Result<RmsNorm> {
    let weight = Var::from_tensor(&row(0.5, dim)?.to_dtype(dtype)?)?;
    let config = RmsNormConfig {
        eps,
        ..RmsNormConfig::new(dim)
    };
    RmsNorm::from_parameters(config, Some(weight))
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]:
///
/// ```text
/// y = F.rms_norm(num(8).reshape(2, 4), (4,), torch.arange(4.) * 0.3 + 0.5)
/// (y * num(15)[7:].reshape(2, 4)).sum().backward()
/// ```
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let got = run(
        &layer(4, None, DType::F64)?,
        input(&[2, 4])?.as_tensor(),
        true,
    )?;
    let wanted = [
        vec![
            -0.51957, -0.486622, 1.421849, -1.312866, -0.218177, 1.374517, -0.98998, -0.305448,
        ],
        vec![
            -0.585806, 1.237127, -0.205923, -0.437165, 0.914108, 0.526465, -0.321481, 3.643807,
        ],
        vec![-0.723164, -2.160353, -1.089877, -0.526818],
    ];
    assert_close(&got, &wanted, 1e-6);
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for shape in [vec![1, 5], vec![3, 7, 17], vec![37, 33], vec![6]] {
        let dim = shape[shape.len() - 1];
        check(
            |dtype| Ok(Box::new(layer(dim, Some(1e-6), dtype)?)),
            &shape,
            true,
        )?;
    }
    let plain = RmsNormConfig {
        elementwise_affine: false,
        ..RmsNormConfig::new(9)
    };
    let make = |dtype| -> Result<Box<dyn Layer>> {
        Ok(Box::new(RmsNorm::new(plain.clone(), dtype, &Device::Cpu)?))
    };
    check(make, &[4, 9], false)
}

/// PyTorch gives 0.6328 and 1.2656 for `F.rms_norm(torch.tensor([.01, .02], dtype=torch.bfloat16), (2,))`: ε is that of
/// single precision.
#[test]
fn epsilon_is_that_of_the_type_that_is_computed_in() -> Result<()> {
    let norm = RmsNorm::new(RmsNormConfig::new(2), DType::BF16, &Device::Cpu)?;
    let x = Tensor::new(&[0.01f32, 0.02], &Device::Cpu)?.to_dtype(DType::BF16)?;
    let y = norm.forward(&x)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    assert_eq!(y, [0.632_812_5, 1.265_625]);
    Ok(())
}

#[test]
fn zeros_stay_zeros_and_nan_spoils_its_row_alone() -> Result<()> {
    let norm = layer(2, None, DType::F32)?;
    let x = Tensor::new(&[[0f32, 0.], [f32::NAN, 1.], [3., 4.]], &Device::Cpu)?;
    let y = norm.forward(&x)?.to_vec2::<f32>()?;
    assert_eq!(y[0], [0., 0.]);
    assert!(y[1].iter().all(|y| y.is_nan()) && y[2].iter().all(|y| y.is_finite()));
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?;
    let refused = layer(3, None, DType::F32)?.forward(&x);
    assert!(matches!(refused, Err(Error::Shape { arg: "input", .. })));
    for config in [
        RmsNormConfig::new(0),
        RmsNormConfig::new(usize::MAX),
        RmsNormConfig {
            eps: Some(0.0),
            ..RmsNormConfig::new(3)
        },
    ] {
        assert!(RmsNorm::new(config, DType::F32, &Device::Cpu).is_err());
    }
    Ok(())
}
