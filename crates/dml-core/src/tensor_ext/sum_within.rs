//! Sum and number of the values of a list that lie between two bounds.

use candle_core::{DType, Tensor};
use dml_kernels::Real;
use dml_kernels::sum_within::Within;

use crate::autograd::{PartialGradient, has_kernel, of_matrix, with_slice};
use crate::{Result, for_element};

/// The sum of some values as a scalar of the graph, and their number.
///
/// ```
/// use dml_core::{TensorExt, candle_core::{Device, Tensor}};
///
/// let part = Tensor::new(&[0f32, 1., 2., 5.], &Device::Cpu)?.sum_within(Some(0.0), Some(5.0))?;
/// assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (3., 2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartialSum {
    /// Sum, a scalar; 0 with gradient 0 if there are no values.
    pub sum: Tensor,
    /// Number of values that were summed.
    pub count: u64,
}

pub(super) fn sum_within(
    values: &Tensor,
    low: Option<f64>,
    high: Option<f64>,
) -> Result<PartialSum> {
    if !has_kernel(values) {
        return sum_within_composite(values, low, high);
    }
    for_element!(values, "values", |T| {
        let within = Within {
            low: low.map(<T as Real>::from_f64),
            high: high.map(<T as Real>::from_f64),
        };
        let (sum, count) = with_slice(values, |values: &[T]| within.sum(values))?;
        let sum = vec![<T as Real>::from_f64(sum)];
        let sum = of_matrix("sum_within", values, sum, (), move |values, _, gradient| {
            let slope = with_slice(gradient, |g: &[T]| g[0])?;
            if within.holds_all() {
                return Ok(PartialGradient::uniform(slope));
            }
            let slopes = with_slice(values, |values: &[T]| within.gradient(values, slope))?;
            Ok(PartialGradient::dense(slopes))
        })?;
        Ok(PartialSum { sum, count })
    })
}

pub(super) fn sum_within_composite(
    values: &Tensor,
    low: Option<f64>,
    high: Option<f64>,
) -> Result<PartialSum> {
    // What lies outside is named, not what lies inside: NaN is neither below nor above a bound, and counts.
    let mut outside = values.zeros_like()?.to_dtype(DType::U8)?;
    if let Some(low) = low {
        outside = outside.maximum(&values.le(low)?)?;
    }
    if let Some(high) = high {
        outside = outside.maximum(&values.ge(high)?)?;
    }
    let left_out = outside
        .to_dtype(DType::U32)?
        .sum_all()?
        .to_scalar::<u32>()?;
    let count = values.elem_count() as u64 - u64::from(left_out);
    let sum = outside
        .where_cond(&values.zeros_like()?, values)?
        .sum_all()?;
    Ok(PartialSum { sum, count })
}
