//! How good embeddings are: sets of queries, what they look for, and the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, bail};
use dml::candle_core::{DType, Tensor};
use dml::config::MetricName;
use dml::data::{Entry, ImageFiles, ImagePair, ImagePreparation, Manifest, PairList, SkippedFile};
use dml::eval::{
    DatasetInputs, FlatIndex, FlatMetric, Verification, embed, fold_accuracies,
    query_gallery_relation,
};
use dml::{Batch, Dataset, Labels, Order, Relation, TensorExt};

use crate::progress::Progress;

/// Queries, and the gallery that they look into; without one, they look for each other.
#[derive(Clone, Debug)]
pub struct EvaluationSet {
    queries: Part,
    gallery: Option<Part>,
    relation: Option<Relation>,
    /// Pairs of queries to verify by a threshold.
    pairs: Option<Arc<PairList>>,
    /// The files of the queries, for pictures.
    images: Option<ImageFiles>,
    class_names: Vec<String>,
    skipped: Vec<SkippedFile>,
}

/// Inputs with their labels and names.
#[derive(Clone, Debug)]
struct Part {
    inputs: DatasetInputs,
    labels: Labels,
    names: Arc<[String]>,
}

impl EvaluationSet {
    /// Images that look for each other, or into a gallery. What a camera has seen does not count for it where all images have
    /// cameras, and no image finds itself.
    ///
    /// # Errors
    /// As [`ImagePreparation::evaluation`].
    pub fn of_images(
        queries: ImageFiles,
        gallery: Option<ImageFiles>,
        preparation: &ImagePreparation,
    ) -> anyhow::Result<Self> {
        let part = |images: &ImageFiles| -> anyhow::Result<Part> {
            let names = images.paths().iter().map(|path| path.display().to_string());
            Ok(Part {
                inputs: DatasetInputs::new(preparation.evaluation(images.clone())?),
                labels: Dataset::labels(images).clone(),
                names: names.collect(),
            })
        };
        let relation = gallery
            .as_ref()
            .map(|gallery| relation(&queries, gallery))
            .transpose()?;
        let mut skipped = queries.skipped().to_vec();
        skipped.extend(gallery.iter().flat_map(|own| own.skipped().iter().cloned()));
        Ok(Self {
            class_names: class_names(&queries),
            queries: part(&queries)?,
            gallery: gallery.as_ref().map(part).transpose()?,
            relation,
            pairs: None,
            images: Some(queries),
            skipped,
        })
    }

    /// Labelled inputs that look for each other, such as texts; labels are places of `class_names`.
    #[must_use]
    pub fn of_rows(
        inputs: DatasetInputs,
        labels: Labels,
        names: Arc<[String]>,
        class_names: Vec<String>,
    ) -> Self {
        let present = |place: &i64| class_names.get(usize::try_from(*place).ok()?).cloned();
        let mut classes = labels.as_slice().to_vec();
        classes.sort_unstable();
        classes.dedup();
        Self {
            class_names: classes.iter().filter_map(present).collect(),
            queries: Part {
                inputs,
                labels,
                names,
            },
            gallery: None,
            relation: None,
            pairs: None,
            images: None,
            skipped: Vec::new(),
        }
    }

