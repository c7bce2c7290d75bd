//! Euclidean distance after a linear map that is learned.
//!
//! ```text
//! d(x, r) = ‖L x̂ − L r̂‖₂^power = ((x̂ − r̂)ᵀ M (x̂ − r̂))^(power / 2),   M = Lᵀ L
//! ```
//!
//! Weinberger, Saul, "Distance Metric Learning for Large Margin Nearest Neighbor Classification", 2009. M is positive
//! semidefinite whatever L is, so L `[rank, dim]` can be learned by gradient descent as it stands; a rank below dim
//! finds a space of fewer dimensions.

use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Distance, Result, TensorExt, check};

use crate::frame::Frame;

dml_core::config! {
    /// Configuration of [`MahalanobisDistance`].
    pub struct MahalanobisDistanceConfig {
        /// Length of the rows, 1 to 4,294,967,295.
        pub embedding_size: usize;
        /// Rows of L, from 1 to `embedding_size`. Default `embedding_size`.
        pub rank: Option<usize> = None,
        /// Whether rows are divided by their Euclidean norm first. Default `false`.
        pub normalize_embeddings: bool = false,
        /// The power that distances are raised to, above 0. Default `1`.
        pub power: f64 = 1.0,
    }
}

/// Euclidean distance after a learned linear map ([formula](self)).
///
/// Its gradient reaches the rows and [`factor`](MahalanobisDistance::factor), which an optimiser updates like any other
/// parameter. Prepared rows are mapped rows: an index of them searches by this distance.
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor, Var}};
/// use dml_distances::{MahalanobisDistance, MahalanobisDistanceConfig};
///
/// // The first coordinate counts three times as much, the second not at all.
/// let factor = Var::new(&[[3f32, 0.], [0., 0.]], &Device::Cpu)?;
/// let distance = MahalanobisDistance::from_factor(MahalanobisDistanceConfig::new(2), factor)?;
/// let x = Tensor::new(&[[0f32, 0.], [2., 7.]], &Device::Cpu)?;
/// let matrix = distance.matrix(&x, None)?;
/// assert_eq!(matrix.to_vec2::<f32>()?, [[0., 6.], [6., 0.]]);
/// let gradients = matrix.sum_all()?.backward()?;
/// assert_eq!(gradients.get(distance.factor()).unwrap().to_vec2::<f32>()?, [[4., 14.], [0., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MahalanobisDistance {
    factor: Var,
    frame: Frame,
}

impl MahalanobisDistance {
    /// Starts with the Euclidean distance of the first `rank` coordinates: L is the beginning of the identity.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for parameters outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold L.
    pub fn new(config: MahalanobisDistanceConfig, dtype: DType, device: &Device) -> Result<Self> {
        let (rank, size) = shape(&config)?;
        let identity = Tensor::eye(size, dtype, device)?.narrow(0, 0, rank)?;
        Self::from_factor(config, Var::from_tensor(&identity.contiguous()?)?)
    }

    /// Starts with a given L `[rank, embedding_size]`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for parameters outside of their range,
    /// [`Error::Shape`](dml_core::Error::Shape) if L has another shape, [`Error::DType`](dml_core::Error::DType) unless
    /// it holds `f32` or `f64`.
    pub fn from_factor(config: MahalanobisDistanceConfig, factor: Var) -> Result<Self> {
        let (rank, size) = shape(&config)?;
        let fits = factor.dims() == [rank, size];
        check::shape(fits, "factor", &factor, "[rank, embedding_size]")?;
        let is_real = matches!(factor.dtype(), DType::F32 | DType::F64);
        check::dtype(is_real, "factor", &factor, "f32 or f64")?;
        let frame = Frame::new(config.normalize_embeddings, 2.0, config.power)?;
        Ok(Self { factor, frame })
    }

    /// L `[rank, embedding_size]`: what is learned.
    #[must_use]
    pub fn factor(&self) -> &Var {
        &self.factor
    }

    /// M = Lᵀ L `[embedding_size, embedding_size]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
    pub fn metric(&self) -> Result<Tensor> {
        Ok(self.factor.t()?.matmul(self.factor.as_tensor())?)
    }

    /// `L x` of each row: `[rows, embedding_size]` to `[rows, rank]`.
    fn map(&self, rows: &Tensor) -> Result<Tensor> {
        let size = self.factor.dims()[1];
        let fits = rows.rank() == 2 && rows.dims()[1] == size;
        check::shape(fits, "embeddings", rows, "[rows, embedding_size]")?;
        let fits = rows.dtype() == self.factor.dtype();
        check::dtype(fits, "embeddings", rows, "the element type of the factor")?;
        rows.pairwise_dot(&self.factor)
    }
}

