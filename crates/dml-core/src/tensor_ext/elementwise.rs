//! Functions of one number at a time, each with its gradient.

use candle_core::{DType, Tensor};
use dml_kernels::Real;

use crate::autograd::{self, Element, has_kernel, with_slice, with_slices};
use crate::{Result, for_element};

fn fuse<T: Element>(
    name: &'static str,
    x: &Tensor,
    value: impl Fn(T) -> T,
    slope: impl Fn(T) -> T + Send + Sync + 'static,
) -> Result<Tensor> {
    let result = with_slice(x, |x: &[T]| x.iter().map(|x| value(*x)).collect::<Vec<T>>())?;
    autograd::unary(name, x, result, x.shape(), move |x, _, gradient| {
        with_slices([x, gradient], |[x, g]| {
            let pairs = x.iter().zip(g);
            pairs.map(|(x, g)| *g * slope(*x)).collect()
        })
    })
}

pub(super) fn hinge(x: &Tensor) -> Result<Tensor> {
    if has_kernel(x) {
        return for_element!(x, "x", |T| fuse::<T>(
            "hinge",
            x,
            // The comparisons are written so that NaN stays NaN.
            |x| if x <= T::ZERO { T::ZERO } else { x },
            |x| if x > T::ZERO {
                T::ONE
            } else if x <= T::ZERO {
                T::ZERO
            } else {
                x
            }
        ));
    }
    hinge_composite(x)
}

pub(super) fn hinge_composite(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    Ok(x.le(&zeros)?.where_cond(&zeros, x)?)
}

pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    if has_kernel(x) {
        return for_element!(x, "x", |T| fuse::<T>(
            "softplus",
            x,
            |x| Real::max(x, T::ZERO) + Real::ln_1p(Real::exp(-Real::abs(x))),
            |x| T::ONE / (T::ONE + Real::exp(-x))
        ));
    }
    softplus_composite(x)
}

pub(super) fn softplus_composite(x: &Tensor) -> Result<Tensor> {
    let small = magnitude_composite(x)?.neg()?.exp()?;
    let sum = (&small + 1.0)?;
    // What rounding took from the sum is given back, so that the logarithm of nearly 1 is right to its last digits.
    let lost = ((small.detach() - (sum.detach() - 1.0)?)? / sum.detach())?;
    let smooth = (sum.log()? + lost)?;
    // At 0, where the derivative is ½, the hinge and |x| have gradient 0: the straight part carries it.
    let half = (x * 0.5)?;
    Ok((half + (magnitude_composite(x)? * 0.5)? + smooth)?)
}

pub(super) fn magnitude(x: &Tensor) -> Result<Tensor> {
    if has_kernel(x) {
        return for_element!(x, "x", |T| fuse::<T>("magnitude", x, Real::abs, |x| {
            if x > T::ZERO {
                T::ONE
            } else if x < T::ZERO {
                -T::ONE
            } else {
                // 0 or NaN.
                x
            }
        }));
    }
    magnitude_composite(x)
}

pub(super) fn magnitude_composite(x: &Tensor) -> Result<Tensor> {
    // The sign of NaN is 0, which would hide it from the gradient.
    let (values, sign) = (x.detach(), x.detach().sign()?);
    let sign = values.ne(&values)?.where_cond(&values, &sign)?;
    Ok((x * sign)?)
}

pub(super) fn power(x: &Tensor, exponent: f64) -> Result<Tensor> {
    if exponent == 1.0 {
        return Ok(x.clone());
    }
    if has_kernel(x) {
        return for_element!(x, "x", |T| {
            let (e, one_less) = (T::from_f64(exponent), T::from_f64(exponent - 1.0));
            fuse::<T>(
                "power",
                x,
                move |x| {
                    if exponent == 2.0 {
                        x * x
                    } else {
                        Real::powf(x, e)
                    }
                },
                move |x| {
                    if x == T::ZERO {
                        T::ZERO
                    } else if exponent == 2.0 {
                        x + x
                    } else {
                        e * Real::powf(x, one_less)
                    }
                },
            )
        });
    }
    power_composite(x, exponent)
}

pub(super) fn power_composite(x: &Tensor, exponent: f64) -> Result<Tensor> {
    // Where x is 0 the power is taken of 1 instead and thrown away, so that no gradient of x^(e−1) at 0 is met.
    let zeros = x.zeros_like()?;
    let is_zero = x.eq(&zeros)?;
    let safe = is_zero.where_cond(&x.ones_like()?, x)?;
    Ok(is_zero.where_cond(&zeros, &safe.powf(exponent)?)?)
}

pub(super) fn attached_zero(x: &Tensor) -> Result<Tensor> {
    if has_kernel(x) {
        return for_element!(x, "x", |T| autograd::unary(
            "attached_zero",
            x,
            vec![T::ZERO],
            (),
            |x, _, _| Ok(vec![T::ZERO; x.elem_count()])
        ));
    }
    let zeros = x.zeros_like()?;
    let nowhere = x.zeros_like()?.to_dtype(DType::U8)?;
    Ok(nowhere.where_cond(x, &zeros)?.sum_all()?)
}
