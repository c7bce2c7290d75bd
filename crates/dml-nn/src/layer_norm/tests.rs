use super::*;
use crate::checked_layer::{assert_close, check, input, row, run};
use dml_core::Error;

fn layer(shape: &[usize], dtype: DType) -> Result<LayerNorm> {
    let count = shape.iter().product();
    let var = |first: f64| -> Result<Var> {
        let row = row(first, count)?.to_dtype(dtype)?.reshape(shape)?;
        Ok(Var::from_tensor(&row)?)
    };
    LayerNorm::from_parameters(
        LayerNormConfig::new(shape),
        Some(var(0.5)?),
        Some(var(-0.25)?),
    )
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]:
///
/// ```text
/// w, b = torch.arange(4.) * 0.3 + 0.5, torch.arange(4.) * 0.3 - 0.25
/// y = F.layer_norm(num(8).reshape(2, 4), (4,), w, b); (y * num(15)[7:].reshape(2, 4)).sum().backward()
/// ```
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let got = run(&layer(&[4], DType::F64)?, input(&[2, 4])?.as_tensor(), true)?;
    let wanted = [
        vec![
            -0.62829, -0.191035, 2.228061, -0.259236, -0.48883, 1.392906, -0.685839, 0.286979,
        ],
        vec![
            -0.620622, 1.305306, -0.221049, -0.463636, -0.300148, -0.582922, -1.559401, 2.442472,
        ],
        vec![-0.865945, -1.574703, -1.391363, -0.626117],
        vec![1.926829, 1.219512, -0.512195, 2.414634],
    ];
    assert_close(&got, &wanted, 1e-6);
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for (shape, normalized) in [
        (vec![1, 5], vec![5]),
        (vec![3, 7, 17], vec![17]),
        (vec![2, 3, 5, 4], vec![5, 4]),
        (vec![37, 33], vec![33]),
        (vec![6], vec![6]),
    ] {
        check(
            |dtype| Ok(Box::new(layer(&normalized, dtype)?)),
            &shape,
            true,
        )?;
    }
    let plain = LayerNormConfig {
        elementwise_affine: false,
        ..LayerNormConfig::new([9])
    };
    let make = |dtype| -> Result<Box<dyn Layer>> {
        Ok(Box::new(LayerNorm::new(
            plain.clone(),
            dtype,
            &Device::Cpu,
        )?))
    };
    check(make, &[4, 9], false)
}

#[test]
fn parameters_are_those_that_are_asked_for() -> Result<()> {
    let names = |elementwise_affine, bias| -> Result<Vec<String>> {
        let config = LayerNormConfig {
            elementwise_affine,
            bias,
            ..LayerNormConfig::new([3, 2])
        };
        let layer = LayerNorm::new(config, DType::F32, &Device::Cpu)?;
        let parameters = layer.parameters();
        Ok(parameters
            .iter()
            .map(|(name, var)| format!("{name} {:?}", var.dims()))
            .collect())
    };
    assert_eq!(names(true, true)?, ["weight [3, 2]", "bias [3, 2]"]);
    assert_eq!(names(true, false)?, ["weight [3, 2]"]);
    assert!(names(false, true)?.is_empty());
    Ok(())
}

#[test]
fn rows_far_from_zero_keep_their_digits_and_equal_rows_become_the_bias() -> Result<()> {
    let config = LayerNormConfig::new([4]);
    let norm = LayerNorm::new(config, DType::F32, &Device::Cpu)?;
    let x = Tensor::new(
        &[[1e6f32, 1e6 + 1., 1e6 + 2., 1e6 + 5.], [3.; 4]],
        &Device::Cpu,
    )?;
    let y = norm.forward(&x)?.to_vec2::<f32>()?;
    // Mean 10⁶ + 2, variance 3.5.
    for (y, want) in y[0].iter().zip([-2f32, -1., 0., 3.]) {
        assert!((y - want / 3.5f32.sqrt()).abs() < 1e-5, "{y}");
    }
    assert_eq!(y[1], [0.; 4]);
    Ok(())
}

#[test]
fn nan_and_infinity_spoil_their_row_alone() -> Result<()> {
    let norm = layer(&[3], DType::F64)?;
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let x = Var::new(&[[1., bad, 2.], [1., 2., 4.]], &Device::Cpu)?;
        let [y, gradient] =
            [&run(&norm, &x, true)?[0], &run(&norm, &x, true)?[1]].map(Clone::clone);
        assert!(y[..3].iter().chain(&gradient[..3]).all(|y| y.is_nan()));
        assert!(y[3..].iter().chain(&gradient[3..]).all(|y| y.is_finite()));
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let norm = layer(&[2, 3], DType::F32)?;
    for shape in [vec![3], vec![3, 2], vec![2, 4]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            norm.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    assert_eq!(
        norm.forward(&Tensor::zeros((0, 2, 3), DType::F32, &Device::Cpu)?)?
            .dims(),
        [0, 2, 3]
    );
    for config in [
        LayerNormConfig::new([]),
        LayerNormConfig::new([3, 0]),
        LayerNormConfig::new([1 << 20, 1 << 20]),
        LayerNormConfig {
            eps: f64::NAN,
            ..LayerNormConfig::new([3])
        },
    ] {
        assert!(LayerNorm::new(config, DType::F32, &Device::Cpu).is_err());
    }
    let weight = Var::zeros(4, DType::F32, &Device::Cpu)?;
    let refused = LayerNorm::from_parameters(LayerNormConfig::new([3]), Some(weight), None);
    assert!(matches!(refused, Err(Error::Shape { arg: "weight", .. })));
    Ok(())
}
