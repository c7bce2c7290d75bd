//! The largest of every few neighbours.

use candle_core::Tensor;
use dml_core::fused::{self, has_kernel, with_slice};
use dml_core::kernels::{Real, for_each_row};
use dml_core::{Result, for_element};

/// The largest of each `size` neighbouring columns: `[rows, groups · size]` → `[rows, groups]`. The gradient goes to the
/// first of equal ones.
pub(crate) fn largest_of_groups(x: &Tensor, size: usize) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let groups = columns / size;
    if !has_kernel(x) {
        return Ok(x.reshape((rows, groups, size))?.max(2)?);
    }
    for_element!(x, "x", |T| {
        let mut places = vec![0u32; rows * groups];
        let values: Vec<T> = with_slice(x, |x: &[T]| {
            for_each_row(&mut places, groups.max(1), |i, places| {
                let row = &x[i * columns..][..columns];
                for (place, group) in places.iter_mut().zip(row.chunks_exact(size)) {
                    let mut best = 0;
                    for (k, value) in group.iter().enumerate() {
                        if *value > group[best] {
                            best = k;
                        }
                    }
                    *place = best as u32;
                }
            });
            let value = |(group, place): (usize, &u32)| x[group * size + *place as usize];
            places.iter().enumerate().map(value).collect()
        })?;
        fused::unary(
            "largest_of_groups",
            x,
            values,
            (rows, groups),
            move |x, _, gradient| {
                let mut out = vec![<T as Real>::ZERO; rows * columns];
                with_slice(gradient, |gradient: &[T]| {
                    for (group, (place, g)) in places.iter().zip(gradient).enumerate() {
                        out[group * size + *place as usize] = *g;
                    }
                })?;
                Ok(Tensor::from_vec(out, x.shape(), x.device())?)
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use dml_core::fused::without_kernels;

    #[test]
    fn the_largest_of_each_pair_gets_the_gradient() -> Result<()> {
        let x = Var::new(&[[1f32, 2., 5., 4.], [0., 0., -1., -2.]], &Device::Cpu)?;
        let largest = largest_of_groups(&x, 2)?;
        assert_eq!(largest.to_vec2::<f32>()?, [[2., 5.], [0., -1.]]);
        let weights = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
        let store = (largest * weights)?.sum_all()?.backward()?;
        assert_eq!(
            store.get(x.as_tensor()).unwrap().to_vec2::<f32>()?,
            [[0., 1., 2., 0.], [3., 0., 4., 0.]]
        );
        let composite = without_kernels(|| largest_of_groups(&x, 2))?;
        assert_eq!(composite.to_vec2::<f32>()?, [[2., 5.], [0., -1.]]);
        Ok(())
    }
}
