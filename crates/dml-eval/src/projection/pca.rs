//! Principal components: the directions in which rows differ most.
//!
//! ```text
//! z     = (x − mean) / deviation                 the division only if standardised; a column that is constant stays 0
//! y_k   = z · v_k                                v_k the eigenvectors of the covariance of z, largest eigenvalue first
//! ```
//!
//! Each `v_k` has length 1, and its coordinate of largest size is positive. Found by subspace iteration from a seeded start,
//! which is exact where as many components are asked for as there are columns, or nearly. Pearson, "On lines and planes of
//! closest fit to systems of points in space" (1901).

use candle_core::{Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{Result, check};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernels::symmetric_eigen::eigenvectors;
use crate::rows::{check_finite, double_rows};

/// Directions beyond those asked for, which hasten the iteration.
const SPARE: usize = 8;
/// When the iteration ends, whatever it has reached.
const ITERATIONS: usize = 300;

/// A projection that rows were fitted with; [formulas](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::Pca;
///
/// let rows = Tensor::new(&[[0f64, 1.], [3., 5.], [6., 9.]], &Device::Cpu)?;
/// let pca = Pca::fit(&rows, 1, false)?;
/// // All along (3, 4) / 5, in steps of 5.
/// let projected = pca.transform(&rows)?.flatten_all()?.to_vec1::<f64>()?;
/// for (got, want) in projected.iter().zip([-5., 0., 5.]) {
///     assert!((got - want).abs() < 1e-12);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pca {
    mean: Tensor,
    /// What columns are multiplied by.
    scale: Option<Tensor>,
    /// `[dim, components]`.
    directions: Tensor,
    variances: Vec<f64>,
}

impl Pca {
    /// The first `components` principal components of `rows` `[rows, dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]` with at least one row,
    /// [`Error::DType`](dml_core::Error::DType) unless they are of a floating-point type,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is not finite or `components` is not from 1 to
    /// `min(rows, dim)`.
    pub fn fit(rows: &Tensor, components: usize, standardize: bool) -> Result<Self> {
        let rows = double_rows("rows", rows, None)?;
        let (count, dim) = rows.dims2()?;
        let fits = (1..=count.min(dim)).contains(&components);
        let expected = "a number from 1 to the smaller of rows and dim";
        check::parameter(fits, "components", components as f64, expected)?;
        let mean = rows.mean_keepdim(0)?;
        let mut rows = rows.broadcast_sub(&mean)?;
        let mut scale = None;
        if standardize {
            let deviation = rows.sqr()?.mean_keepdim(0)?.sqrt()?;
            let inverse = with_slice::<f64, _>(&deviation, |deviation| {
                let inverse = |x: &f64| if *x > 0.0 { 1.0 / x } else { 0.0 };
                deviation.iter().map(inverse).collect::<Vec<f64>>()
            })?;
            let inverse = Tensor::from_vec(inverse, (1, dim), &Device::Cpu)?;
            rows = rows.broadcast_mul(&inverse)?;
            scale = Some(inverse);
        }
        let covariance = (rows.t()?.matmul(&rows)? / count as f64)?;
        let (directions, variances) = leading(&covariance, components)?;
        Ok(Self {
            mean,
            scale,
            directions,
            variances,
        })
    }

    /// The rows `[rows, dim]` in the principal components `[rows, components]`, in double precision on the CPU.
    ///
    /// # Errors
    /// As [`fit`](Pca::fit): a row that is not finite is an error. The rows must have the `dim` of those that it was fitted
    /// with.
    pub fn transform(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = double_rows("rows", rows, Some(self.mean.dims()[1]))?;
        let mut rows = rows.broadcast_sub(&self.mean)?;
        if let Some(scale) = &self.scale {
            rows = rows.broadcast_mul(scale)?;
        }
        let projected = rows.matmul(&self.directions)?;
        // A column of next to no deviation divides by it.
        check_finite("projected rows", &projected)?;
        Ok(projected)
    }

    /// The variance along each component, largest first.
    #[must_use]
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }
}

/// The eigenvectors `[n, count]` of the largest eigenvalues of a symmetric matrix, and these.
fn leading(matrix: &Tensor, count: usize) -> Result<(Tensor, Vec<f64>)> {
    let n = matrix.dims()[0];
    let block = (count + SPARE).min(n);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Directions are rows here, so that each is contiguous. With as many as there can be, one turn does it.
    let mut basis = vec![0.0; block * n];
    if block == n {
        (0..n).for_each(|i| basis[i * n + i] = 1.0);
    } else {
        basis
            .iter_mut()
            .for_each(|x| *x = rng.random_range(-1.0..1.0));
        orthonormalize(&mut basis, n);
    }
    let mut values = vec![f64::INFINITY; block];
    for _ in 0..ITERATIONS {
        let rows = Tensor::from_slice(&basis, (block, n), &Device::Cpu)?;
        let images = rows.matmul(matrix)?;
        let small = with_slice::<f64, _>(&images.matmul(&rows.t()?)?, <[f64]>::to_vec)?;
        let (now, turn) = eigenvectors(small, block);
        let turn = Tensor::from_vec(turn, (block, block), &Device::Cpu)?;
        // Smaller changes are rounding errors of the matrix products.
        let rounding = 4.0 * f64::EPSILON * now[0].abs();
        let moved =
            |(now, before): (&f64, &f64)| (now - before).abs() > 1e-14 * now.abs() + rounding;
        let settled = block == n || now[0] <= 0.0 || !now[..count].iter().zip(&values).any(moved);
        values = now;
        basis = with_slice::<f64, _>(&turn.matmul(&rows)?, <[f64]>::to_vec)?;
        if settled {
            break;
        }
        basis = with_slice::<f64, _>(&turn.matmul(&images)?, <[f64]>::to_vec)?;
        orthonormalize(&mut basis, n);
    }
    basis.truncate(count * n);
    for direction in basis.chunks_exact_mut(n) {
        let largest = direction
            .iter()
            .fold(0.0, |a: f64, x| if x.abs() > a.abs() { *x } else { a });
        if largest < 0.0 {
            direction.iter_mut().for_each(|x| *x = -*x);
        }
    }
    values.truncate(count);
    values.iter_mut().for_each(|x| *x = x.max(0.0));
    let directions = Tensor::from_vec(basis, (count, n), &Device::Cpu)?;
    Ok((directions.t()?.contiguous()?, values))
}

