//! Projections by name.

use candle_core::Tensor;
use dml_eval::{Pca, TSne, TSneConfig};
use serde_json::json;

use super::{ConfigError, registry};

registry! {
    /// What places embeddings in fewer dimensions.
    pub enum ProjectionConfig {
        PCA(PcaConfig),
        TSne(TSneConfig) {
            examples: |_| json!([{"perplexity": 1.5, "iterations": 20}]),
        },
    }
}

dml_core::config! {
    serde always:
    /// The first principal components.
    #[derive(Eq)]
    pub struct PcaConfig {
        /// How many are kept; from 1 to the smaller of rows and columns. At most 4,294,967,295. Default 2.
        pub components: usize = 2,
        /// Whether columns are divided by their standard deviation first. Default `false`.
        pub standardize: bool = false,
    }
}

impl ProjectionConfig {
    /// The projection.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Projection, ConfigError> {
        Ok(match self {
            Self::PCA(config) => {
                dml_core::check::at_least_one("components", config.components)?;
                Projection::Pca(config.clone())
            }
            Self::TSne(config) => Projection::TSne(TSne::new(config.clone())?),
        })
    }
}

/// A projection that is ready.
#[derive(Clone, Debug)]
pub enum Projection {
    /// Along the directions in which rows vary most.
    Pca(PcaConfig),
    /// Near what is near.
    TSne(TSne),
}

impl Projection {
    /// Where the rows are placed, `[rows, components]`.
    ///
    /// # Errors
    /// As [`Pca::fit`] and [`TSne::fit`].
    pub fn fit_transform(&self, rows: &Tensor) -> dml_core::Result<Tensor> {
        match self {
            Self::Pca(config) => {
                Pca::fit(rows, config.components, config.standardize)?.transform(rows)
            }
            Self::TSne(projection) => projection.fit(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_place_rows() {
        let rows: Vec<f32> = (0..36).map(|i| ((i * i) % 17) as f32).collect();
        let rows = Tensor::from_vec(rows, (12, 3), &Device::Cpu).unwrap();
        for (json, width) in [
            (
                r#"{"name": "PCA", "components": 1, "standardize": true}"#,
                1,
            ),
            (r#"{"name": "TSne", "perplexity": 2, "iterations": 10}"#, 2),
        ] {
            let projection = ProjectionConfig::from_json(json).unwrap().build().unwrap();
            let places = projection.fit_transform(&rows).unwrap();
            assert_eq!(places.dims(), [12, width], "{json}");
        }
        for json in [
            r#"{"name": "PCA", "components": 0}"#,
            r#"{"name": "TSne", "perplexity": 0.5}"#,
        ] {
            let config = ProjectionConfig::from_json(json).unwrap();
            assert!(config.build().is_err(), "{json}");
        }
        assert!(ProjectionConfig::from_json(r#"{"name": "PCA", "n": 1}"#).is_err());
    }
}
