//! Re-rankings by name.

use std::sync::Arc;

use candle_core::Tensor;
use dml_eval::{
    FlatIndex, FlatMetric, KReciprocal, KReciprocalConfig, KnnIndex, Neighbors, QueryExpansion,
    QueryExpansionConfig,
};

use super::{ConfigError, registry};

registry! {
    /// What ranks a gallery for the second time.
    pub enum RerankConfig {
        KReciprocal(KReciprocalConfig),
        QueryExpansion(QueryExpansionConfig),
    }
}

impl RerankConfig {
    /// The re-ranking.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Rerank, ConfigError> {
        Ok(match self {
            Self::KReciprocal(config) => {
                Rerank::KReciprocal(Arc::new(KReciprocal::new(config.clone())?))
            }
            Self::QueryExpansion(config) => {
                Rerank::QueryExpansion(Arc::new(QueryExpansion::new(config.clone())?))
            }
        })
    }
}

/// A re-ranking that is ready.
#[derive(Clone, Debug)]
pub enum Rerank {
    /// By reciprocal neighbours.
    KReciprocal(Arc<KReciprocal>),
    /// By queries moved towards what they find.
    QueryExpansion(Arc<QueryExpansion>),
}

impl Rerank {
    /// The `k` closest of the gallery for every query, ranked for the second time.
    ///
    /// # Errors
    /// As [`KReciprocal::search`] and [`QueryExpansion::expand`].
    pub fn search(
        &self,
        queries: &Tensor,
        gallery: &Tensor,
        k: usize,
    ) -> dml_core::Result<Neighbors> {
        match self {
            Self::KReciprocal(reciprocal) => reciprocal.search(queries, gallery, k),
            Self::QueryExpansion(expansion) => {
                let mut index = FlatIndex::new(FlatMetric::Cosine);
                index.add(gallery)?;
                index.search(&expansion.expand(queries, gallery)?, k)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn both_find_what_is_there() {
        let gallery = Tensor::new(&[[1f32, 0.1], [0., 1.], [1., 0.]], &Device::Cpu).unwrap();
        let query = Tensor::new(&[[1f32, 0.02]], &Device::Cpu).unwrap();
        for json in [
            r#"{"name": "KReciprocal", "k1": 2, "k2": 1, "lambda": 0.5}"#,
            r#"{"name": "QueryExpansion", "neighbors": 2, "alpha": 1}"#,
        ] {
            let rerank = RerankConfig::from_json(json).unwrap().build().unwrap();
            let found = rerank.search(&query, &gallery, 3).unwrap();
            assert_eq!(found.indices[2], 1, "{json}");
        }
        assert!(RerankConfig::from_json(r#"{"name": "KReciprocal", "k": 2}"#).is_err());
        let zero = RerankConfig::from_json(r#"{"name": "KReciprocal", "k1": 0}"#).unwrap();
        assert!(zero.build().is_err());
    }
}
