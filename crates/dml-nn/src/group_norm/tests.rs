use super::*;
use crate::checked_layer::{assert_close, check, input, row, run};
use dml_core::Error;

fn layer(groups: usize, channels: usize, dtype: DType) -> Result<GroupNorm> {
    let var =
        |first| -> Result<Var> { Ok(Var::from_tensor(&row(first, channels)?.to_dtype(dtype)?)?) };
    GroupNorm::from_parameters(
        GroupNormConfig::new(groups, channels),
        Some(var(0.5)?),
        Some(var(-0.25)?),
    )
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]:
///
/// ```text
/// w, b = torch.arange(4.) * 0.3 + 0.5, torch.arange(4.) * 0.3 - 0.25
/// y = F.group_norm(num(16).reshape(2, 4, 2), 2, w, b); (y * num(23)[7:].reshape(2, 4, 2)).sum().backward()
/// ```
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let got = run(
        &layer(2, 4, DType::F64)?,
        input(&[2, 4, 2])?.as_tensor(),
        true,
    )?;
    #[rustfmt::skip]
    let wanted = [
        vec![-0.62829, -0.400647, 1.415862, -0.469563, -0.175426, 2.196496, -0.668341, 0.286979, 0.175825, -0.884913,
             -0.492608, 0.927148, -0.535464, 0.190507, 2.994904, -0.364959],
        vec![-0.418642, 0.838756, -0.142943, -0.277172, 0.673574, -0.653329, -2.070928, 2.050682, -0.175628, -0.817843,
             1.11469, -0.121219, -0.83137, 1.689156, -0.435931, -0.421856],
        vec![-1.335273, -3.498507, -2.94331, -1.906764],
        vec![1.512195, 1.585366, 5.097561, 3.073171],
    ];
    assert_close(&got, &wanted, 1e-6);
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for (shape, groups) in [
        (vec![1, 6, 5, 3], 3),
        (vec![3, 4, 17], 1),
        (vec![5, 8], 2),
        (vec![2, 3, 9, 7], 3),
    ] {
        let channels = shape[1];
        check(
            |dtype| Ok(Box::new(layer(groups, channels, dtype)?)),
            &shape,
            true,
        )?;
    }
    let plain = GroupNormConfig {
        affine: false,
        ..GroupNormConfig::new(2, 4)
    };
    let make = |dtype| -> Result<Box<dyn Layer>> {
        Ok(Box::new(GroupNorm::new(
            plain.clone(),
            dtype,
            &Device::Cpu,
        )?))
    };
    check(make, &[2, 4, 3], false)
}

#[test]
fn nan_spoils_its_group_alone() -> Result<()> {
    let x = Var::new(&[[1., f64::NAN, 2., 3.], [1., 2., 3., 5.]], &Device::Cpu)?;
    let all = run(&layer(2, 4, DType::F64)?, &x, true)?;
    for values in &all[..2] {
        assert!(values[..2].iter().all(|y| y.is_nan()));
        assert!(values[2..].iter().all(|y| y.is_finite()));
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let norm = layer(2, 4, DType::F32)?;
    for shape in [vec![4], vec![2, 3]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            norm.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    let empty = norm.forward(&Tensor::zeros((3, 4, 0), DType::F32, &Device::Cpu)?)?;
    assert_eq!(empty.dims(), [3, 4, 0]);
    for config in [
        GroupNormConfig::new(0, 4),
        GroupNormConfig::new(3, 4),
        GroupNormConfig::new(2, 0),
        GroupNormConfig {
            eps: 0.0,
            ..GroupNormConfig::new(2, 4)
        },
    ] {
        let refused = GroupNorm::new(config, DType::F32, &Device::Cpu);
        assert!(matches!(refused, Err(Error::InvalidParameter { .. })));
    }
    Ok(())
}
