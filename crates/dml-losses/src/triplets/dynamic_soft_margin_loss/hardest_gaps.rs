//! The gaps of queries and references that belong together by their place.

use candle_core::{DType, Tensor};
use dml_core::{Result, TensorExt};

/// The smallest entry in some places of a matrix.
#[derive(Clone, Copy)]
struct Smallest {
    value: f64,
    place: Option<(u32, u32)>,
}

impl Smallest {
    const NONE: Self = Self {
        value: f64::INFINITY,
        place: None,
    };

    fn offer(&mut self, value: f64, row: usize, column: usize) {
        // NaN is chosen before any number, and stays: the loss has to see it.
        if value < self.value || value.is_nan() {
            let place = Some((row as u32, column as u32));
            *self = Self { value, place };
        }
    }
}

/// `d(i,i)` less the smallest other entry in row and column i, for as many i as the shorter side has, and how many more
/// rows the longer side has; `None` where there is no other entry at all.
pub(super) fn hardest_gaps(matrix: &Tensor) -> Result<Option<(Tensor, usize)>> {
    let (queries, references) = matrix.dims2()?;
    let (pairs, longer) = (queries.min(references), queries.max(references));
    if pairs == 0 || longer == 1 {
        return Ok(None);
    }
    let values: Vec<Vec<f64>> = matrix.detach().to_dtype(DType::F64)?.to_vec2()?;
    let mut in_row = vec![Smallest::NONE; pairs];
    let mut in_column = in_row.clone();
    for (q, row) in values.iter().enumerate() {
        for (r, value) in row.iter().enumerate().filter(|(r, _)| *r != q) {
            if let Some(smallest) = in_row.get_mut(q) {
                smallest.offer(*value, q, r);
            }
            if let Some(smallest) = in_column.get_mut(r) {
                smallest.offer(*value, q, r);
            }
        }
    }
    // A row or a column that has no other entry leaves it to the other one.
    let either = |one: &[Smallest], other: &[Smallest]| {
        let places = one.iter().zip(other);
        let places = places.map(|(one, other)| one.place.or(other.place).unwrap_or_default());
        places.unzip::<u32, u32, Vec<u32>, Vec<u32>>()
    };
    let (rows, columns) = either(&in_row, &in_column);
    let across = matrix.pick_entries(&rows, &columns)?;
    let (rows, columns) = either(&in_column, &in_row);
    let down = matrix.pick_entries(&rows, &columns)?;
    let own: Vec<u32> = (0..pairs as u32).collect();
    let nearest = across.minimum(&down)?;
    let is_number = down.eq(&down)?;
    let nearest = is_number.where_cond(&nearest, &down)?;
    let gaps = (matrix.pick_entries(&own, &own)? - nearest)?;
    Ok(Some((gaps, longer - pairs)))
}
