use super::*;
use crate::Layer;
use crate::checked_layer::{assert_close, check, input, numbers, run};
use candle_core::DType;
use dml_core::Error;

#[derive(Debug)]
struct Resize([usize; 2], BicubicConfig);

impl Layer for Resize {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        resize_bicubic(input, self.0, &self.1)
    }
}

fn config(antialias: bool, scale_factor: Option<[f64; 2]>) -> BicubicConfig {
    BicubicConfig {
        antialias,
        scale_factor,
    }
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`]; the gradient is that of `(y * num(n + 7)[7:]).sum()` in the
/// test of all forms:
///
/// ```text
/// F.interpolate(num(12).reshape(1, 1, 3, 4), size=(5, 2), mode="bicubic", antialias=False)
/// F.interpolate(num(9).reshape(1, 1, 3, 3), scale_factor=[5.1 / 3, 4.1 / 3], mode="bicubic")
/// ```
#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    let offset = Some([5.1 / 3.0, 4.1 / 3.0]);
    #[rustfmt::skip]
    let cases = [
        ([3, 4], [5, 2], config(false, None),
         vec![-1.132835, 0.444152, -0.261058, -0.202698, 0.792683, -0.719512, 0.73679, 0.334284, 0.466055, 1.304579]),
        ([3, 4], [5, 2], config(true, None),
         vec![-0.618597, 0.152623, -0.200371, -0.059296, 0.436606, -0.260028, 0.479949, 0.424328, 0.43563, 0.902049]),
        ([5, 5], [2, 3], config(true, None), vec![0.085606, 0.275583, 0.354871, 0.807447, 0.527871, -0.036579]),
        ([3, 3], [5, 4], config(false, offset),
         vec![-1.040058, -0.958784, 0.005528, 1.288784, -1.004147, -0.900465, 0.09958, 1.406871, -0.944994, -0.804399,
              0.254507, 1.601389, -0.882653, -0.703157, 0.417782, 1.806388, -0.843633, -0.639787, 0.519979, 1.934702]),
    ];
    for ([height, width], size, config, wanted) in cases {
        let x = input(&[1, 1, height, width])?;
        let got = run(&Resize(size, config), &x, true)?.swap_remove(0);
        assert_close(&[got], &[wanted], 2e-6);
    }
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for antialias in [false, true] {
        for (shape, size) in [
            ([1, 1, 1, 1], [3, 2]),
            ([2, 3, 7, 5], [4, 9]),
            ([1, 2, 4, 4], [4, 4]),
        ] {
            check(
                |_| Ok(Box::new(Resize(size, config(antialias, None)))),
                &shape,
                true,
            )?;
        }
    }
    Ok(())
}

#[test]
fn a_grid_of_the_same_size_stays_as_it_is() -> Result<()> {
    let x = input(&[1, 2, 4, 5])?;
    for antialias in [false, true] {
        let y = resize_bicubic(&x, [4, 5], &config(antialias, None))?;
        assert_eq!(y.flatten_all()?.to_vec1::<f64>()?, numbers(40));
    }
    Ok(())
}

/// `timm.layers.resample_abs_pos_embed(num(10).reshape(1, 5, 2), [3, 3], num_prefix_tokens=1)`, timm 1.0.
#[test]
fn position_embeddings_are_those_of_timm() -> Result<()> {
    let embedding = input(&[1, 5, 2])?;
    let resized = resize_position_embedding(&embedding, 1, [2, 2], [3, 3], &config(true, None))?;
    assert_eq!(resized.dims(), [1, 10, 2]);
    #[rustfmt::skip]
    let wanted = vec![
        -1., -0.585366, 1.504674, -1.122208, 0.421213, 0.367619, -0.662248, 1.857446, 0.186618, -0.612163, 0.469512,
        -0.067073, 0.752407, 0.478017, -1.131439, -0.102117, 0.517811, -0.501765, 2.167063, -0.901413,
    ];
    assert_close(&[resized.flatten_all()?.to_vec1()?], &[wanted], 2e-6);
    let gradient = resized.sum_all()?.backward()?;
    let gradient = gradient
        .get(&embedding)
        .unwrap()
        .flatten_all()?
        .to_vec1::<f64>()?;
    assert_eq!(gradient[..2], [1., 1.]);
    assert!((gradient[2..].iter().sum::<f64>() - 18.0).abs() < 1e-12);
    let grid = embedding.narrow(1, 1, 4)?;
    let alone = resize_position_embedding(&grid, 0, [2, 2], [3, 3], &config(true, None))?;
    assert_eq!(
        alone.to_vec3::<f64>()?[0],
        resized.to_vec3::<f64>()?[0][1..]
    );
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let x = Tensor::zeros((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
    for size in [[0, 2], [2, usize::MAX], [MAX_SIZE + 1, 2]] {
        assert!(resize_bicubic(&x, size, &config(false, None)).is_err());
    }
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = resize_bicubic(&x, [2, 2], &config(false, Some([1.0, factor])));
        assert!(matches!(
            refused,
            Err(Error::InvalidParameter {
                name: "scale_factor",
                ..
            })
        ));
    }
    for factor in [1e-30, 1e30] {
        for antialias in [false, true] {
            resize_bicubic(&x, [2, 2], &config(antialias, Some([factor; 2])))?;
        }
    }
    for shape in [vec![2, 2], vec![1, 1, 0, 2]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        let refused = resize_bicubic(&x, [2, 2], &config(false, None));
        assert!(matches!(refused, Err(Error::Shape { arg: "input", .. })));
    }
    for (shape, prefix, old) in [
        ([2, 5, 3], 1, [2, 2]),
        ([1, 5, 3], 0, [2, 2]),
        ([1, 5, 3], 6, [2, 2]),
        ([1, 5, 3], 5, [0, 2]),
        ([1, 5, 3], 1, [usize::MAX, 2]),
    ] {
        let x = Tensor::zeros(&shape, DType::F32, &Device::Cpu)?;
        let refused = resize_position_embedding(&x, prefix, old, [3, 3], &config(true, None));
        assert!(matches!(
            refused,
            Err(Error::Shape {
                arg: "embedding",
                ..
            })
        ));
    }
    Ok(())
}