    /// Inputs whose row i looks for row i of the gallery, such as questions and answers.
    #[must_use]
    pub fn of_pairs(
        queries: DatasetInputs,
        gallery: DatasetInputs,
        labels: Labels,
        names: [Arc<[String]>; 2],
    ) -> Self {
        let [of_queries, of_gallery] = names;
        let part = |inputs, names| Part {
            inputs,
            labels: labels.clone(),
            names,
        };
        Self {
            queries: part(queries, of_queries),
            gallery: Some(part(gallery, of_gallery)),
            relation: None,
            pairs: None,
            images: None,
            class_names: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Pairs of images, each image embedded once. Those of a table have no classes, and no pictures are drawn of them.
    ///
    /// # Errors
    /// Images that can't be read: none can be left out of a list of pairs.
    pub fn of_image_pairs(
        manifest: &Manifest,
        list: &PairList,
        preparation: &ImagePreparation,
    ) -> anyhow::Result<Self> {
        let pairs = list.pairs.iter();
        let rows: BTreeSet<usize> = pairs.flat_map(|pair| [pair.first, pair.second]).collect();
        let entries: Vec<Entry> = rows
            .iter()
            .map(|&row| manifest.entries()[row].clone())
            .collect();
        let manifest = Manifest::new(manifest.source(), entries)?;
        let images = manifest.images(preparation.evaluation_files().clone())?;
        if let Some(skipped) = images.skipped().first() {
            let (path, reason) = (skipped.path.display(), &skipped.reason);
            bail!("{path}: expected an image that can be read, since pairs need it: {reason}");
        }
        let places: BTreeMap<usize, usize> = rows.into_iter().zip(0..).collect();
        let pairs = list.pairs.iter().map(|pair| ImagePair {
            first: places[&pair.first],
            second: places[&pair.second],
            same: pair.same,
        });
        let pairs = PairList {
            pairs: pairs.collect(),
            folds: list.folds,
        };
        let has_classes = !manifest.class_names().is_empty();
        let set = Self::of_images(images, None, preparation)?;
        Ok(Self {
            images: set.images.filter(|_| has_classes),
            pairs: Some(Arc::new(pairs)),
            ..set
        })
    }

    /// The same where a query has several classes: it looks for whatever shares one of them.
    #[must_use]
    pub fn with_label_sets(mut self, sets: &[Vec<i64>]) -> Self {
        self.relation = Some(Relation::label_sets(sets, None));
        self
    }

    /// Number of queries, and of the gallery's rows.
    #[must_use]
    pub fn counts(&self) -> (usize, Option<usize>) {
        let gallery = self.gallery.as_ref();
        (
            self.queries.labels.len(),
            gallery.map(|own| own.labels.len()),
        )
    }

    /// The names of the classes of the queries.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Files that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }

    /// The files of the queries, if they are images.
    #[must_use]
    pub fn images(&self) -> Option<&ImageFiles> {
        self.images.as_ref()
    }

    /// Whether the set is a list of pairs to verify, without classes.
    #[must_use]
    pub fn has_pairs(&self) -> bool {
        self.pairs.is_some()
    }

    /// What the set is, in words.
    #[must_use]
    pub fn describe(&self, things: &str) -> String {
        let classes = self.class_names.len();
        if let Some(list) = &self.pairs {
            let (pairs, folds) = (list.pairs.len(), list.folds);
            let rows = self.queries.labels.len();
            let in_folds = match folds {
                0 | 1 => String::new(),
                folds => format!(" in {folds} folds"),
            };
            return format!("{pairs} pairs of {rows} {things}{in_folds}");
        }
        match self.counts() {
            (queries, Some(gallery)) => format!("{queries} queries among {gallery} {things}"),
            (rows, None) => format!("{rows} {things} of {classes} classes"),
        }
    }

    /// Embeds queries and gallery.
    ///
    /// # Errors
    /// Inputs that can't be read; those of `network`.
    pub fn embed(
        &self,
        batch: usize,
        things: &str,
        mut network: impl FnMut(&Tensor) -> dml::Result<Tensor>,
    ) -> anyhow::Result<Embedded> {
        let (queries, gallery) = self.counts();
        let total = queries + gallery.unwrap_or(0);
        let mut progress = Progress::new(&format!("{things} embedded"), total);
        let mut before = 0;
        let mut part = |own: &Part| -> anyhow::Result<Tensor> {
            let done = |rows: usize| progress.set((before + rows) as u64, "");
            let embeddings = embed(&own.inputs, batch, &mut network, done)?;
            before += own.labels.len();
            Ok(embeddings)
        };
        Ok(Embedded {
            queries: part(&self.queries)?,
            labels: self.queries.labels.clone(),
            names: self.queries.names.clone(),
            gallery: match &self.gallery {
                None => None,
                Some(own) => Some((part(own)?, own.labels.clone(), own.names.clone())),
            },
            relation: self.relation.clone(),
            pairs: self.pairs.clone(),
        })
    }
}

/// Which rows of a gallery match: same class, and not by the same camera, or the same file.
fn relation(queries: &ImageFiles, gallery: &ImageFiles) -> anyhow::Result<Relation> {
    let labels = |images: &ImageFiles| Dataset::labels(images).as_slice().to_vec();
    let (of_queries, of_gallery) = (labels(queries), labels(gallery));
    if let (Some(seen_by), Some(also_by)) = (queries.cameras(), gallery.cameras()) {
        let relation = query_gallery_relation((&of_queries, seen_by), (&of_gallery, also_by));
        return Ok(relation?);
    }
    // Without cameras, every file is a camera of its own.
    let numbers: BTreeMap<_, i64> = gallery.paths().iter().zip(0..).collect();
    let own = |images: &ImageFiles| -> Vec<i64> {
        let number = |path| numbers.get(path).copied().unwrap_or(-1);
        images.paths().iter().map(number).collect()
    };
    let relation =
        query_gallery_relation((&of_queries, &own(queries)), (&of_gallery, &own(gallery)));
    Ok(relation?)
}

fn class_names(images: &ImageFiles) -> Vec<String> {
    let labels = Dataset::labels(images).as_slice().iter().copied();
    let mut present: Vec<i64> = labels.filter(|label| *label >= 0).collect();
    present.sort_unstable();
    present.dedup();
    let name = |label: &i64| images.class_names().get(*label as usize).cloned();
    present.iter().filter_map(name).collect()
}

/// The embeddings of a set.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Embeddings of the queries, `[rows, dim]`.
    pub queries: Tensor,
    /// Labels of the queries.
    pub labels: Labels,
    /// Names of the queries: files or texts.
    pub names: Arc<[String]>,
    /// Embeddings, labels and names of the gallery.
    pub gallery: Option<(Tensor, Labels, Arc<[String]>)>,
    relation: Option<Relation>,
    pairs: Option<Arc<PairList>>,
}

impl Embedded {
    /// The queries with what matches them.
    ///
    /// # Errors
    /// Never in practice: the parts were checked.
    pub fn batch(&self) -> dml::Result<Batch> {
        let mut batch = Batch::new(&self.queries, &self.labels)?;
        if let Some((gallery, labels, _)) = &self.gallery {
            batch = batch.with_reference(gallery, labels)?;
        }
        match &self.relation {
            None => Ok(batch),
            Some(relation) => batch.with_relation(relation.clone()),
        }
    }