/// Rank and size, checked.
fn shape(config: &MahalanobisDistanceConfig) -> Result<(usize, usize)> {
    let size = check::at_least_one("embedding_size", config.embedding_size)?;
    let rank = config.rank.unwrap_or(size);
    check::elements("embedding_size", &[size, size], check::PARAMETER)?;
    let expected = "a whole number from 1 to embedding_size";
    check::whole((1..=size).contains(&rank), "rank", rank, expected)?;
    Ok((rank, size))
}

fn norms_of_differences(query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    (query - reference)?.row_norms(2.0)
}

impl Distance for MahalanobisDistance {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let query = self.prepare(query)?;
        let reference = reference.map(|r| self.prepare(r)).transpose()?;
        self.frame
            .euclidean(&query, reference.as_ref().unwrap_or(&query))
    }

    /// L, as `factor`.
    fn parameters(&self) -> Vec<(String, Var)> {
        vec![("factor".to_owned(), self.factor.clone())]
    }

    /// Rows divided by their norm, if so configured, and mapped by L.
    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.map(&self.frame.prepare(embeddings)?)
    }

    /// `‖L x‖₂`.
    fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.map(embeddings)?.row_norms(2.0)
    }

    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        check::same_shape("reference", reference, query)?;
        norms_of_differences(&self.prepare(query)?, &self.prepare(reference)?)?
            .safe_power(self.frame.power)
    }

    /// `‖L (x − r)‖₂` of the rows as they come.
    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        check::same_shape("reference", reference, query)?;
        norms_of_differences(&self.map(query)?, &self.map(reference)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LpDistance;
    use crate::tests::{flat, scattered};
    use dml_core::Error;

    fn learned(rank: usize, power: f64, normalize_embeddings: bool) -> MahalanobisDistance {
        let config = MahalanobisDistanceConfig {
            rank: Some(rank),
            power,
            normalize_embeddings,
            ..MahalanobisDistanceConfig::new(4)
        };
        let factor = Var::from_tensor(&scattered(5.0, rank, 4)).unwrap();
        MahalanobisDistance::from_factor(config, factor).unwrap()
    }

    #[test]
    fn the_factor_is_what_it_learns() {
        let distance: std::sync::Arc<dyn Distance> = std::sync::Arc::new(learned(2, 1.0, false));
        let parameters = distance.parameters();
        assert_eq!(parameters[0].0, "factor");
        assert_eq!(parameters[0].1.dims(), [2, 4]);
        assert!(LpDistance::default().parameters().is_empty());
    }

    #[test]
    fn the_quadratic_form_of_the_metric() -> Result<()> {
        let (x, r) = (scattered(0.3, 3, 4), scattered(1.1, 2, 4));
        let distance = learned(2, 2.0, false);
        let metric = distance.metric()?.to_vec2::<f64>()?;
        let got = distance.matrix(&x, Some(&r))?.to_vec2::<f64>()?;
        for (i, x) in x.to_vec2::<f64>()?.iter().enumerate() {
            for (j, r) in r.to_vec2::<f64>()?.iter().enumerate() {
                let d: Vec<f64> = x.iter().zip(r).map(|(x, r)| x - r).collect();
                let form: f64 = (0..4)
                    .flat_map(|a| (0..4).map(move |b| (a, b)))
                    .map(|(a, b)| d[a] * metric[a][b] * d[b])
                    .sum();
                assert!((got[i][j] - form).abs() < 1e-12);
            }
        }
        Ok(())
    }

    #[test]
    fn it_starts_as_the_euclidean_distance() -> Result<()> {
        let config = MahalanobisDistanceConfig::new(4);
        let start = MahalanobisDistance::new(config, DType::F64, &Device::Cpu)?;
        let (x, r) = (scattered(0.3, 3, 4), scattered(1.1, 3, 4));
        let euclidean = LpDistance::unnormalized();
        let expected = flat(&euclidean.matrix(&x, Some(&r))?);
        assert_eq!(flat(&start.matrix(&x, Some(&r))?), expected);
        assert_eq!(flat(&start.norms(&x)?), flat(&euclidean.norms(&x)?));
        assert_eq!(flat(&start.pairs(&x, &r)?), flat(&start.raw_pairs(&x, &r)?));
        Ok(())
    }

    #[test]
    fn pairs_are_the_diagonal_and_prepared_rows_are_euclidean() -> Result<()> {
        let (x, r) = (scattered(0.3, 3, 4), scattered(1.1, 3, 4));
        for (power, normalize) in [(1.0, true), (2.0, false), (0.5, true)] {
            let distance = learned(3, power, normalize);
            let matrix = distance.matrix(&x, Some(&r))?.to_vec2::<f64>()?;
            for (i, pair) in flat(&distance.pairs(&x, &r)?).iter().enumerate() {
                assert!((pair - matrix[i][i]).abs() < 1e-12);
            }
            let mapped = (distance.prepare(&x)?, distance.prepare(&r)?);
            let euclidean = mapped.0.pairwise_lp(&mapped.1, 2.0)?.safe_power(power)?;
            for (a, b) in flat(&euclidean).iter().zip(matrix.concat()) {
                assert!((a - b).abs() < 1e-12);
            }
        }
        Ok(())
    }

    #[test]
    fn the_gradient_of_the_factor_agrees_with_central_differences() -> Result<()> {
        let (x, weights) = (scattered(0.3, 4, 4), scattered(2.2, 4, 4));
        for (power, normalize) in [(1.0, true), (2.0, false)] {
            let distance = learned(3, power, normalize);
            let value = |distance: &MahalanobisDistance| -> Result<Tensor> {
                Ok((distance.matrix(&x, None)? * &weights)?.sum_all()?)
            };
            let gradients = value(&distance)?.backward()?;
            let gradient = flat(gradients.get(distance.factor()).unwrap());
            let start = flat(distance.factor());
            for (k, slope) in gradient.iter().enumerate() {
                let at = |step: f64| -> Result<f64> {
                    let mut moved = start.clone();
                    moved[k] += step;
                    let moved = Tensor::from_vec(moved, (3, 4), &Device::Cpu)?;
                    distance.factor().set(&moved)?;
                    Ok(flat(&value(&distance)?)[0])
                };
                let difference = (at(1e-6)? - at(-1e-6)?) / 2e-6;
                at(0.0)?;
                assert!((difference - slope).abs() < 1e-6 * (1.0 + slope.abs()));
            }
        }
        Ok(())
    }

    #[test]
    fn sizes_types_and_parameters_are_checked() -> Result<()> {
        let new = |config| MahalanobisDistance::new(config, DType::F32, &Device::Cpu);
        let base = MahalanobisDistanceConfig::new(4);
        for (config, wrong) in [
            (MahalanobisDistanceConfig::new(0), "embedding_size"),
            (
                MahalanobisDistanceConfig {
                    rank: Some(5),
                    ..base.clone()
                },
                "rank",
            ),
            (
                MahalanobisDistanceConfig {
                    rank: Some(0),
                    ..base.clone()
                },
                "rank",
            ),
            (
                MahalanobisDistanceConfig {
                    power: 0.0,
                    ..base.clone()
                },
                "power",
            ),
        ] {
            let error = new(config).unwrap_err();
            assert!(matches!(error, Error::InvalidParameter { name, .. } if name == wrong));
        }
        let square = Var::zeros((3, 3), DType::F32, &Device::Cpu)?;
        assert!(matches!(
            MahalanobisDistance::from_factor(base.clone(), square),
            Err(Error::Shape { arg: "factor", .. })
        ));
        let whole = Var::zeros((4, 4), DType::I64, &Device::Cpu)?;
        assert!(matches!(
            MahalanobisDistance::from_factor(base.clone(), whole),
            Err(Error::DType { arg: "factor", .. })
        ));
        let distance = new(base)?;
        let wide = scattered(0.3, 3, 5).to_dtype(DType::F32)?;
        assert!(matches!(
            distance.matrix(&wide, None),
            Err(Error::Shape {
                arg: "embeddings",
                ..
            })
        ));
        assert!(matches!(
            distance.matrix(&scattered(0.3, 3, 4), None),
            Err(Error::DType {
                arg: "embeddings",
                ..
            })
        ));
        Ok(())
    }

    #[cfg(feature = "serde")]
    #[test]
    fn the_embedding_size_alone_is_mandatory() {
        let read = serde_json::from_str::<MahalanobisDistanceConfig>;
        let config = read(r#"{"embedding_size": 4}"#).unwrap();
        assert_eq!(config, MahalanobisDistanceConfig::new(4));
        assert!(read("{}").is_err());
    }
}
