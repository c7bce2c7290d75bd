//! In how many bits binary codes differ: for search, not for training.
//!
//! ```text
//! code(x): bit k is 1 where xₖ > 0,   d(x, r) = number of 1s in code(x) xor code(r)
//! ```
//!
//! A code of 128 bits takes 16 bytes where 128 numbers take 512, and is compared in a few instructions.

use dml_core::autograd::{with_slice, with_slices};
use dml_core::candle_core::{DType, Device, Tensor};
use dml_core::kernels::finite::rows_not_finite;
use dml_core::kernels::{Real, hamming as kernel};
use dml_core::{Distance, Error, Result, check, for_element};

/// Number of differing bits ([formula](self)). Nothing computed with it has a gradient.
///
/// It compares rows of real numbers by their signs, and codes that were packed before by [`HammingDistance::pack`]
/// (tensors of bytes) as they are. Distances are `f32` whole numbers.
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor}};
/// use dml_distances::HammingDistance;
///
/// let x = Tensor::new(&[[0.3f32, -1.2, 0.7], [-0.1, 2.0, 0.5]], &Device::Cpu)?;
/// let codes = HammingDistance::pack(&x)?;
/// assert_eq!(codes.to_vec2::<u8>()?, [[0b101], [0b110]]);
/// assert_eq!(HammingDistance.matrix(&codes, None)?.to_vec2::<f32>()?, [[0., 2.], [2., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HammingDistance;

impl HammingDistance {
    /// The codes of rows of real numbers: `[rows, dim]` to bytes `[rows, ⌈dim / 8⌉]`, a bit for each sign, 1 where it is
    /// positive. Bit k is bit `k mod 8` of byte `⌊k / 8⌋`; the bits that fill up the last byte are 0.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the tensor is of rank 2, [`Error::DType`] for whole numbers, [`Error::NotANumber`] for NaN,
    /// which has no sign.
    pub fn pack(embeddings: &Tensor) -> Result<Tensor> {
        let (rows, dim) = checked(embeddings)?;
        let real = match embeddings.dtype() {
            DType::F16 | DType::BF16 => embeddings.to_dtype(DType::F32)?,
            _ => embeddings.clone(),
        };
        let real = real.to_device(&Device::Cpu)?;
        let codes = for_element!(real, "embeddings", |T| {
            with_slice(&real, |x: &[T]| match first_nan(x, dim) {
                Some(row) => Err(Error::NotANumber {
                    arg: "embeddings",
                    row,
                }),
                None => Ok(kernel::pack_signs(x, dim)),
            })?
        })?;
        let shape = (rows, dim.div_ceil(8));
        Ok(Tensor::from_vec(codes, shape, embeddings.device())?)
    }
}

/// The first row that holds NaN.
fn first_nan<T: Real>(x: &[T], dim: usize) -> Option<usize> {
    let broken = rows_not_finite(x, dim).into_iter().map(|row| row as usize);
    // An infinity has a sign.
    let mut broken = broken.filter(|row| x[row * dim..][..dim].iter().any(|x| x.is_nan()));
    broken.next()
}

fn checked(embeddings: &Tensor) -> Result<(usize, usize)> {
    let expected = "[rows, dim], or codes [rows, bytes]";
    check::shape(embeddings.rank() == 2, "embeddings", embeddings, expected)?;
    Ok(embeddings.dims2()?)
}

/// Codes on the host: given ones, or those of real numbers.
fn codes(embeddings: &Tensor) -> Result<Tensor> {
    if embeddings.dtype() != DType::U8 {
        return HammingDistance::pack(&embeddings.to_device(&Device::Cpu)?);
    }
    checked(embeddings)?;
    Ok(embeddings.to_device(&Device::Cpu)?)
}

fn counts_to(device: &Device, counts: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(counts, shape, device)?)
}

