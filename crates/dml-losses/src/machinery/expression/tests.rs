use candle_core::{DType, Device, Tensor, Var};
use dml_core::Result;
use dml_core::autograd::without_kernels;

use super::{Composite, Dual, Expression};

/// A function of an expression for every expression, which closures can't be.
trait Formula {
    fn value<E: Expression>(x: E) -> E;
}

/// The points: around and at the kinks, and far out.
const POINTS: [f64; 11] = [
    -50.0, -2.0, -1.0, -0.5, -1e-9, 0.0, 1e-9, 0.5, 1.0, 2.0, 50.0,
];

/// Values and gradients of both evaluations at some points, which have to agree: those of the dual numbers.
#[track_caller]
fn evaluated<F: Formula>(points: &[f64]) -> Vec<(f64, f64)> {
    let dual: Vec<(f64, f64)> = points
        .iter()
        .map(|x| Dual::at(*x, F::value))
        .map(|dual| (dual.value, dual.gradient[0]))
        .collect();
    let composite = || -> Result<(Vec<f64>, Vec<f64>)> {
        let x = Var::new(points, &Device::Cpu)?;
        let values = Composite::of(&x, |x| F::value(x))?;
        let gradients = values.sum_all()?.backward()?;
        Ok((values.to_vec1()?, gradients.get(&x).unwrap().to_vec1()?))
    };
    for (values, gradients) in [composite().unwrap(), without_kernels(composite).unwrap()] {
        for (i, (value, gradient)) in dual.iter().enumerate() {
            let near = |a: f64, b: f64| {
                (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() < 1e-12 * (1.0 + b.abs())
            };
            let (x, got) = (points[i], (values[i], gradients[i]));
            // Where the value is NaN, Candle has the gradient of the branch that was selected.
            let gradient_agrees = value.is_nan() || near(got.1, *gradient);
            assert!(
                near(got.0, *value) && gradient_agrees,
                "{x}: {got:?}, {:?}",
                dual[i]
            );
        }
    }
    dual
}

macro_rules! formula {
    ($name:ident, |$x:ident| $value:expr) => {
        struct $name;
        impl Formula for $name {
            fn value<E: Expression>($x: E) -> E {
                $value
            }
        }
    };
}

#[test]
fn both_evaluations_agree_and_gradients_are_those_of_differences() {
    formula!(Polynomial, |x| (x.clone() * x.clone() - x.clone() * 3.0
        + 1.0)
        * -x.detach());
    formula!(Softplus, |x| (x * 2.0 - 1.0).softplus() + 0.5);
    formula!(Exponential, |x| (x.clamp(-3.0, 4.0) * 0.5).exp().ln_1p());
    formula!(Root, |x| (x.clone() * x + 1.0).sqrt());
    formula!(Power, |x| (x.abs() + 0.25).powf(1.5));
    evaluated::<Polynomial>(&POINTS);
    let smooth = [-2.5, -0.7, 0.3, 1.9];
    let step = 1e-6;
    for at in [
        evaluated::<Softplus>,
        evaluated::<Exponential>,
        evaluated::<Root>,
        evaluated::<Power>,
    ] {
        at(&POINTS);
        for x in smooth {
            let values = at(&[x - step, x, x + step]);
            let want = (values[2].0 - values[0].0) / (2.0 * step);
            assert!((values[1].1 - want).abs() < 1e-7, "{x}: {values:?} {want}");
        }
    }
}

#[test]
fn kinks_have_pytorchs_gradients() {
    formula!(Hinge, |x| x.hinge());
    formula!(Clamp, |x| x.clamp(-1.0, 0.5));
    formula!(Magnitude, |x| x.abs());
    formula!(Root, |x| x.hinge().sqrt());
    formula!(Chosen, |x| E::select(
        x.is_at_least(1.0),
        x.constant(7.0),
        -x
    ));
    assert_eq!(
        evaluated::<Hinge>(&[-1.0, 0.0, 2.0]),
        [(0.0, 0.0), (0.0, 0.0), (2.0, 1.0)]
    );
    assert_eq!(
        evaluated::<Clamp>(&[-2.0, -1.0, 0.0, 0.5, 0.75]),
        [(-1.0, 0.0), (-1.0, 1.0), (0.0, 1.0), (0.5, 1.0), (0.5, 0.0)]
    );
    assert_eq!(
        evaluated::<Magnitude>(&[-3.0, 0.0]),
        [(3.0, -1.0), (0.0, 0.0)]
    );
    assert_eq!(
        evaluated::<Root>(&[-1.0, 0.0, 4.0]),
        [(0.0, 0.0), (0.0, 0.0), (2.0, 0.25)]
    );
    assert_eq!(evaluated::<Chosen>(&[1.0, 0.5]), [(7.0, 0.0), (-0.5, -1.0)]);
}

#[test]
fn nan_stays_nan_in_value_and_gradient() {
    formula!(Hinge, |x| x.hinge());
    formula!(Clamp, |x| x.clamp(-1.0, 1.0));
    formula!(Everything, |x| (x.clone().abs() + 1.0)
        .sqrt()
        .powf(2.0)
        .softplus()
        + x.exp().ln_1p());
    for at in [evaluated::<Hinge>, evaluated::<Everything>] {
        let values = at(&[f64::NAN]);
        assert!(values[0].0.is_nan() && values[0].1.is_nan());
    }
    let clamped = Dual::at(f32::NAN, Clamp::value);
    assert!(clamped.value.is_nan() && clamped.gradient[0].is_nan());
}

#[test]
fn the_first_error_comes_out() -> Result<()> {
    let other = Tensor::zeros(3, DType::F64, &Device::Cpu)?;
    let numbers = Tensor::zeros(2, DType::F64, &Device::Cpu)?;
    let error = Composite::of(&numbers, |x| x.with(|x| Ok((x + &other)?)) * 2.0).unwrap_err();
    assert!(error.to_string().contains("shape"), "{error}");
    Ok(())
}

#[test]
fn each_variable_has_its_own_derivative() -> Result<()> {
    fn value<E: Expression>(x: E, y: E) -> E {
        (x.clone() / y.clone() - x.clone() * y.clone() / 4.0).softplus() + y * x
    }
    let dual = Dual::at_point([3f64, 2.0], |[x, y]| value(x, y));
    // x/y − xy/4 = 0: ln 2 + 6. Its derivatives, 0 and −1.5, count half.
    assert_eq!(dual.value, 2f64.ln() + 6.0);
    assert_eq!(dual.gradient, [2.0, 3.0 - 0.75]);
    let composite = || -> Result<()> {
        let (x, y) = (
            Var::new(&[3f64], &Device::Cpu)?,
            Var::new(&[2f64], &Device::Cpu)?,
        );
        let sum = Composite::of_all([&x, &y], |[x, y]| value(x, y))?;
        assert_eq!(sum.to_vec1::<f64>()?, [dual.value]);
        let gradients = sum.sum_all()?.backward()?;
        for (variable, want) in [&x, &y].into_iter().zip(dual.gradient) {
            let gradient = gradients.get(variable).unwrap();
            assert!((gradient.to_vec1::<f64>()?[0] - want).abs() < 1e-15);
        }
        Ok(())
    };
    composite()?;
    without_kernels(composite)
}
