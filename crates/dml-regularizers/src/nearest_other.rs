//! The row closest to each row, a block of rows at a time: linear memory for any number of rows.

use dml_core::autograd::with_slice;
use dml_core::candle_core::{Device, Tensor};
use dml_core::{Distance, Result, check, for_element, kernels};

/// How many rows are compared with all others at a time.
pub(crate) const BLOCK: usize = 256;

/// The distance of each row to the other row that is nearest to it, `[rows]`.
pub(crate) fn to_nearest_other(distance: &dyn Distance, rows: &Tensor) -> Result<Tensor> {
    let nearest = Tensor::new(nearest_others(distance, rows)?, rows.device())?;
    distance.pairs(rows, &rows.index_select(&nearest, 0)?)
}

/// The other row closest to each of `rows` `[rows, dim]`, the first of several; a single row is closest to itself.
fn nearest_others(distance: &dyn Distance, rows: &Tensor) -> Result<Vec<u32>> {
    check::shape(rows.rank() == 2, "rows", rows, "[rows, dim]")?;
    let (all, count) = (rows.detach(), rows.dims()[0]);
    let sign = distance.order().sign();
    let mut nearest = Vec::with_capacity(count);
    for start in (0..count).step_by(BLOCK) {
        let block = all.narrow(0, start, BLOCK.min(count - start))?;
        let matrix = distance.matrix(&block, Some(&all))?; // [block, rows]
        let matrix = matrix.to_device(&Device::Cpu)?;
        let rows = block.dims()[0];
        nearest.extend(for_element!(matrix, "rows", |T| {
            with_slice(&matrix, |matrix: &[T]| {
                kernels::map_rows(rows, |i, (): &mut ()| {
                    closest(&matrix[i * count..][..count], start + i, sign)
                })
            })
        })?);
    }
    Ok(nearest)
}

/// Where the smallest of `sign · values` stands first, not counting the value of the row itself.
fn closest<T: kernels::Real>(values: &[T], itself: usize, sign: f64) -> u32 {
    let sign = T::from_f64(sign);
    let mut best = None;
    for (j, value) in values.iter().enumerate() {
        let far = sign * *value;
        // NaN is chosen before any number, and stays: the penalty has to see it.
        if j != itself && best.is_none_or(|(_, least)| far < least || far.is_nan()) {
            best = Some((j, far));
        }
    }
    best.map_or(itself, |(j, _)| j) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_distances::{CosineSimilarity, LpDistance};

    #[test]
    fn blocks_find_what_one_matrix_finds() -> Result<()> {
        let count = 2 * BLOCK + 37;
        let values: Vec<f32> = (0..count * 3)
            .map(|i| ((i * i) as f32 * 0.37).sin())
            .collect();
        let rows = Tensor::from_vec(values, (count, 3), &Device::Cpu)?;
        let distances: [&dyn Distance; 2] = [&CosineSimilarity::default(), &LpDistance::default()];
        for distance in distances {
            let sign = distance.order().sign() as f32;
            let matrix = distance.matrix(&rows, None)?.to_vec2::<f32>()?;
            for (i, j) in nearest_others(distance, &rows)?.into_iter().enumerate() {
                let best = (0..count)
                    .filter(|j| *j != i)
                    .map(|j| sign * matrix[i][j])
                    .fold(f32::INFINITY, f32::min);
                let found = sign * matrix[i][j as usize];
                assert!(
                    j as usize != i && found <= best + 1e-4,
                    "{distance:?} {i}: {found} {best}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn the_first_of_several_and_oneself_without_others() -> Result<()> {
        let rows = Tensor::new(&[[0f32, 1.], [0., 2.], [0., 3.]], &Device::Cpu)?;
        assert_eq!(nearest_others(&LpDistance::default(), &rows)?, [1, 0, 0]);
        let single = rows.narrow(0, 1, 1)?;
        assert_eq!(nearest_others(&LpDistance::default(), &single)?, [0]);
        assert!(matches!(
            nearest_others(&LpDistance::default(), &rows.flatten_all()?),
            Err(Error::Shape { arg: "rows", .. })
        ));
        Ok(())
    }
}
