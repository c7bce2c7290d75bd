use super::*;
use crate::DropoutConfig;
use dml_core::Error;
use dml_core::autograd::without_kernels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn layer(bias: bool) -> MultiHeadAttention {
    let config = MultiHeadAttentionConfig {
        bias,
        ..MultiHeadAttentionConfig::new(8, 2)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    MultiHeadAttention::new(config, &mut rng, DType::F64, &Device::Cpu).unwrap()
}

fn input() -> Tensor {
    let values: Vec<f64> = (0..2 * 9 * 8)
        .map(|i| f64::from(i * 13 % 31) / 15.0 - 1.0)
        .collect();
    Tensor::from_vec(values, (2, 9, 8), &Device::Cpu).unwrap()
}

/// The layers of a packed attention, as three layers of their own.
fn separated(packed: &MultiHeadAttention) -> MultiHeadAttention {
    let parameters = packed.parameters();
    let all = parameters.get("in_proj_weight").unwrap();
    let part = |i: usize| {
        let weight = Var::from_tensor(&all.narrow(0, 8 * i, 8).unwrap()).unwrap();
        Linear::from_parameters(weight, None).unwrap()
    };
    let output = parameters.get("out_proj.weight").unwrap().clone();
    let output = Linear::from_parameters(output, None).unwrap();
    let projections = [("q", part(0)), ("k", part(1)), ("v", part(2))];
    MultiHeadAttention::separate(projections, ("o", output), 2).unwrap()
}

#[test]
fn one_layer_and_three_layers_are_the_same() -> Result<()> {
    let packed = layer(false);
    let separate = separated(&packed);
    let names: Vec<String> = separate
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["q.weight", "k.weight", "v.weight", "o.weight"]);
    let x = input();
    let (a, b) = (packed.forward(&x)?, separate.forward(&x)?);
    let difference = (&a - &b)?.abs()?.max_all()?.to_scalar::<f64>()?;
    assert!(difference < 1e-14);
    let (a, b) = (
        a.sqr()?.sum_all()?.backward()?,
        b.sqr()?.sum_all()?.backward()?,
    );
    let whole = a
        .get(packed.parameters().get("in_proj_weight").unwrap())
        .unwrap()
        .clone();
    for (i, name) in ["q.weight", "k.weight", "v.weight"].into_iter().enumerate() {
        let part = b.get(separate.parameters().get(name).unwrap()).unwrap();
        let difference = (whole.narrow(0, 8 * i, 8)? - part)?.abs()?.max_all()?;
        assert!(difference.to_scalar::<f64>()? < 1e-12);
    }
    Ok(())
}

#[test]
fn both_forms_agree_and_every_parameter_learns() -> Result<()> {
    let layer = layer(true);
    let x = Var::from_tensor(&input())?;
    let run = || -> Result<_> {
        let y = layer.forward(&x)?;
        Ok((y.clone(), y.sqr()?.sum_all()?.backward()?))
    };
    let ((y, fused), (z, composite)) = (run()?, without_kernels(run)?);
    assert!((y - z)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-13);
    let mut leaves: Vec<Tensor> = layer
        .parameters()
        .iter()
        .map(|(_, v)| v.as_tensor().clone())
        .collect();
    assert_eq!(leaves.len(), 4);
    leaves.push(x.as_tensor().clone());
    for leaf in leaves {
        let difference = (fused.get(&leaf).unwrap() - composite.get(&leaf).unwrap())?;
        assert!(difference.abs()?.max_all()?.to_scalar::<f64>()? < 1e-11);
    }
    Ok(())
}

#[test]
fn dropout_acts_in_training_alone() -> Result<()> {
    let dropout = Dropout::new(DropoutConfig { p: 0.5 }, SeedSequence::new(3))?;
    let layer = layer(true).with_dropout(dropout);
    let x = input();
    let draw =
        |train| -> Result<Vec<f64>> { Ok(layer.forward_t(&x, train)?.flatten_all()?.to_vec1()?) };
    assert_eq!(draw(false)?, draw(false)?);
    let first = draw(true)?;
    assert_ne!(first, draw(true)?);
    layer.seeds()[0].resume(0);
    assert_eq!(first, draw(true)?);
    Ok(())
}

#[test]
fn one_layer_attends_to_other_keys_as_three_layers_do() -> Result<()> {
    let packed = layer(false);
    let separate = separated(&packed);
    let x = input();
    let memory = x.narrow(1, 0, 5)?;
    let run = |layer: &MultiHeadAttention| -> Result<_> {
        let y = layer.attend_to([&x, &memory, &memory], &AttentionOptions::default(), false)?;
        assert_eq!(y.dims(), [2, 9, 8]);
        Ok((y.clone(), y.sqr()?.sum_all()?.backward()?))
    };
    let ((y, of_packed), (z, of_separate)) = (run(&packed)?, run(&separate)?);
    let largest = |x: &Tensor| -> Result<f64> { Ok(x.abs()?.max_all()?.to_scalar()?) };
    assert!(largest(&(y - z)?)? < 1e-14);
    let weight = packed.parameters().get("in_proj_weight").unwrap().clone();
    let all = of_packed.get(&weight).unwrap();
    for (i, name) in ["q.weight", "k.weight", "v.weight"].into_iter().enumerate() {
        let part = of_separate.get(separate.parameters().get(name).unwrap());
        assert!(largest(&(all.narrow(0, 8 * i, 8)? - part.unwrap())?)? < 1e-12);
    }
    // With biases, attention to the input itself is self-attention.
    let layer = self::layer(true);
    let bias = layer.parameters().get("in_proj_bias").unwrap().clone();
    bias.set(&Tensor::arange(0f64, 24.0, &Device::Cpu)?.affine(0.1, -1.0)?)?;
    let own = layer.attend_to([&x; 3], &AttentionOptions::default(), false)?;
    assert!(largest(&(own - layer.forward(&x)?)?)? < 1e-13);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let config = MultiHeadAttentionConfig::new(8, 3);
    let layer = MultiHeadAttention::new(config, &mut rng, DType::F32, &Device::Cpu);
    assert!(matches!(
        layer,
        Err(Error::InvalidParameter {
            name: "num_heads",
            ..
        })
    ));
    let mut linear = |inputs, outputs| {
        let config = LinearConfig::new(inputs, outputs);
        Linear::new(config, &mut rng, DType::F32, &Device::Cpu).unwrap()
    };
    let wrong = MultiHeadAttention::packed(("qkv", linear(8, 25)), ("proj", linear(8, 8)), 2);
    assert!(matches!(wrong, Err(Error::Shape { arg: "qkv", .. })));
    let wrong = MultiHeadAttention::packed(("qkv", linear(8, 24)), ("proj", linear(9, 8)), 2);
    assert!(matches!(wrong, Err(Error::Shape { arg: "output", .. })));
    let right =
        MultiHeadAttention::packed(("qkv", linear(8, 24)), ("proj", linear(8, 8)), 2).unwrap();
    let x = Tensor::zeros((2, 8), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(
        right.forward(&x),
        Err(Error::Shape { arg: "input", .. })
    ));
}
