//! Whether what came out is what had to come out, and if not, where they differ most.

use anyhow::{bail, ensure};
use dml::candle_core::{DType, Tensor};
use serde_json::Value;

use crate::case::{Case, elements};

/// How far a number may be off: `|got − want| <= atol + rtol · |want|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tolerance {
    /// Relative part.
    pub(crate) rtol: f64,
    /// Absolute part.
    pub(crate) atol: f64,
}

impl Tolerance {
    /// The tolerance of a tensor of a case.
    #[must_use]
    pub(crate) fn of(case: &Case, name: &str) -> Self {
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
pub(crate) fn compare(
    name: &str,
    got: &Tensor,
    want: &Tensor,
    tolerance: Tolerance,
) -> anyhow::Result<()> {
    ensure!(
        squeezed(got.dims()) == squeezed(want.dims()),
        "{name}: expected shape {:?}, got {:?}",
        want.dims(),
        got.dims()
    );
    if got.dtype().is_int() && want.dtype().is_int() {
        let (got, want): (Vec<i64>, Vec<i64>) = (elements(got)?, elements(want)?);
        let off: Vec<usize> = (0..want.len()).filter(|&i| got[i] != want[i]).collect();
        if let Some(&at) = off.first() {
            bail!(
                "{name}[{at}]: expected {}, got {} ({} of {} differ)",
                want[at],
                got[at],
                off.len(),
                want.len()
            );
        }
        return Ok(());
    }
    let (got, want): (Vec<f64>, Vec<f64>) = (elements(got)?, elements(want)?);
    let off: Vec<usize> = (0..want.len())
        .filter(|&i| !tolerance.allows(got[i], want[i]))
        .collect();
    let distance = |i: usize| {
        let d = (got[i] - want[i]).abs() / (tolerance.atol + tolerance.rtol * want[i].abs());
        if d.is_nan() { f64::INFINITY } else { d }
    };
    let worst = off.iter().copied();
    if let Some(worst) = worst.max_by(|a, b| distance(*a).total_cmp(&distance(*b))) {
        bail!(
            "{name}[{worst}]: expected {:e}, got {:e} ({} of {} outside of rtol {:e}, atol {:e})",
            want[worst],
            got[worst],
            off.len(),
            want.len(),
            tolerance.rtol,
            tolerance.atol
        );
    }
    Ok(())
}

/// A single number may come as `[]` or as `[1]`.
fn squeezed(shape: &[usize]) -> &[usize] {
    if shape == [1] { &[] } else { shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml::candle_core::Device;

    const TOLERANCE: Tolerance = Tolerance {
        rtol: 1e-4,
        atol: 1e-6,
    };

    fn held(got: &[f64], want: &[f64]) -> anyhow::Result<()> {
        let [got, want] = [got, want].map(|values| Tensor::new(values, &Device::Cpu));
        compare("x", &got?, &want?, TOLERANCE)
    }

    #[test]
    fn the_worst_element_is_named() {
        let message = held(&[1.0, 2.1, 9.0], &[1.0, 2.0, 3.0]).unwrap_err();
        let message = message.to_string();
        assert!(
            message.starts_with("x[2]: expected 3e0, got 9e0 (2 of 3"),
            "{message}"
        );
    }

    #[test]
    fn nan_and_infinity_match_themselves_only() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert!(held(&odd, &odd).is_ok());
        assert!(held(&[1.0], &[f64::NAN]).is_err());
        assert!(held(&[f64::NAN], &[1.0]).is_err());
        assert!(held(&[f64::NEG_INFINITY], &[f64::INFINITY]).is_err());
    }

    #[test]
    fn tolerances_are_relative_and_absolute() {
        assert!(held(&[1.00009], &[1.0]).is_ok());
        assert!(held(&[1.0002], &[1.0]).is_err());
        assert!(held(&[9e-7], &[0.0]).is_ok());
    }

    #[test]
    fn whole_numbers_and_shapes_must_be_equal() -> anyhow::Result<()> {
        let whole = |values: [i64; 2]| Tensor::new(&values, &Device::Cpu);
        let error = compare("x", &whole([1, 2])?, &whole([1, 3])?, TOLERANCE).unwrap_err();
        assert_eq!(error.to_string(), "x[1]: expected 3, got 2 (1 of 2 differ)");
        assert!(held(&[1.0], &[1.0, 1.0]).is_err());
        let (scalar, one) = (
            Tensor::new(1.0, &Device::Cpu)?,
            Tensor::new(&[1.0], &Device::Cpu)?,
        );
        compare("x", &scalar, &one, TOLERANCE)
    }
}