impl Distance for HammingDistance {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let x = codes(query)?;
        let r = match reference {
            Some(reference) => codes(reference)?,
            None => x.clone(),
        };
        let ((queries, width), (references, other)) = (x.dims2()?, r.dims2()?);
        let expected = "codes as long as those of the queries";
        check::shape(other == width, "reference", &r, expected)?;
        let counts = with_slices([&x, &r], |[x, r]| kernel::hamming(x, r, width))?;
        counts_to(query.device(), counts, &[queries, references])
    }

    /// The codes of rows of real numbers; codes as they are.
    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        if embeddings.dtype() == DType::U8 {
            return Ok(embeddings.clone());
        }
        Self::pack(embeddings)
    }

    /// How many bits of each code are 1.
    fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
        let x = codes(embeddings)?;
        self.pairs(embeddings, &x.zeros_like()?.to_device(embeddings.device())?)
    }

    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let (x, r) = (codes(query)?, codes(reference)?);
        check::same_shape("reference", &r, &x)?;
        let (rows, width) = x.dims2()?;
        let counts = with_slices([&x, &r], |[x, r]| kernel::hamming_of_pairs(x, r, width))?;
        counts_to(query.device(), counts, &[rows])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{flat, scattered};
    use dml_core::Order;

    #[test]
    fn it_counts_the_signs_that_differ() -> Result<()> {
        let (x, r) = (scattered(0.3, 5, 21), scattered(1.1, 5, 21));
        let matrix = HammingDistance.matrix(&x, Some(&r))?.to_vec2::<f32>()?;
        let (rows, others) = (x.to_vec2::<f64>()?, r.to_vec2::<f64>()?);
        for (i, x) in rows.iter().enumerate() {
            for (j, r) in others.iter().enumerate() {
                let differ = x.iter().zip(r).filter(|(x, r)| (**x > 0.) != (**r > 0.));
                assert_eq!(matrix[i][j], differ.count() as f32);
            }
        }
        let pairs = flat(&HammingDistance.pairs(&x, &r)?);
        assert!((0..5).all(|i| pairs[i] == f64::from(matrix[i][i])));
        assert_eq!(HammingDistance.order(), Order::SmallerIsCloser);
        Ok(())
    }

    #[test]
    fn packed_codes_are_compared_as_their_rows_are() -> Result<()> {
        let x = scattered(0.3, 6, 19);
        let codes = HammingDistance.prepare(&x)?;
        assert_eq!(codes.dims2()?, (6, 3));
        let real = flat(&HammingDistance.matrix(&x, None)?);
        assert_eq!(flat(&HammingDistance.matrix(&codes, None)?), real);
        assert_eq!(flat(&HammingDistance.matrix(&x, Some(&codes))?), real);
        assert_eq!(flat(&HammingDistance.prepare(&codes)?), flat(&codes));
        let halves = x.to_dtype(DType::F16)?;
        assert_eq!(flat(&HammingDistance::pack(&halves)?), flat(&codes));
        Ok(())
    }

    #[test]
    fn the_norm_is_the_number_of_ones() -> Result<()> {
        let codes = Tensor::new(&[[0b1011u8, 0b1], [0, 0]], &Device::Cpu)?;
        assert_eq!(flat(&HammingDistance.norms(&codes)?), [4.0, 0.0]);
        Ok(())
    }

    #[test]
    fn other_lengths_ranks_and_types_are_refused() -> Result<()> {
        let (x, wide) = (scattered(0.3, 3, 8), scattered(0.3, 3, 9));
        for result in [
            HammingDistance.matrix(&x, Some(&wide)),
            HammingDistance.pairs(&x, &wide),
            HammingDistance.matrix(&x.flatten_all()?, None),
            HammingDistance.matrix(&HammingDistance::pack(&x)?.flatten_all()?, None),
        ] {
            assert!(matches!(result, Err(Error::Shape { .. })));
        }
        let whole = x.to_dtype(DType::I64)?;
        assert!(matches!(
            HammingDistance.matrix(&whole, None),
            Err(Error::DType { .. })
        ));
        Ok(())
    }
}
