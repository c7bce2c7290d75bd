use super::*;
use crate::checked_layer::{assert_close, check, input, row, run};
use dml_core::Error;

fn layer(channels: usize, dtype: DType) -> Result<LayerNorm2d> {
    let var =
        |first| -> Result<Var> { Ok(Var::from_tensor(&row(first, channels)?.to_dtype(dtype)?)?) };
    LayerNorm2d::from_parameters(
        LayerNorm2dConfig::new(channels),
        Some(var(0.5)?),
        Some(var(-0.25)?),
    )
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]:
///
/// ```text
/// w, b = torch.arange(3.) * 0.3 + 0.5, torch.arange(3.) * 0.3 - 0.25
/// x = num(12).reshape(1, 3, 2, 2)
/// y = F.layer_norm(x.permute(0, 2, 3, 1), (3,), w, b, 1e-6).permute(0, 3, 1, 2)
/// (y * num(19)[7:].reshape(1, 3, 2, 2)).sum().backward()
/// ```
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let got = run(
        &layer(3, DType::F64)?,
        input(&[1, 3, 2, 2])?.as_tensor(),
        true,
    )?;
    #[rustfmt::skip]
    let wanted = [
        vec![-0.721448, -0.573547, 0.401149, -0.731503, -0.303084, 1.180049, -0.852926, -0.282332, 1.872676, -0.492012,
             0.158996, 1.866264],
        vec![-0.735982, 0.27382, -0.925024, -0.736459, 0.938175, -0.014882, -1.429581, 0.961273, -0.202193, -0.258938,
             2.354605, -0.224814],
        vec![-1.920867, -3.021153, -2.049363],
        vec![0.926829, 4.121951, 2.170732],
    ];
    assert_close(&got, &wanted, 1e-6);
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    // 143 and 256 pixels: more than one block, the last one whole or not.
    for shape in [[1, 5, 1, 1], [2, 3, 11, 13], [3, 4, 16, 16], [2, 7, 3, 5]] {
        check(|dtype| Ok(Box::new(layer(shape[1], dtype)?)), &shape, true)?;
    }
    let plain = LayerNorm2dConfig {
        affine: false,
        ..LayerNorm2dConfig::new(4)
    };
    let make = |dtype| -> Result<Box<dyn Layer>> {
        Ok(Box::new(LayerNorm2d::new(
            plain.clone(),
            dtype,
            &Device::Cpu,
        )?))
    };
    check(make, &[2, 4, 3, 1], false)
}

#[test]
fn nan_spoils_its_pixel_alone() -> Result<()> {
    let x = Var::new(&[[[[1., f64::NAN, 2.]], [[3., 5., 4.]]]], &Device::Cpu)?;
    let all = run(&layer(2, DType::F64)?, &x, true)?;
    for values in &all[..2] {
        let nan: Vec<bool> = values.iter().map(|y| y.is_nan()).collect();
        assert_eq!(nan, [false, true, false, false, true, false]);
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let norm = layer(4, DType::F32)?;
    for shape in [vec![4], vec![2, 4, 3], vec![2, 3, 1, 1]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            norm.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    let empty = norm.forward(&Tensor::zeros((0, 4, 3, 3), DType::F32, &Device::Cpu)?)?;
    assert_eq!(empty.dims(), [0, 4, 3, 3]);
    for config in [
        LayerNorm2dConfig::new(0),
        LayerNorm2dConfig {
            eps: -1.0,
            ..LayerNorm2dConfig::new(3)
        },
    ] {
        let refused = LayerNorm2d::new(config, DType::F32, &Device::Cpu);
        assert!(matches!(refused, Err(Error::InvalidParameter { .. })));
    }
    Ok(())
}
