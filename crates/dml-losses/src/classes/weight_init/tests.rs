//! Spreads by hand, and draws from Candle's own backend.

use candle_nn::VarMap;
use dml_core::Error;

use super::*;
use crate::SeededVars;

fn draw(init: &WeightInit, shape: (usize, usize)) -> Result<Vec<f64>> {
    let vars = SeededVars::new(5).builder(DType::F64, &Device::Cpu);
    Ok(init.variable(&vars, shape, "W")?.flatten_all()?.to_vec1()?)
}

fn deviation(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn spreads_are_those_of_pytorch() -> Result<()> {
    let kaiming = |a, mode, nonlinearity| WeightInit::KaimingNormal {
        a,
        mode,
        nonlinearity,
    };
    // 50 rows of 200: fan in 200, fan out 50.
    for (init, want) in [
        (WeightInit::STANDARD_NORMAL, 1.0),
        (
            WeightInit::XavierUniform { gain: 1.0 },
            (2.0 / 250f64).sqrt(),
        ),
        (
            WeightInit::XavierNormal { gain: 3.0 },
            3.0 * (2.0 / 250f64).sqrt(),
        ),
        (kaiming(0.0, Fan::FanIn, Nonlinearity::LeakyRelu), 0.1),
        (kaiming(0.0, Fan::FanOut, Nonlinearity::Relu), 0.2),
        (
            kaiming(1.0, Fan::FanIn, Nonlinearity::LeakyRelu),
            200f64.sqrt().recip(),
        ),
        (
            kaiming(1.0, Fan::FanIn, Nonlinearity::Tanh),
            5.0 / 3.0 / 200f64.sqrt(),
        ),
        (
            kaiming(1.0, Fan::FanIn, Nonlinearity::Selu),
            0.75 / 200f64.sqrt(),
        ),
        (
            kaiming(1.0, Fan::FanIn, Nonlinearity::Sigmoid),
            200f64.sqrt().recip(),
        ),
    ] {
        let got = deviation(&draw(&init, (50, 200))?);
        assert!(
            (got / want - 1.0).abs() < 0.03,
            "{init:?}: {got} and not {want}"
        );
    }
    Ok(())
}

#[test]
fn uniform_draws_reach_their_bounds_and_no_further() -> Result<()> {
    let kaiming = WeightInit::KaimingUniform {
        a: 5f64.sqrt(),
        mode: Fan::FanIn,
        nonlinearity: Nonlinearity::LeakyRelu,
    };
    // √3 · √(2 / 6) / √100 = 0.1.
    for (init, low, high) in [
        (kaiming, -0.1, 0.1),
        (WeightInit::Uniform { a: -1.0, b: 3.0 }, -1.0, 3.0),
    ] {
        let values = draw(&init, (100, 100))?;
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let slack = 0.01 * (high - low);
        assert!((low..low + slack).contains(&smallest), "{smallest}");
        assert!((high - slack..=high).contains(&largest), "{largest}");
    }
    Ok(())
}

#[test]
fn a_truncated_normal_has_the_spread_that_is_left() -> Result<()> {
    let init = WeightInit::TruncatedNormal {
        mean: 0.0,
        std: 1.0,
        a: -2.0,
        b: 2.0,
    };
    let values = draw(&init, (100, 100))?;
    assert!(values.iter().all(|x| x.abs() <= 2.0));
    // The variance of a normal cut at ±2 is 1 − 4 φ(2) / (2 Φ(2) − 1) = 0.7737.
    assert!((deviation(&values).powi(2) - 0.7737).abs() < 0.03);
    Ok(())
}

#[test]
fn constants_and_orthogonal_weights() -> Result<()> {
    assert!(
        draw(&WeightInit::Ones {}, (2, 2))?
            .iter()
            .all(|x| *x == 1.0)
    );
    assert!(
        draw(&WeightInit::Zeros {}, (2, 2))?
            .iter()
            .all(|x| *x == 0.0)
    );
    assert!(
        draw(&WeightInit::Constant { val: 3.5 }, (2, 2))?
            .iter()
            .all(|x| *x == 3.5)
    );
    let values = draw(&WeightInit::Orthogonal { gain: 2.0 }, (4, 9))?;
    for (i, row) in values.chunks(9).enumerate() {
        for (j, other) in values.chunks(9).enumerate() {
            let dot: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            let want = if i == j { 4.0 } else { 0.0 };
            assert!((dot - want).abs() < 1e-12);
        }
    }
    Ok(())
}

#[test]
fn candles_own_backend_draws_too_and_what_it_has_stays() -> Result<()> {
    let map = VarMap::new();
    let vars = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let init = WeightInit::Orthogonal { gain: 1.0 };
    let var = init.variable(&vars, (1, 4), "W")?;
    let length = var.sqr()?.sum_all()?.to_scalar::<f32>()?;
    assert!((length - 1.0).abs() < 1e-6);
    let again = init.variable(&vars, (1, 4), "W")?;
    var.set(&var.zeros_like()?)?;
    assert_eq!(again.to_vec2::<f32>()?, [[0.0; 4]]);
    let kept = init.variable(&vars, (1, 4), "W")?;
    assert_eq!(kept.to_vec2::<f32>()?, [[0.0; 4]]);
    assert!(init.variable(&vars, (2, 4), "W").is_err());
    Ok(())
}

#[test]
fn arguments_outside_of_their_range_are_refused() {
    let refused = |init: WeightInit, name: &str| match draw(&init, (2, 2)) {
        Err(Error::InvalidParameter { name: got, .. }) => got == name,
        _ => false,
    };
    let std = -1.0;
    assert!(refused(WeightInit::Normal { mean: 0.0, std }, "std"));
    assert!(refused(WeightInit::Constant { val: f64::NAN }, "val"));
    assert!(refused(WeightInit::XavierNormal { gain: -1.0 }, "gain"));
}
