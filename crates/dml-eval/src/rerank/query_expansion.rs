//! Queries moved towards what they find: α-weighted query expansion.
//!
//! ```text
//! q' = (q + Σ_{i <= n} max(0, cos(q, rᵢ))^α rᵢ) / its length     rᵢ the i-th nearest reference; rows of length 1
//! ```
//!
//! Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation" (2018, arXiv:1711.02512). α 0 is
//! average query expansion; Chum et al., "Total Recall" (2007).

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{Result, check};

use crate::index::{FlatIndex, FlatMetric, KnnIndex, SelfMatch};
use crate::rows::{doubles_on_cpu, unit_rows};

dml_core::config! {
    /// Configuration of [`QueryExpansion`].
    pub struct QueryExpansionConfig {
        /// `n`, how many neighbours a query is moved towards; 1 to 4,294,967,295. Default 10.
        pub neighbors: usize = 10,
        /// `α`, how much the closer ones count more; in `[0, 1e30]`. Default 3, the paper's.
        pub alpha: f64 = 3.0,
    }
}

/// Moves queries towards their nearest references ([formula](self)), to be searched for once more.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{QueryExpansion, QueryExpansionConfig};
///
/// let config = QueryExpansionConfig { neighbors: 1, alpha: 1.0 };
/// let query = Tensor::new(&[[1f64, 0.]], &Device::Cpu)?;
/// let gallery = Tensor::new(&[[3f64, 4.], [-1., 0.]], &Device::Cpu)?;
/// // (1, 0) + 0.6 · (0.6, 0.8) = (1.36, 0.48)
/// let moved = QueryExpansion::new(config)?.expand(&query, &gallery)?.to_vec2::<f64>()?;
/// assert!((moved[0][0] / moved[0][1] - 1.36 / 0.48).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct QueryExpansion {
    config: QueryExpansionConfig,
}

impl QueryExpansion {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is outside of its range.
    pub fn new(config: QueryExpansionConfig) -> Result<Self> {
        check::at_least_one("neighbors", config.neighbors)?;
        check::non_negative("alpha", config.alpha)?;
        Ok(Self { config })
    }

    /// The moved queries `[queries, dim]`, of length 1, from `queries` `[queries, dim]` and `gallery` `[references, dim]`, by
    /// the nearest by cosine. On the CPU; half precision gives single precision. With fewer references than neighbours, all.
    ///
    /// # Errors
    /// As [`KnnIndex::add`] and [`KnnIndex::search`].
    pub fn expand(&self, queries: &Tensor, gallery: &Tensor) -> Result<Tensor> {
        let mut index = FlatIndex::new(FlatMetric::Cosine);
        index.add(gallery)?;
        let k = self.config.neighbors.min(index.len());
        let found = index.search_others(queries, k, SelfMatch::None)?;
        let unit = |rows: &Tensor| unit_rows(&doubles_on_cpu(rows)?);
        let (count, dim) = queries.dims2()?;
        let mut moved: Vec<f64> = with_slice::<f64, _>(&unit(queries)?, <[f64]>::to_vec)?;
        with_slice::<f64, _>(&unit(gallery)?, |gallery| {
            for ((rows, cosines), query) in found.iter().zip(moved.chunks_exact_mut(dim)) {
                for (row, cosine) in rows.iter().zip(cosines) {
                    // 0⁰ is 1, but a neighbour behind the query is none.
                    let weight = if *cosine > 0.0 {
                        cosine.powf(self.config.alpha)
                    } else {
                        0.0
                    };
                    let neighbor = &gallery[*row as usize * dim..][..dim];
                    for (x, y) in query.iter_mut().zip(neighbor) {
                        *x += weight * y;
                    }
                }
            }
        })?;
        let dtype = match queries.dtype() {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let moved = Tensor::from_vec(moved, (count, dim), &Device::Cpu)?;
        Ok(unit_rows(&moved)?.to_dtype(dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn a_chain_of_neighbours_leads_to_a_far_one() -> Result<()> {
        // References at 25 and 50 degrees of the same thing, one at −30 of another.
        let row = |degrees: f64| [degrees.to_radians().cos(), degrees.to_radians().sin()];
        let gallery = Tensor::new(&[row(25.), row(50.), row(-30.)], &Device::Cpu)?;
        let query = Tensor::new(&[row(0.)], &Device::Cpu)?;
        let mut index = FlatIndex::new(FlatMetric::Cosine);
        index.add(&gallery)?;
        assert_eq!(index.search(&query, 3)?.indices, [0, 2, 1]);
        let config = QueryExpansionConfig {
            neighbors: 1,
            ..Default::default()
        };
        let moved = QueryExpansion::new(config)?.expand(&query, &gallery)?;
        assert_eq!(index.search(&moved, 3)?.indices, [0, 1, 2]);
        Ok(())
    }

    #[test]
    fn alpha_zero_is_the_mean_and_what_is_behind_plays_no_part() -> Result<()> {
        let gallery = Tensor::new(&[[0.6f32, 0.8], [0., -5.], [-1., 0.]], &Device::Cpu)?;
        let query = Tensor::new(&[[2f32, 0.]], &Device::Cpu)?;
        let config = QueryExpansionConfig {
            neighbors: 99,
            alpha: 0.0,
        };
        let moved = QueryExpansion::new(config)?.expand(&query, &gallery)?;
        let moved = moved.to_vec2::<f32>()?;
        // (1, 0) + (0.6, 0.8), in length 1.
        let length = (1.6f32 * 1.6 + 0.8 * 0.8).sqrt();
        assert!((moved[0][0] - 1.6 / length).abs() < 1e-6);
        assert!((moved[0][1] - 0.8 / length).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn bad_arguments_are_refused() -> Result<()> {
        let config = |neighbors, alpha| QueryExpansionConfig { neighbors, alpha };
        for config in [config(0, 1.0), config(1, -1.0), config(1, f64::NAN)] {
            assert!(matches!(
                QueryExpansion::new(config),
                Err(Error::InvalidParameter { .. })
            ));
        }
        let rows = Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
        let expansion = QueryExpansion::default();
        assert!(matches!(
            expansion.expand(&rows.narrow(1, 0, 1)?, &rows),
            Err(Error::Shape { .. })
        ));
        assert!(expansion.expand(&rows, &rows.narrow(0, 0, 0)?).is_err());
        Ok(())
    }
}
