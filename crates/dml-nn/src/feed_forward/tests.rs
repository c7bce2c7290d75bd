use candle_core::{DType, Device, Var};
use dml_core::autograd::without_kernels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{GeluForm, LinearConfig};
use dml_core::Error;

fn part(activation: Activation, bias: bool, dtype: DType) -> FeedForward {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut linear = |inputs, outputs| {
        let config = LinearConfig {
            bias,
            ..LinearConfig::new(inputs, outputs)
        };
        Linear::new(config, &mut rng, dtype, &Device::Cpu).unwrap()
    };
    let (first, second) = (linear(5, 70), linear(70, 7));
    FeedForward::new(("fc1", first), activation, ("fc2", second)).unwrap()
}

fn input(rows: usize, dtype: DType) -> Var {
    let values: Vec<f64> = (0..rows * 10)
        .map(|i| (i * 13 % 31) as f64 / 10.0 - 1.5)
        .collect();
    let x = Tensor::from_vec(values, (2, rows, 5), &Device::Cpu).unwrap();
    Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap()
}

fn largest(x: Tensor) -> Result<f64> {
    Ok(x.abs()?
        .flatten_all()?
        .max(0)?
        .to_dtype(DType::F64)?
        .to_scalar()?)
}

#[test]
fn both_forms_agree_for_every_activation() -> Result<()> {
    for activation in [
        Activation::Relu,
        Activation::Gelu(GeluForm::Erf),
        Activation::Gelu(GeluForm::Tanh),
        Activation::Gelu(GeluForm::Quick),
        Activation::Silu,
    ] {
        // 500 rows are two chunks of the backward pass, 6 rows take the composite form.
        for (rows, bias) in [(3, true), (250, true), (250, false)] {
            let part = part(activation, bias, DType::F64);
            let x = input(rows, DType::F64);
            let run = || -> Result<_> {
                let y = part.forward(&x)?;
                assert_eq!(y.dims(), [2, rows, 7]);
                Ok((y.clone(), y.sqr()?.sum_all()?.backward()?))
            };
            let ((y, fused), (z, composite)) = (run()?, without_kernels(run)?);
            assert!(largest((y - z)?)? < 1e-12);
            let mut leaves: Vec<Tensor> = part
                .parameters()
                .iter()
                .map(|(_, var)| var.as_tensor().clone())
                .collect();
            assert_eq!(leaves.len(), if bias { 4 } else { 2 });
            leaves.push(x.as_tensor().clone());
            for leaf in leaves {
                let (a, b) = (fused.get(&leaf).unwrap(), composite.get(&leaf).unwrap());
                assert!(largest((a - b)?)? < 1e-10);
            }
        }
    }
    Ok(())
}

#[test]
fn central_differences() -> Result<()> {
    let part = part(Activation::Gelu(GeluForm::Erf), true, DType::F64);
    let x = input(9, DType::F64);
    let weights: Vec<f64> = (0..126).map(|i| f64::from(i * 5 % 17) - 8.0).collect();
    let weights = Tensor::from_vec(weights, (2, 9, 7), &Device::Cpu)?;
    let loss = || -> Result<Tensor> { Ok((part.forward(&x)? * &weights)?.sum_all()?) };
    let store = loss()?.backward()?;
    let mut leaves: Vec<Var> = part.parameters().into_iter().map(|(_, var)| var).collect();
    leaves.push(x.clone());
    for leaf in &leaves {
        let values = leaf.flatten_all()?.to_vec1::<f64>()?;
        let gradient = store.get(leaf).unwrap().flatten_all()?.to_vec1::<f64>()?;
        for place in (0..values.len()).step_by(values.len().div_ceil(12)) {
            let moved = |step: f64| -> Result<f64> {
                let mut values = values.clone();
                values[place] += step;
                leaf.set(&Tensor::from_vec(values, leaf.shape(), &Device::Cpu)?)?;
                Ok(loss()?.to_scalar()?)
            };
            let slope = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
            moved(0.0)?;
            assert!(
                (slope - gradient[place]).abs() < 1e-6,
                "{slope} {}",
                gradient[place]
            );
        }
    }
    Ok(())
}

#[test]
fn any_number_of_threads_gives_the_same_bits() -> Result<()> {
    let part = part(Activation::Gelu(GeluForm::Erf), true, DType::F32);
    let x = input(300, DType::F32);
    let run = || -> Result<Vec<Vec<f32>>> {
        let y = part.forward(&x)?;
        let store = y.sqr()?.sum_all()?.backward()?;
        let mut all = vec![
            y.flatten_all()?.to_vec1()?,
            store.get(&x).unwrap().flatten_all()?.to_vec1()?,
        ];
        for (_, var) in part.parameters().iter() {
            all.push(store.get(var).unwrap().flatten_all()?.to_vec1()?);
        }
        Ok(all)
    };
    let here = run()?;
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert_eq!(pool.install(run)?, here);
    }
    Ok(())
}

#[test]
fn names_half_precision_and_what_is_refused() -> Result<()> {
    let half = part(Activation::Silu, true, DType::F16);
    let names: Vec<String> = half
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
    let y = half.forward(&input(20, DType::F16))?;
    assert_eq!((y.dtype(), y.dims()), (DType::F16, &[2, 20, 7][..]));
    let x = input(20, DType::F16).narrow(2, 0, 4)?;
    assert!(matches!(
        half.forward(&x),
        Err(Error::Shape { arg: "input", .. })
    ));
    let weight =
        |shape| Linear::from_parameters(Var::zeros(shape, DType::F32, &Device::Cpu)?, None);
    let wrong = FeedForward::new(
        ("a", weight((3, 2))?),
        Activation::Relu,
        ("b", weight((2, 4))?),
    );
    assert!(matches!(wrong, Err(Error::Shape { arg: "second", .. })));
    let x = Var::from_tensor(&(input(20, DType::F32).as_tensor() * f64::NAN)?)?;
    let y = part(Activation::Relu, true, DType::F32).forward(&x)?;
    assert!(
        y.flatten_all()?
            .to_vec1::<f32>()?
            .iter()
            .all(|y| y.is_nan())
    );
    Ok(())
}
