//! Statistics of the directions of embeddings, in which a collapse shows first.
//!
//! ```text
//! u_i = z_i / ‖z_i‖₂
//! direction = ‖mean_i u_i‖₂                                     1 if all rows point the same way
//! deviation = mean_d √(mean_i u_id² − (mean_i u_id)²)           0 then, 1/√dim for rows in all directions
//! ```
//!
//! The deviation is that of Chen, He 2021, "Exploring Simple Siamese Representation Learning" (arXiv 2011.10566), §4.1.

use candle_core::Tensor;
use dml_core::Result;

use crate::host_numbers::{doubles, norm};

/// Statistics of the directions of embeddings ([formulas](self)).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_train::CollapseStatistics;
///
/// let statistics = CollapseStatistics::of(&Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?)?;
/// assert!((statistics.deviation - 0.5).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollapseStatistics {
    /// Length of the mean direction, from 0 to 1; 1 for collapsed embeddings.
    pub direction: f64,
    /// Mean over dimensions of the standard deviation over rows; 0 for collapsed embeddings.
    pub deviation: f64,
}

impl CollapseStatistics {
    /// Statistics of embeddings `[rows, dim]`; all 0 without rows. A row of length 0 has no direction and counts as 0.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use dml_train::CollapseStatistics;
    ///
    /// let collapsed = CollapseStatistics::of(&Tensor::new(&[[3f32, 4.], [6., 8.]], &Device::Cpu)?)?;
    /// assert!((collapsed.direction - 1.0).abs() < 1e-6 && collapsed.deviation < 1e-6);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub fn of(embeddings: &Tensor) -> Result<Self> {
        let (_, dim) = embeddings.dims2()?;
        Ok(Self::of_rows(&doubles(embeddings)?, dim))
    }

    /// Directions of rows of `dim` numbers.
    pub(crate) fn of_rows(values: &[f64], dim: usize) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        // Differences of near numbers: in single precision a collapse would not be told from a near one.
        let (mut sums, mut squares) = (vec![0.0; dim], vec![0.0; dim]);
        for row in values.chunks_exact(dim) {
            // The inverse of a shorter length than this overflows: such a row has no direction.
            let length = norm(row);
            let factor = if length < f64::MIN_POSITIVE {
                0.0
            } else {
                1.0 / length
            };
            for ((x, sum), square) in row.iter().zip(&mut sums).zip(&mut squares) {
                let unit = x * factor;
                *sum += unit;
                *square += unit * unit;
            }
        }
        let count = (values.len() / dim) as f64;
        let mut length: f64 = 0.0;
        let mut deviation = 0.0;
        for (sum, square) in sums.iter().zip(&squares) {
            let mean = sum / count;
            let variance = square / count - mean * mean;
            length += mean * mean;
            // Rounding may put it below 0; a NaN stays one.
            deviation += if variance < 0.0 { 0.0 } else { variance.sqrt() };
        }
        Self {
            direction: length.sqrt(),
            deviation: deviation / dim as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn of(rows: &[[f32; 2]]) -> CollapseStatistics {
        let rows = Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu);
        CollapseStatistics::of(&rows.unwrap()).unwrap()
    }

    #[test]
    fn directions_count_and_lengths_do_not() {
        let cross = of(&[[1.0, 0.0], [0.0, 5.0], [-0.1, 0.0], [0.0, -2.0]]);
        approx::assert_abs_diff_eq!(cross.direction, 0.0, epsilon = 1e-7);
        approx::assert_relative_eq!(cross.deviation, 0.5f64.sqrt(), epsilon = 1e-7);
        // At 0° and 90°: the mean is at (1/2, 1/2).
        let corner = of(&[[3.0, 0.0], [0.0, 1.0]]);
        approx::assert_relative_eq!(corner.direction, 0.5f64.sqrt(), epsilon = 1e-7);
        approx::assert_relative_eq!(corner.deviation, 0.5, epsilon = 1e-7);
        let collapsed = of(&[[0.3, 0.4], [3.0, 4.0], [30.0, 40.0]]);
        approx::assert_abs_diff_eq!(collapsed.direction, 1.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(collapsed.deviation, 0.0, epsilon = 1e-6);
    }

    #[test]
    fn rows_without_direction_and_no_rows_are_no_fault() -> Result<()> {
        let half = of(&[[0.0, 0.0], [0.0, 2.0]]);
        approx::assert_relative_eq!(half.direction, 0.5);
        approx::assert_relative_eq!(half.deviation, 0.25);
        assert!(of(&[[f32::NAN, 1.0], [0.0, 2.0]]).deviation.is_nan());
        let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?;
        assert_eq!(
            CollapseStatistics::of(&none)?,
            CollapseStatistics::default()
        );
        Ok(())
    }
}
