//! Collections to and from the files of others.

use std::path::Path;

use candle_core::{DType, Tensor};

use super::error::ExchangeError;
use super::{FaissFlat, faiss, npy};
use crate::index::collection::{Collection, Ids, Items};
use crate::index::{FlatIndex, FlatMetric, KnnIndex};

type Result<T> = std::result::Result<T, ExchangeError>;

impl Collection {
    /// Writes the rows as one array and the ids as another, in the order of [`ids`](Self::ids). Attributes are not written.
    ///
    /// # Errors
    /// [`ExchangeError::Collection`] if the index does not give its rows, else as [`npy::write_rows`] and
    /// [`npy::write_ids`].
    pub fn export_npy(&self, rows: &Path, ids: &Path) -> Result<()> {
        let all = self.all_ids()?;
        npy::write_rows(rows, &self.all_rows(&all)?)?;
        npy::write_ids(ids, &all)
    }

    /// Adds the rows of an array with the ids of another one.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{Collection, FlatIndex, Items};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let (rows, ids) = (folder.path().join("rows.npy"), folder.path().join("ids.npy"));
    /// let row = Tensor::new(&[[1f32, 2.]], &Device::Cpu)?;
    /// let mut collection = Collection::new(FlatIndex::default());
    /// collection.add(Items::new(["a"], &row)?)?;
    /// collection.export_npy(&rows, &ids)?;
    /// let mut other = Collection::new(FlatIndex::default());
    /// other.import_npy(&rows, &ids)?;
    /// assert_eq!(other.get("a")?, collection.get("a")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`npy::read_rows`], [`npy::read_ids`], [`Items::new`] and [`add`](Self::add).
    pub fn import_npy(&mut self, rows: &Path, ids: &Path) -> Result<()> {
        let items = Items::new(npy::read_ids(ids)?, &npy::read_rows(rows)?)?;
        Ok(self.add(items)?)
    }

    /// Writes rows and ids as an `IndexIDMap` over a flat index of faiss, in the order of [`ids`](Self::ids). Attributes are not
    /// written. `metric` is what faiss is to compare by; that of a cosine is the inner product of its rows of length 1.
    ///
    /// # Errors
    /// [`ExchangeError::Collection`] if the index does not give its rows, else as [`faiss::write`].
    pub fn export_faiss(&self, path: &Path, metric: FlatMetric) -> Result<()> {
        let ids = self.all_ids()?;
        let rows = self.all_rows(&ids)?;
        let rows = rows.to_dtype(DType::F32).map_err(dml_core::Error::from)?;
        faiss::write(path, metric, &rows, Some(&ids))
    }

    /// A collection in memory of a flat index of faiss. An index without ids gets the numbers of its rows as ids.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{Collection, FlatMetric};
    /// use dml_eval::index::exchange::faiss;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("rows.faiss");
    /// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
    /// faiss::write(&path, FlatMetric::SquaredEuclidean, &rows, Some(&[7, 9].into()))?;
    /// let collection = Collection::import_faiss(&path)?;
    /// let query = Tensor::new(&[[3f32, 3.]], &Device::Cpu)?;
    /// assert_eq!(collection.search(&query, 1)?[0][0].id, 9.into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`faiss::read`], [`FlatIndex::add`](KnnIndex::add) and [`with_ids`](Self::with_ids).
    pub fn import_faiss(path: &Path) -> Result<Self> {
        let FaissFlat { metric, rows, ids } = faiss::read(path)?;
        let mut index = FlatIndex::new(metric);
        index.add(&rows)?;
        let ids = ids.unwrap_or_else(|| (0..index.len() as u64).collect::<Vec<u64>>().into());
        Ok(Self::with_ids(index, ids)?)
    }

    fn all_ids(&self) -> Result<Ids> {
        Ok(Ids::of(self.ids().map(|id| id.to_id()))?)
    }

    fn all_rows(&self, ids: &Ids) -> Result<Tensor> {
        Ok(self.rows(ids)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::exchange::made_by_others::{NUMBERS, file, kept, rows};

    #[test]
    fn a_collection_goes_out_and_comes_back() {
        let folder = kept();
        let mut collection = Collection::new(FlatIndex::default());
        collection
            .add(Items::new(NUMBERS, &rows()).unwrap())
            .unwrap();
        // An empty slot does not go with the others.
        collection.remove(&[4].into()).unwrap();
        let (row_file, id_file) = (
            folder.path().join("ours-collection.npy"),
            folder.path().join("ours-collection-ids.npy"),
        );
        collection.export_npy(&row_file, &id_file).unwrap();
        let mut other = Collection::new(FlatIndex::default());
        other.import_npy(&row_file, &id_file).unwrap();
        let path = folder.path().join("ours-collection.faiss");
        collection
            .export_faiss(&path, FlatMetric::SquaredEuclidean)
            .unwrap();
        let third = Collection::import_faiss(&path).unwrap();
        for other in [&other, &third] {
            assert!(other.ids().eq(collection.ids()));
            let found = other.search(&rows(), 2).unwrap();
            let found = found.iter().flatten().map(|hit| (hit.id, hit.distance));
            let want = collection.search(&rows(), 2).unwrap();
            assert!(found.eq(want.iter().flatten().map(|hit| (hit.id, hit.distance))));
        }
        assert!(other.import_npy(&row_file, &id_file).is_err());
        let plain = Collection::import_faiss(&file("flat-ip.faiss")).unwrap();
        assert_eq!(
            plain.ids().map(|id| id.to_string()).collect::<String>(),
            "01234"
        );
        let missing = Collection::import_faiss(Path::new("no/such.faiss"));
        assert!(matches!(missing, Err(ExchangeError::Io { .. })));
    }
}
