//! Sums of the values of a list, group by group.

use candle_core::Tensor;
use dml_kernels::Real;

use crate::autograd::{self, has_kernel, with_slice};
use crate::{Result, check, for_element};

pub(super) fn sum_by_group(values: &Tensor, groups: &[u32], count: usize) -> Result<Tensor> {
    check::shape(values.rank() == 1, "values", values, "[n]")?;
    check::length("groups", values.elem_count(), groups.len())?;
    check::indices("groups", groups.iter().map(|&group| group as usize), count)?;
    if !has_kernel(values) {
        return sum_by_group_composite(values, groups, count);
    }
    for_element!(values, "values", |T| {
        let mut sums = vec![0f64; count];
        with_slice(values, |values: &[T]| {
            for (value, &group) in values.iter().zip(groups) {
                sums[group as usize] += Real::to_f64(*value);
            }
        })?;
        let sums: Vec<T> = sums.into_iter().map(T::from_f64).collect();
        let groups = groups.to_vec();
        autograd::unary(
            "sum_by_group",
            values,
            sums,
            count,
            move |_, _, gradient| {
                with_slice(gradient, |g: &[T]| {
                    groups.iter().map(|&group| g[group as usize]).collect()
                })
            },
        )
    })
}

pub(super) fn sum_by_group_composite(
    values: &Tensor,
    groups: &[u32],
    count: usize,
) -> Result<Tensor> {
    let zeros = Tensor::zeros(count, values.dtype(), values.device())?;
    if groups.is_empty() {
        return Ok(zeros);
    }
    let groups = Tensor::new(groups, values.device())?;
    Ok(zeros.index_add(&groups, values, 0)?)
}