    /// Whether a metric can be computed: rows of several classes are no clusters, queries among a gallery of their own
    /// relation are no pairs of each other, and pairs have thresholds alone.
    fn can(&self, metric: &MetricName) -> bool {
        if self.pairs.is_some() {
            return matches!(metric, MetricName::Verification(_));
        }
        match (&self.relation, &self.gallery) {
            (None, None) => true,
            (Some(_), None) => !matches!(metric, MetricName::Clustering(_)),
            (_, Some(_)) => matches!(
                metric,
                MetricName::Retrieval(_)
                    | MetricName::RankMe
                    | MetricName::Uniformity
                    | MetricName::PrincipalComponentsFraction(_)
            ),
        }
    }

    /// The metrics that can be computed of this set, by name, in the order of `metrics`. Pairs in folds have two more: the
    /// accuracy on each fold at the threshold of the others, and the standard error of its mean.
    ///
    /// # Errors
    /// Embeddings that are not finite, pairs of one kind alone.
    pub fn metrics(&self, metrics: &[MetricName]) -> anyhow::Result<Vec<(String, f64)>> {
        let metrics = metrics.iter().filter(|metric| self.can(metric)).copied();
        let metrics: Vec<MetricName> = metrics.collect();
        let values = match &self.pairs {
            Some(list) => self.of_pairs(list, &metrics),
            None => {
                let index = Arc::new(FlatIndex::new(FlatMetric::Cosine));
                MetricName::evaluate(&metrics, &self.batch()?, index).map_err(Into::into)
            }
        };
        values.context("can't evaluate the embeddings")
    }

    fn of_pairs(
        &self,
        list: &PairList,
        metrics: &[MetricName],
    ) -> anyhow::Result<Vec<(String, f64)>> {
        let rows = self.queries.normalize_rows(2.0)?;
        let side = |row: fn(&ImagePair) -> usize| -> anyhow::Result<Tensor> {
            let rows_of = list.pairs.iter().map(|pair| row(pair) as u32);
            let places = Tensor::new(rows_of.collect::<Vec<u32>>(), rows.device())?;
            Ok(rows.index_select(&places, 0)?)
        };
        let products = (side(|pair| pair.first)? * side(|pair| pair.second)?)?.sum(1)?;
        let cosines: Vec<f64> = products.to_dtype(DType::F64)?.to_vec1()?;
        let same: Vec<bool> = list.pairs.iter().map(|pair| pair.same).collect();
        let verification = Verification::new(&cosines, &same, Order::LargerIsCloser)?;
        let mut values = Vec::new();
        for metric in metrics {
            if let MetricName::Verification(own) = metric {
                values.push((metric.to_string(), own.of(&verification)?));
            }
        }
        if list.folds > 1 {
            let folds = fold_accuracies(&cosines, &same, Order::LargerIsCloser, list.folds)?;
            values.push(("fold_accuracy".to_owned(), folds.mean));
            let error = folds.standard_error;
            values.push(("fold_accuracy_standard_error".to_owned(), error));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
