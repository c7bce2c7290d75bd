#![doc = include_str!("../README.md")]

mod error;
pub mod faiss;
#[cfg(test)]
mod made_by_others;
pub mod npy;
#[cfg(feature = "parquet")]
pub mod parquet;

pub use error::ExchangeError;
pub use faiss::FaissFlat;

/// All ids, in the order of the items.
fn ids_of(collection: &dml_eval::Collection) -> error::Result<dml_eval::Ids> {
    Ok(dml_eval::Ids::of(
        collection.ids().map(dml_eval::IdRef::to_id),
    )?)
}

#[cfg(test)]
mod tests;
