//! One whole number per row: the class, person, product or place that it shows.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::{Result, check};

/// Labels of a list of rows: any whole numbers, negative and huge ones included.
///
/// Cloning is cheap.
///
/// ```
/// use dml_core::{IntoLabels, Labels};
///
/// let labels: Labels = [7i64, -1, 7].into_labels()?;
/// assert_eq!(labels.as_slice(), [7, -1, 7]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Arc<[i64]>);

impl Labels {
    /// The labels in order.
    #[must_use]
    pub fn as_slice(&self) -> &[i64] {
        &self.0
    }

    /// How many rows are labelled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn check_length(&self, arg: &'static str, rows: usize) -> Result<()> {
        check::length(arg, rows, self.len())
    }
}

/// What can be read as [`Labels`]: integer tensors `[rows]`, and slices, arrays and vectors of integers.
///
/// ```
/// use dml_core::{IntoLabels, candle_core::{Device, Tensor}};
///
/// let labels = [3i64, 1].into_labels()?;
/// let tensor = Tensor::new(&[3u32, 1], &Device::Cpu)?;
/// assert_eq!((&tensor).into_labels()?.as_slice(), labels.as_slice());
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait IntoLabels {
    /// Reads the labels.
    ///
    /// # Errors
    /// [`Error::DType`](crate::Error::DType) for a tensor of real numbers, [`Error::Shape`](crate::Error::Shape) for one that is not of rank 1.
    fn into_labels(self) -> Result<Labels>;
}

impl IntoLabels for Labels {
    fn into_labels(self) -> Result<Labels> {
        Ok(self)
    }
}

impl IntoLabels for &Labels {
    fn into_labels(self) -> Result<Labels> {
        Ok(self.clone())
    }
}

impl IntoLabels for &Tensor {
    fn into_labels(self) -> Result<Labels> {
        check::shape(self.rank() == 1, "labels", self, "[rows]")?;
        check::dtype(self.dtype().is_int(), "labels", self, "an integer type")?;
        Ok(Labels(self.to_dtype(DType::I64)?.to_vec1::<i64>()?.into()))
    }
}

macro_rules! into_labels {
    ($($t:ty),*) => {$(
        impl IntoLabels for &[$t] {
            fn into_labels(self) -> Result<Labels> {
                Ok(Labels(self.iter().map(|&x| i64::from(x)).collect()))
            }
        }
        impl IntoLabels for Vec<$t> {
            fn into_labels(self) -> Result<Labels> {
                self.as_slice().into_labels()
            }
        }
        impl IntoLabels for &Vec<$t> {
            fn into_labels(self) -> Result<Labels> {
                self.as_slice().into_labels()
            }
        }
        impl<const N: usize> IntoLabels for [$t; N] {
            fn into_labels(self) -> Result<Labels> {
                self.as_slice().into_labels()
            }
        }
        impl<const N: usize> IntoLabels for &[$t; N] {
            fn into_labels(self) -> Result<Labels> {
                self.as_slice().into_labels()
            }
        }
    )*};
}
into_labels!(i64, i32, u32, u8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use candle_core::Device;

    #[test]
    fn integer_tensors_are_labels_and_real_ones_are_not() -> Result<()> {
        for dtype in [DType::I64, DType::U32, DType::U8] {
            let tensor = Tensor::new(&[3i64, 1, 2], &Device::Cpu)?.to_dtype(dtype)?;
            assert_eq!(tensor.into_labels()?.as_slice(), [3, 1, 2]);
        }
        let real = Tensor::new(&[3f32, 1.], &Device::Cpu)?;
        assert!(matches!(
            real.into_labels(),
            Err(Error::DType { arg: "labels", .. })
        ));
        let square = Tensor::new(&[[3i64, 1]], &Device::Cpu)?;
        assert!(matches!(
            square.into_labels(),
            Err(Error::Shape { arg: "labels", .. })
        ));
        Ok(())
    }

    #[test]
    fn huge_labels_stay_apart() -> Result<()> {
        let labels = [i64::MAX, i64::MAX - 1].into_labels()?;
        assert_ne!(labels.as_slice()[0], labels.as_slice()[1]);
        Ok(())
    }
}