/// Makes the rows `[_, n]` perpendicular and of length 1; what depends on rows before it gives way to a coordinate.
fn orthonormalize(rows: &mut [f64], n: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut coordinate = 0;
    for i in 0..rows.len() / n {
        let (before, rest) = rows.split_at_mut(i * n);
        let row = &mut rest[..n];
        loop {
            let length = dot(row, row).sqrt();
            // Twice is enough for what rounding leaves of the others.
            for other in before.chunks_exact(n).chain(before.chunks_exact(n)) {
                let share = dot(row, other);
                row.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
            }
            let left = dot(row, row).sqrt();
            if left > 1e-10 * length && left > 0.0 {
                row.iter_mut().for_each(|x| *x /= left);
                break;
            }
            row.fill(0.0);
            row[coordinate % n] = 1.0;
            coordinate += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    /// Rows whose columns differ in spread, mixed with each other.
    fn rows(count: usize, dim: usize) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..count * dim)
            .map(|i| rng.random_range(-1.0..1.0) * 0.9f64.powi((i % dim) as i32))
            .collect();
        let mix: Vec<f64> = (0..dim * dim)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let rows = Tensor::from_vec(values, (count, dim), &Device::Cpu).unwrap();
        rows.matmul(&Tensor::from_vec(mix, (dim, dim), &Device::Cpu).unwrap())
            .unwrap()
    }

    fn matrix(tensor: &Tensor) -> Vec<Vec<f64>> {
        tensor.to_vec2::<f64>().unwrap()
    }

    #[test]
    fn the_iteration_finds_what_all_rotations_find() -> Result<()> {
        let rows = rows(200, 60);
        let (few, all) = (Pca::fit(&rows, 5, false)?, Pca::fit(&rows, 60, false)?);
        for (few, all) in few.variances().iter().zip(all.variances()) {
            assert!((few - all).abs() < 1e-10 * all);
        }
        let (few, all) = (
            matrix(&few.transform(&rows)?),
            matrix(&all.transform(&rows)?),
        );
        for (few, all) in few.iter().zip(&all) {
            for (few, all) in few.iter().zip(all) {
                assert!((few - all).abs() < 1e-5, "{few} {all}");
            }
        }
        Ok(())
    }

    #[test]
    fn components_are_uncorrelated_and_keep_distances() -> Result<()> {
        let rows = rows(40, 7);
        let pca = Pca::fit(&rows, 7, false)?;
        let projected = pca.transform(&rows)?;
        let covariance = matrix(&(projected.t()?.matmul(&projected)? / 40.0)?);
        for (i, row) in covariance.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                let want = if i == j { pca.variances()[i] } else { 0.0 };
                assert!((x - want).abs() < 1e-12);
            }
        }
        let squares = |rows: &Tensor| -> Result<f64> {
            let gap = (rows.narrow(0, 0, 1)? - rows.narrow(0, 9, 1)?)?;
            Ok(gap.sqr()?.sum_all()?.to_scalar::<f64>()?)
        };
        assert!((squares(&rows)? - squares(&projected)?).abs() < 1e-10);
        Ok(())
    }

    #[test]
    fn standardised_columns_count_alike_and_constant_ones_not_at_all() -> Result<()> {
        let rows = Tensor::new(&[[1f64, 1000., 5.], [-1., -1000., 5.]], &Device::Cpu)?;
        let pca = Pca::fit(&rows, 1, true)?;
        let got = matrix(&pca.transform(&rows)?);
        assert!((got[0][0] - 2f64.sqrt()).abs() < 1e-12 && (got[1][0] + 2f64.sqrt()).abs() < 1e-12);
        // Equal rows: no variance, and no NaN.
        let same = Tensor::new(&[[3f32, 4.], [3., 4.]], &Device::Cpu)?;
        for standardize in [false, true] {
            let pca = Pca::fit(&same, 2, standardize)?;
            assert_eq!(pca.variances(), [0., 0.]);
            assert_eq!(matrix(&pca.transform(&same)?), [[0.; 2]; 2]);
        }
        Ok(())
    }

    #[test]
    fn bad_arguments_are_refused() -> Result<()> {
        let rows = rows(4, 3);
        for components in [0, 4] {
            assert!(matches!(
                Pca::fit(&rows, components, false),
                Err(Error::InvalidParameter {
                    name: "components",
                    ..
                })
            ));
        }
        let pca = Pca::fit(&rows, 2, false)?;
        assert!(matches!(
            pca.transform(&rows.narrow(1, 0, 2)?),
            Err(Error::Shape { .. })
        ));
        assert!(Pca::fit(&(&rows / 0.0)?, 1, false).is_err());
        for odd in [f64::NAN, f64::INFINITY, 1e200] {
            let odd = Tensor::new(&[[1.0, odd, 1.0]], &Device::Cpu)?;
            for refused in [pca.transform(&odd).err(), Pca::fit(&odd, 1, true).err()] {
                let named = matches!(refused, Some(Error::InvalidParameter { name: "rows", .. }));
                assert!(named, "{refused:?}");
            }
        }
        Ok(())
    }
}
