//! Whether what came out is what had to come out, and if not, where they differ most.

use dml::candle_core::DType;
use serde_json::Value;

use crate::case::{Array, Case, Data};

/// How far a number may be off: `|got − want| <= atol + rtol · |want|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative part.
    pub rtol: f64,
    /// Absolute part.
    pub atol: f64,
}

impl Tolerance {
    /// The tolerance of a tensor of a case.
    #[must_use]
    pub fn of(case: &Case, name: &str) -> Self {
        let number = |key: &str, otherwise: f64| {
            case.meta(key)
                .and_then(|text| text.parse().ok())
                .unwrap_or(otherwise)
        };
        let overrides = case.json("tolerances").unwrap_or(Value::Null);
        let own = |key: &str| overrides[name][key].as_f64();
        let rtol = own("rtol").unwrap_or_else(|| number("rtol", 1e-4));
        // Double precision has digits to spare.
        let least = match case.precision {
            DType::F64 => 0.0,
            _ => case.least_rtol,
        };
        Self {
            rtol: rtol.max(least),
            atol: own("atol").unwrap_or_else(|| number("atol", 1e-6)),
        }
    }

    fn allows(self, got: f64, want: f64) -> bool {
        if want.is_nan() || got.is_nan() {
            return want.is_nan() && got.is_nan();
        }
        if want.is_infinite() || got.is_infinite() {
            return got == want;
        }
        (got - want).abs() <= self.atol + self.rtol * want.abs()
    }
}

/// Compares a tensor with what it has to be.
///
/// # Errors
/// A sentence that names the tensor, the worst element and how many are off.
pub fn compare(name: &str, got: &Array, want: &Array, tolerance: Tolerance) -> Result<(), String> {
    if got.shape != want.shape && squeezed(&got.shape) != squeezed(&want.shape) {
        return Err(format!(
            "{name}: expected shape {:?}, got {:?}",
            want.shape, got.shape
        ));
    }
    if let (Data::Whole(got), Data::Whole(want)) = (&got.data, &want.data) {
        let Some(at) = got.iter().zip(want).position(|(g, w)| g != w) else {
            return Ok(());
        };
        let off = got.iter().zip(want).filter(|(g, w)| g != w).count();
        return Err(format!(
            "{name}[{at}]: expected {}, got {} ({off} of {} differ)",
            want[at],
            got[at],
            want.len()
        ));
    }
    let (got, want) = (got.to_real(), want.to_real());
    let off: Vec<usize> = (0..want.len())
        .filter(|&i| !tolerance.allows(got[i], want[i]))
        .collect();
    let distance = |i: usize| {
        let d = (got[i] - want[i]).abs() / (tolerance.atol + tolerance.rtol * want[i].abs());
        if d.is_nan() { f64::INFINITY } else { d }
    };
    match off
        .iter()
        .copied()
        .max_by(|a, b| distance(*a).total_cmp(&distance(*b)))
    {
        None => Ok(()),
        Some(worst) => Err(format!(
            "{name}[{worst}]: expected {:e}, got {:e} ({} of {} outside of rtol {:e}, atol {:e})",
            want[worst],
            got[worst],
            off.len(),
            want.len(),
            tolerance.rtol,
            tolerance.atol
        )),
    }
}

/// A single number may come as `[]` or as `[1]`.
fn squeezed(shape: &[usize]) -> &[usize] {
    if shape == [1] { &[] } else { shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance {
        rtol: 1e-4,
        atol: 1e-6,
    };

    fn real(values: &[f64]) -> Array {
        Array {
            shape: vec![values.len()],
            data: Data::Real(values.to_vec()),
        }
    }

    #[test]
    fn the_worst_element_is_named() {
        let message = compare(
            "out.loss",
            &real(&[1.0, 2.1, 9.0]),
            &real(&[1.0, 2.0, 3.0]),
            TOLERANCE,
        )
        .unwrap_err();
        assert!(
            message.starts_with("out.loss[2]: expected 3e0, got 9e0 (2 of 3"),
            "{message}"
        );
    }

    #[test]
    fn nan_and_infinity_match_themselves_only() {
        let odd = real(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(compare("x", &odd, &odd, TOLERANCE).is_ok());
        assert!(compare("x", &real(&[1.0]), &real(&[f64::NAN]), TOLERANCE).is_err());
        assert!(compare("x", &real(&[f64::NAN]), &real(&[1.0]), TOLERANCE).is_err());
        assert!(
            compare(
                "x",
                &real(&[f64::NEG_INFINITY]),
                &real(&[f64::INFINITY]),
                TOLERANCE
            )
            .is_err()
        );
    }

    #[test]
    fn tolerances_are_relative_and_absolute() {
        assert!(compare("x", &real(&[1.00009]), &real(&[1.0]), TOLERANCE).is_ok());
        assert!(compare("x", &real(&[1.0002]), &real(&[1.0]), TOLERANCE).is_err());
        assert!(compare("x", &real(&[9e-7]), &real(&[0.0]), TOLERANCE).is_ok());
    }

    #[test]
    fn whole_numbers_and_shapes_must_be_equal() {
        assert!(
            compare(
                "x",
                &Array::whole(vec![1, 2]),
                &Array::whole(vec![1, 3]),
                TOLERANCE
            )
            .is_err()
        );
        assert!(compare("x", &real(&[1.0]), &real(&[1.0, 1.0]), TOLERANCE).is_err());
        let scalar = Array {
            shape: vec![],
            data: Data::Real(vec![1.0]),
        };
        assert!(compare("x", &scalar, &real(&[1.0]), TOLERANCE).is_ok());
    }
}
