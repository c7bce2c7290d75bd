//! How far apart positive pairs are, and all pairs.

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::kernels::exact::squared_distance;
use dml_core::{Batch, PairKind, Result, check};
use rayon::prelude::*;

use crate::rows::{check_finite, checked_rows, doubles_on_cpu, unit_rows};

/// Alignment of the [module](super): how far positive pairs are apart, 0 where each is one point. `alpha` 2 is usual.
///
/// The pairs are those that the batch's relation judges positive, of its embeddings and its references or among
/// themselves.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
///
/// let rows = Tensor::new(&[[1f32, 0.], [0., 3.], [5., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&rows, [0i64, 0, 1])?;
/// // (1, 0) and (0, 1) are √2 apart.
/// assert!((dml_eval::alignment(&batch, 2.0)? - 2.0).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Missing`](dml_core::Error::Missing) if the batch has no relation,
/// [`Error::Unsupported`](dml_core::Error::Unsupported) if it has no positive pair,
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `alpha` is positive and the embeddings are
/// finite.
pub fn alignment(batch: &Batch, alpha: f64) -> Result<f64> {
    let alpha = check::positive("alpha", alpha)?;
    let relation = batch.require_relation("alignment")?;
    let query = directions(batch.embeddings())?;
    let reference = match batch.reference() {
        Some(reference) => directions(reference)?,
        None => query.clone(),
    };
    let dim = query.dims()[1];
    let of_rows: Vec<(f64, u64)> = with_slice::<f64, _>(&query, |query| {
        with_slice::<f64, _>(&reference, |reference| {
            let row = |(q, row): (usize, &[f64])| {
                let (mut sum, mut count) = (0.0, 0);
                for (r, other) in reference.chunks_exact(dim).enumerate() {
                    if let PairKind::Positive(_) = relation.pair_kind(q, r) {
                        sum += squared_distance(row, other).powf(alpha / 2.0);
                        count += 1;
                    }
                }
                (sum, count)
            };
            query.par_chunks_exact(dim).enumerate().map(row).collect()
        })
    })??;
    let count: u64 = of_rows.iter().map(|(_, count)| count).sum();
    check::supported(count != 0, "alignment", "there is no positive pair")?;
    Ok(of_rows.iter().map(|(sum, _)| sum).sum::<f64>() / count as f64)
}

/// Uniformity of the [module](super): how evenly `embeddings` `[rows, dim]` cover the sphere. 0 where all are one point,
/// the smaller the more even. `t` 2 is usual.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
///
/// let rows = Tensor::new(&[[1f32, 0.], [-2., 0.]], &Device::Cpu)?;
/// assert!((dml_eval::uniformity(&rows, 2.0)? + 8.0).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]`,
/// [`Error::Unsupported`](dml_core::Error::Unsupported) for fewer than two rows,
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `t` is positive and the embeddings are finite.
pub fn uniformity(embeddings: &Tensor, t: f64) -> Result<f64> {
    let t = check::positive("t", t)?;
    let rows = directions(embeddings)?;
    let (count, dim) = rows.dims2()?;
    check::supported(count >= 2, "uniformity", "there must be two rows at least")?;
    // ln Σ exp of each row and those after it, as a largest exponent and a sum relative to it.
    let of_rows: Vec<(f64, f64)> = with_slice::<f64, _>(&rows, |rows| {
        let of_row = |i: usize| {
            let row = &rows[i * dim..][..dim];
            let (mut most, mut sum) = (f64::NEG_INFINITY, 0.0);
            for other in rows[(i + 1) * dim..].chunks_exact(dim) {
                (most, sum) = added((most, sum), (-t * squared_distance(row, other), 1.0));
            }
            (most, sum)
        };
        (0..count - 1).into_par_iter().map(of_row).collect()
    })?;
    let (most, sum) = of_rows.into_iter().fold((f64::NEG_INFINITY, 0.0), added);
    let pairs = count as f64 * (count - 1) as f64 / 2.0;
    Ok(most + (sum / pairs).ln())
}

/// The sum of two numbers, each `sum · e^most`.
fn added(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (large, small) = if a.0 >= b.0 { (a, b) } else { (b, a) };
    if small.1 == 0.0 {
        return large;
    }
    (large.0, large.1 + small.1 * (small.0 - large.0).exp())
}

/// Rows of length 1 in double precision; zero rows stay.
fn directions(rows: &Tensor) -> Result<Tensor> {
    let rows = checked_rows("embeddings", rows, None, None)?;
    let rows = doubles_on_cpu(&rows)?;
    check_finite("embeddings", &rows)?;
    unit_rows(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_core::Error;

    fn rows(rows: &[[f64; 2]]) -> Tensor {
        Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn alignment_by_hand() -> Result<()> {
        let points = rows(&[[2., 0.], [0., 1.], [-3., 0.], [5., 0.]]);
        // Class 0: a right angle, once in each direction; class 1: opposite.
        let batch = Batch::new(&points, [0i64, 0, 1, 1])?;
        assert!((alignment(&batch, 2.0)? - (2. + 4.) / 2.).abs() < 1e-14);
        assert!((alignment(&batch, 1.0)? - (2f64.sqrt() + 2.) / 2.).abs() < 1e-14);
        let pairs =
            Batch::new(&points, [0i64, 1, 2, 3])?.with_reference(&points, [0i64, 1, 2, 9])?;
        assert_eq!(alignment(&pairs, 2.0)?, 0.0);
        Ok(())
    }

    #[test]
    fn uniformity_by_hand() -> Result<()> {
        let points = rows(&[[2., 0.], [0., 1.], [-3., 0.]]);
        // Squared distances 2, 4 and 2.
        let mean = |t: f64| ((2. * (-2. * t).exp() + (-4. * t).exp()) / 3.).ln();
        assert!((uniformity(&points, 2.0)? - mean(2.0)).abs() < 1e-14);
        assert_eq!(uniformity(&rows(&[[1., 1.]; 4]), 2.0)?, 0.0);
        // Far beyond the range of exponentials.
        assert!((uniformity(&points, 1e4)? - (-2e4 + (2f64 / 3.).ln())).abs() < 1e-8);
        Ok(())
    }

    #[test]
    fn bad_arguments_are_refused() -> Result<()> {
        let points = rows(&[[2., 0.], [0., 1.]]);
        assert!(matches!(
            uniformity(&points, 0.0),
            Err(Error::InvalidParameter { name: "t", .. })
        ));
        assert!(matches!(
            uniformity(&points.narrow(0, 0, 1)?, 2.0),
            Err(Error::Unsupported { .. })
        ));
        let apart = Batch::new(&points, [0i64, 1])?;
        assert!(matches!(
            alignment(&apart, 2.0),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            alignment(&apart, -1.0),
            Err(Error::InvalidParameter { name: "alpha", .. })
        ));
        assert!(matches!(
            alignment(&Batch::unlabeled(&points)?, 2.0),
            Err(Error::Missing { .. })
        ));
        Ok(())
    }
}
