use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Var};
use dml_core::{Dataset, Distance, Error, Examples, IntoLabels, Labels};

use super::*;
use crate::index::FlatIndex;
use crate::inference::MatchFinderConfig;
use crate::inputs::DatasetInputs;

#[derive(Debug)]
struct Euclidean;

impl Distance for Euclidean {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_lp(reference.unwrap_or(query), 2.0)
    }
}

/// Doubles at inference, counts calls, and gives something else in training.
#[derive(Clone, Default)]
struct Doubler(Arc<AtomicUsize>);

impl ModuleT for Doubler {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if train { xs * 0.0 } else { xs * 2.0 }
    }
}

fn rows() -> Tensor {
    Tensor::new(
        &[[3f32, 4.], [0., 1.], [6., 8.], [1., 0.], [0., 2.]],
        &Device::Cpu,
    )
    .unwrap()
}

fn model(
    normalize_embeddings: bool,
    trunk: impl ModuleT + Send + Sync + 'static,
) -> InferenceModel {
    let config = MatchFinderConfig {
        threshold: Some(0.7),
    };
    InferenceModel::new(
        InferenceModelConfig {
            normalize_embeddings,
        },
        trunk,
        MatchFinder::new(config, Euclidean).unwrap(),
        FlatIndex::default(),
    )
}

#[test]
fn networks_run_as_at_inference_one_after_the_other() -> Result<()> {
    let doubler = Doubler::default;
    let raw = model(false, doubler()).with_embedder(doubler());
    let embeddings = raw.get_embeddings(&rows())?;
    assert_eq!(embeddings.to_vec2::<f32>()?[0], [12., 16.]);
    let unit = model(true, doubler()).get_embeddings(&rows())?;
    assert_eq!(unit.to_vec2::<f32>()?[2], [0.6, 0.8]);
    // Nothing of it is in the graph.
    let var = Var::from_tensor(&rows())?;
    assert!(!raw.get_embeddings(&var)?.track_op());
    Ok(())
}

#[test]
fn batches_are_joined_in_order() -> Result<()> {
    let doubler = Doubler::default();
    let model = model(false, doubler.clone());
    let whole = model.get_embeddings(&rows())?.to_vec2::<f32>()?;
    for (batch_size, batches) in [(1, 5), (2, 3), (5, 1), (64, 1)] {
        doubler.0.store(0, Ordering::Relaxed);
        let joined = model.get_embeddings_in_batches(&rows(), batch_size)?;
        assert_eq!(joined.to_vec2::<f32>()?, whole);
        assert_eq!(doubler.0.load(Ordering::Relaxed), batches);
    }
    assert!(matches!(
        model.get_embeddings_in_batches(&rows(), 0),
        Err(Error::InvalidParameter {
            name: "batch_size",
            ..
        })
    ));
    let none = rows().narrow(0, 0, 0)?;
    assert!(matches!(
        model.get_embeddings_in_batches(&none, 1),
        Err(Error::Shape { arg: "inputs", .. })
    ));
    Ok(())
}

#[test]
fn training_fills_the_index_anew_and_adding_adds() -> Result<()> {
    let mut model = model(true, |x: &Tensor| Ok(x.clone()));
    model.add_to_knn(&rows(), 2)?;
    model.train_knn(&rows().narrow(0, 0, 2)?, 64)?;
    assert_eq!(model.index().len(), 2);
    model.add_to_knn(&rows().narrow(0, 3, 1)?, 64)?;
    assert_eq!(model.index().len(), 3);
    // (3, 4) points where (6, 8) does; (1, 0) is next to it, then (0, 1).
    let found = model.get_nearest_neighbors(&rows().narrow(0, 2, 1)?, 3)?;
    assert_eq!(found.indices, [0, 1, 2]);
    assert!(matches!(
        model.get_nearest_neighbors(&rows(), 4),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    // Other rows than those of the index are refused, and it stays.
    assert!(
        model
            .add_to_knn(&Tensor::new(&[[1f32]], &Device::Cpu)?, 1)
            .is_err()
    );
    assert_eq!(model.index().len(), 3);
    Ok(())
}

#[test]
fn what_is_saved_is_found_by_another_model_of_the_same_network() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery.index");
    let turn = || |x: &Tensor| Ok(x.clone());
    let (mut first, mut second) = (model(true, turn()), model(true, turn()));
    first.train_knn(&rows(), 2)?;
    first.save_knn(&path).unwrap();
    second.load_knn(&path).unwrap();
    assert_eq!(
        second.get_nearest_neighbors(&rows(), 3)?,
        first.get_nearest_neighbors(&rows(), 3)?
    );
    // A file that can't be read leaves the index as it was.
    let nowhere = folder.path().join("none");
    assert!(matches!(
        second.load_knn(&nowhere),
        Err(IndexFileError::Io { .. })
    ));
    assert_eq!(second.index().len(), 5);
    Ok(())
}

#[test]
fn data_sets_are_embedded_as_their_rows_are() -> Result<()> {
    let labels = [0i64; 5].into_labels()?;
    let dataset = DatasetInputs::new(Rows(labels));
    let mut model = model(true, |x: &Tensor| Ok(x.clone()));
    let joined = model.get_embeddings_in_batches(&dataset, 2)?;
    let whole = model.get_embeddings(&rows())?;
    assert_eq!(joined.to_vec2::<f32>()?, whole.to_vec2::<f32>()?);
    model.train_knn(&dataset, 3)?;
    model.add_to_knn(&dataset, 64)?;
    assert_eq!(model.index().len(), 10);
    Ok(())
}

/// The rows as a data set.
#[derive(Debug)]
struct Rows(Labels);

impl Dataset for Rows {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn fetch(&self, wanted: &[usize], _seed: u64) -> Result<Examples> {
        let numbers: Vec<u32> = wanted.iter().map(|row| *row as u32).collect();
        let numbers = Tensor::new(numbers, &Device::Cpu)?;
        Examples::new(rows().index_select(&numbers, 0)?, wanted, &self.0)
    }
}

#[test]
fn matches_are_those_of_the_embeddings() -> Result<()> {
    let model = model(true, |x: &Tensor| Ok(x.clone()));
    let matches = model.get_matches(&rows(), None, None)?;
    // Unit rows: (0.6, 0.8) twice, (0, 1) twice, (1, 0); √0.4 = 0.63 apart, (1, 0) √0.8 = 0.89 from the first.
    assert!(matches.pairs.contains(&(0, 1)) && matches.pairs.contains(&(4, 1)));
    assert!(!matches.pairs.contains(&(0, 3)));
    assert!(
        model
            .get_matches(&rows(), None, Some(0.9))?
            .pairs
            .contains(&(0, 3))
    );
    let one_by_one = model.is_match(
        &rows(),
        &rows().narrow(0, 3, 1)?.broadcast_as((5, 2))?,
        Some(0.9),
    )?;
    assert_eq!(one_by_one, [true, false, true, true, false]);
    Ok(())
}
