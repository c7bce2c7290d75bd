use super::*;
use crate::Relu;
use crate::layer_checks::{
    close, follows_differences, forms_agree, gradients, list, numbers, sevens,
};
use candle_core::Var;
use dml_core::Error;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// 1 / (1 + e⁻ˣ).
#[derive(Debug)]
struct Sigmoid;

impl Layer for Sigmoid {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        Ok(((input.neg()?.exp()? + 1.0)?.recip())?)
    }
}

fn pointwise(weight: &[f64], shape: [usize; 2], bias: &[f64]) -> Result<Conv2d> {
    let [outputs, inputs] = shape;
    let weight = Tensor::from_slice(weight, (outputs, inputs, 1, 1), &Device::Cpu)?;
    let bias = Var::new(bias, &Device::Cpu)?;
    let config = Conv2dConfig::new(inputs, outputs, [1, 1]);
    Conv2d::from_parameters(config, Var::from_tensor(&weight)?, Some(bias))
}

#[test]
fn numbers_are_those_of_torchvision() -> Result<()> {
    // x = torch.tensor([(i * 7 % 11) / 4 - 1 for i in range(60)], dtype=torch.float64).reshape(1, 2, 5, 6)
    // se = torchvision.ops.SqueezeExcitation(2, 1).double(), with the parameters below in single precision
    // (se(x) * torch.arange(1, 61).reshape(x.shape)).sum().backward()
    let fc1 = pointwise(&[0.5, 1.0], [1, 2], &[0.25])?;
    let fc2 = pointwise(&[1.0, -2.0], [2, 1], &[0.1, 0.2])?;
    let layer = SqueezeExcitation::from_convolutions(fc1, Relu, fc2, Sigmoid)?;
    let x = sevens(&[1, 2, 5, 6]);
    let y = layer.forward(&x)?;
    let values = list(&y);
    close(
        &values[..4],
        &[-0.673707, 0.50528, -0.168427, 1.010561],
        1e-6,
    );
    close(&values[57..], &[-0.064806, 0.388838, 0.129613], 1e-6);
    let store = gradients(&y);
    let parameters = layer.parameters();
    let gradient = |name: &str| list(store.get(parameters.get(name).unwrap()).unwrap());
    close(
        &list(store.get(&x).unwrap())[..2],
        &[-1.053001873, -0.379294774],
        1e-6,
    );
    close(
        &gradient("fc1.weight"),
        &[-27.627343570, -25.037280111],
        1e-6,
    );
    close(&gradient("fc1.bias"), &[-103.602538388], 1e-6);
    close(&gradient("fc2.weight"), &[19.200413517, 41.976000005], 1e-6);
    close(&gradient("fc2.bias"), &[30.720661627, 67.161600008], 1e-6);
    Ok(())
}

#[test]
fn gradients_follow_differences_and_both_forms_agree() -> Result<()> {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let config = SqueezeExcitationConfig::new(3, 2);
    let layer = SqueezeExcitation::new(config, Sigmoid, Sigmoid, rng, DType::F64, &Device::Cpu)?;
    forms_agree(&layer, &numbers(&[2, 3, 5, 4]))?;
    follows_differences(&layer, &numbers(&[1, 3, 3, 2]))?;
    let names: Vec<String> = layer
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
    Ok(())
}

#[test]
fn half_precision_works_and_shapes_are_compared() -> Result<()> {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let config = SqueezeExcitationConfig::new(3, 2);
    let layer = SqueezeExcitation::new(config, Relu, Sigmoid, rng, DType::BF16, &Device::Cpu)?;
    let x = numbers(&[2, 3, 4, 4]).to_dtype(DType::BF16)?;
    assert_eq!(layer.forward(&x)?.dtype(), DType::BF16);
    let x = numbers(&[2, 4, 4, 4]).to_dtype(DType::BF16)?;
    assert!(matches!(layer.forward(&x), Err(Error::Shape { .. })));
    let fc1 = pointwise(&[0.5, 1.0], [1, 2], &[0.25])?;
    let fc2 = pointwise(&[1.0, -2.0, 1.0], [3, 1], &[0.1, 0.2, 0.3])?;
    let layer = SqueezeExcitation::from_convolutions(fc1, Relu, fc2, Sigmoid)?;
    assert!(matches!(
        layer.forward(&sevens(&[1, 2, 5, 6])),
        Err(Error::Shape { arg: "scale", .. })
    ));
    Ok(())
}
