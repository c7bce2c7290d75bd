//! Sum and number of the values of a list that lie between two bounds.

use candle_core::{DType, Tensor};
use dml_kernels::Real;

use crate::fused::{self, has_kernel, with_slice};
use crate::{Result, for_element};

/// The sum of some values as a scalar of the graph, and how many they are.
#[derive(Clone, Debug)]
pub struct PartialSum {
    /// Their sum, a scalar; 0 with gradient 0 if there are none.
    pub sum: Tensor,
    /// How many values were summed.
    pub count: u64,
}

fn within<T: PartialOrd>(value: T, low: Option<T>, high: Option<T>) -> bool {
    low.is_none_or(|low| value > low) && high.is_none_or(|high| value < high)
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
        let (low, high) = (low.map(T::from_f64), high.map(T::from_f64));
        let (sum, count) = with_slice(values, |values: &[T]| {
            values
                .iter()
                .filter(|v| within(**v, low, high))
                .fold((0.0, 0), |(sum, count), v| {
                    (sum + Real::to_f64(*v), count + 1)
                })
        })?;
        let sum = fused::unary(
            "sum_within",
            values,
            vec![T::from_f64(sum)],
            (),
            move |values, _, gradient| {
                let gradient = with_slice(gradient, |g: &[T]| g[0])?;
                let result: Vec<T> = with_slice(values, |values: &[T]| {
                    values
                        .iter()
                        .map(|v| {
                            if within(*v, low, high) {
                                gradient
                            } else {
                                T::ZERO
                            }
                        })
                        .collect()
                })?;
                Ok(Tensor::from_vec(result, values.shape(), values.device())?)
            },
        )?;
        Ok(PartialSum { sum, count })
    })
}

pub(super) fn sum_within_composite(
    values: &Tensor,
    low: Option<f64>,
    high: Option<f64>,
) -> Result<PartialSum> {
    let mut chosen = values.ones_like()?.to_dtype(DType::U8)?;
    if let Some(low) = low {
        chosen = (chosen * values.gt(low)?)?;
    }
    if let Some(high) = high {
        chosen = (chosen * values.lt(high)?)?;
    }
    let count = chosen.to_dtype(DType::U32)?.sum_all()?.to_scalar::<u32>()?;
    let sum = chosen
        .where_cond(values, &values.zeros_like()?)?
        .sum_all()?;
    Ok(PartialSum {
        sum,
        count: u64::from(count),
    })
}
