use super::*;
use crate::layer_checks::{
    close, follows_differences, forms_agree, gradients, list, numbers, sevens,
};
use dml_core::Error;

fn gem(p: f64) -> Result<Gem> {
    let config = GemConfig {
        p,
        ..GemConfig::default()
    };
    Gem::new(config, DType::F64, &Device::Cpu)
}

#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    // x = torch.tensor([(i * 7 % 11) / 4 - 1 for i in range(60)], dtype=torch.float64).reshape(1, 2, 5, 6)
    // y = x.clamp(min=1e-6).pow(p).mean((2, 3), keepdim=True).pow(1 / p) with p = torch.tensor([3.])
    // torch.autograd.grad((y * torch.arange(1, 3).reshape(1, 2, 1, 1)).sum(), [x, p])
    let (x, layer) = (sevens(&[1, 2, 5, 6]), gem(3.0)?);
    let y = layer.forward(&x)?;
    close(&list(&y), &[0.8687767044, 0.8542748888], 1e-10);
    let store = gradients(&y);
    close(&list(store.get(layer.p()).unwrap()), &[0.3312065927], 1e-9);
    let first = [0.0, 0.02484, 0.0, 0.09937, 0.01104, 0.0, 0.06901, 0.00276];
    close(&list(store.get(&x).unwrap())[..8], &first, 1e-5);
    Ok(())
}

#[test]
fn gradients_follow_differences_and_both_forms_agree() -> Result<()> {
    for p in [1.0, 2.5, 3.0] {
        let layer = gem(p)?;
        forms_agree(&layer, &numbers(&[2, 3, 7, 5]))?;
        follows_differences(&layer, &numbers(&[1, 2, 3, 4]))?;
    }
    Ok(())
}

#[test]
fn half_precision_works_and_not_a_number_stays_so() -> Result<()> {
    let config = GemConfig::default();
    let layer = Gem::new(config.clone(), DType::F16, &Device::Cpu)?;
    let x = numbers(&[2, 3, 4, 4]).to_dtype(DType::F16)?;
    let y = layer.forward(&x)?;
    assert_eq!(y.dtype(), DType::F16);
    assert!(y.sum_all()?.backward()?.get(layer.p()).is_some());
    let layer = Gem::new(config, DType::F32, &Device::Cpu)?;
    let x = Tensor::new(&[[[[f32::NAN, 0.]], [[1., 1.]]]], &Device::Cpu)?;
    let y = list(&layer.forward(&x)?);
    assert!(y[0].is_nan() && (y[1] - 1.0).abs() < 1e-6);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    assert!(matches!(
        gem(0.0),
        Err(Error::InvalidParameter { name: "p", .. })
    ));
    let config = GemConfig {
        eps: f64::NAN,
        ..GemConfig::default()
    };
    assert!(matches!(
        Gem::new(config, DType::F32, &Device::Cpu),
        Err(Error::InvalidParameter { name: "eps", .. })
    ));
    let p = Var::zeros(2, DType::F32, &Device::Cpu)?;
    assert!(matches!(
        Gem::from_parameters(GemConfig::default(), p),
        Err(Error::Shape { arg: "p", .. })
    ));
    let x = Tensor::zeros((1, 1, 0, 3), DType::F64, &Device::Cpu)?;
    assert!(matches!(gem(3.0)?.forward(&x), Err(Error::Shape { .. })));
    Ok(())
}
