use super::*;
use crate::layer_checks::{
    close, follows_differences, forms_agree, gradients, list, numbers, sevens,
};
use dml_core::Error;

fn pool(output: [usize; 2]) -> Result<AdaptiveAvgPool2d> {
    AdaptiveAvgPool2d::new(AdaptiveAvgPool2dConfig::new(output))
}

#[test]
fn numbers_are_those_of_pytorch() -> Result<()> {
    // x = torch.tensor([(i * 7 % 11) / 4 - 1 for i in range(60)], dtype=torch.float64).reshape(1, 2, 5, 6)
    // y = nn.AdaptiveAvgPool2d((2, 4))(x)
    // torch.autograd.grad((y * torch.arange(1, 17).reshape(y.shape)).sum(), x)
    let x = sevens(&[1, 2, 5, 6]);
    let y = pool([2, 4])?.forward(&x)?;
    let first = [
        0.29167, 0.20833, 0.5, -0.04167, 0.20833, 0.58333, -0.04167, 0.33333,
    ];
    close(&list(&y)[..8], &first, 1e-5);
    let gradient = list(gradients(&y).get(&x).unwrap());
    let rows = [
        0.1667, 0.5, 0.3333, 0.5, 1.1667, 0.6667, 0.1667, 0.5, 0.3333, 0.5, 1.1667, 0.6667, 1.0,
        2.3333,
    ];
    close(&gradient[..14], &rows, 1e-4);
    Ok(())
}

#[test]
fn gradients_follow_differences_and_both_forms_agree() -> Result<()> {
    for output in [[1, 1], [2, 3], [5, 4], [7, 9]] {
        let pool = pool(output)?;
        for shape in [[2, 3, 7, 6], [1, 1, 1, 5]] {
            forms_agree(&pool, &numbers(&shape))?;
        }
        follows_differences(&pool, &numbers(&[1, 2, 5, 4]))?;
    }
    Ok(())
}

#[test]
fn half_precision_works_and_not_a_number_stays_so() -> Result<()> {
    let x = numbers(&[2, 3, 4, 4]).to_dtype(DType::BF16)?;
    assert_eq!(pool([1, 1])?.forward(&x)?.dtype(), DType::BF16);
    let x = Tensor::new(&[[[[f64::NAN, 2.]], [[3., 5.]]]], &Device::Cpu)?;
    let y = list(&pool([1, 1])?.forward(&x)?);
    assert!(y[0].is_nan() && y[1] == 4.0);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    assert!(matches!(
        pool([0, 1]),
        Err(Error::InvalidParameter {
            name: "output_size",
            ..
        })
    ));
    for shape in [vec![1, 1, 0, 5], vec![1, 5, 5]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            pool([1, 1])?.forward(&x),
            Err(Error::Shape { .. })
        ));
    }
    Ok(())
}
