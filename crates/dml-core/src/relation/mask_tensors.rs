//! A relation as two matrices on a device.

use candle_core::{DType, Device, Tensor};

use super::{Knowledge, Relation};
use crate::Result;
use crate::tuples::mask_tensors;

impl Relation {
    /// Positive and negative pairs as tensors `[Q, R]` of `u8`, 1 where a pair is one. Labels are compared on the device.
    ///
    /// ```
    /// use dml_core::{Relation, candle_core::Device};
    ///
    /// let (positive, negative) = Relation::labels(&[0i64, 0, 1])?.mask_tensors(&Device::Cpu)?;
    /// assert_eq!(positive.to_vec2::<u8>()?, [[0, 1, 0], [1, 0, 0], [0, 0, 0]]);
    /// assert_eq!(negative.to_vec2::<u8>()?, [[0, 0, 1], [0, 0, 1], [1, 1, 0]]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if the device can't hold them.
    pub fn mask_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let (queries, references) = (self.queries, self.references);
        let Knowledge::Labels { query, reference } = &self.knowledge else {
            return mask_tensors(&self.mask(), device);
        };
        if queries == 0 || references == 0 {
            let none = Tensor::zeros((queries, references), DType::U8, device)?;
            return Ok((none.clone(), none));
        }
        let query = Tensor::from_slice(query.as_slice(), (queries, 1), device)?;
        let reference = Tensor::from_slice(reference.as_slice(), (1, references), device)?;
        let same: Vec<i64> = (0..queries)
            .map(|q| self.self_match(q).map_or(-1, |row| row as i64))
            .collect();
        let same = Tensor::from_vec(same, (queries, 1), device)?;
        let rows: Vec<i64> = (0..references as i64).collect();
        let rows = Tensor::from_vec(rows, (1, references), device)?;
        let counts = same.broadcast_ne(&rows)?; // [Q, R]
        let positive = (query.broadcast_eq(&reference)? * &counts)?;
        let negative = (query.broadcast_ne(&reference)? * &counts)?;
        Ok((positive, negative))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_on_the_device_are_the_mask_of_the_host() -> Result<()> {
        let device = &Device::Cpu;
        let cross = Relation::cross_labels([1i64, 2, 3], [2i64, 1, 1, 9])?;
        let map = cross.clone().with_self_matches(&[Some(1), None, Some(3)])?;
        let diagonal = cross.clone().with_diagonal_self_matches()?;
        let sets = Relation::label_sets(&[vec![1, 2], vec![2], vec![3]], None);
        for relation in [Relation::labels([4i64, 4, 5])?, cross, map, diagonal, sets] {
            let (positive, negative) = relation.mask_tensors(device)?;
            let (p, n) = mask_tensors(&relation.mask(), device)?;
            assert_eq!(positive.to_vec2::<u8>()?, p.to_vec2::<u8>()?);
            assert_eq!(negative.to_vec2::<u8>()?, n.to_vec2::<u8>()?);
        }
        let (none, _) = Relation::labels(Vec::<i64>::new())?.mask_tensors(device)?;
        assert_eq!(none.dims(), [0, 0]);
        Ok(())
    }
}
