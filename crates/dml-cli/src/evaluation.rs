//! How good embeddings are: sets of queries, what they look for, and the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::config::MetricName;
use dml::data::{ImageFiles, ImagePreparation, SkippedFile};
use dml::eval::{DatasetInputs, FlatIndex, FlatMetric, embed, query_gallery_relation};
use dml::{Batch, Dataset, Labels, Relation};

use crate::progress::Progress;

/// Queries, and the gallery that they look into; without one, they look for each other.
#[derive(Clone, Debug)]
pub struct EvaluationSet {
    queries: Part,
    gallery: Option<Part>,
    relation: Option<Relation>,
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
            images: None,
            class_names: Vec::new(),
            skipped: Vec::new(),
        }
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

    /// What the set is, in words.
    #[must_use]
    pub fn describe(&self, things: &str) -> String {
        let classes = self.class_names.len();
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
    /// Of the queries, `[rows, dim]`.
    pub queries: Tensor,
    /// Of the queries.
    pub labels: Labels,
    /// Of the queries: files or texts.
    pub names: Arc<[String]>,
    /// Embeddings, labels and names of the gallery.
    pub gallery: Option<(Tensor, Labels, Arc<[String]>)>,
    relation: Option<Relation>,
}

/// Whether a metric is one of all pairs or clusters, which queries among a gallery of their own relation have not.
fn needs_labels(metric: &MetricName) -> bool {
    !matches!(
        metric,
        MetricName::Retrieval(_)
            | MetricName::RankMe
            | MetricName::Uniformity
            | MetricName::PrincipalComponentsFraction(_)
    )
}

impl Embedded {
    /// The queries with what matches them.
    ///
    /// # Errors
    /// Never in practice: the parts were checked.
    pub fn batch(&self) -> dml::Result<Batch> {
        let batch = Batch::new(&self.queries, &self.labels)?;
        let Some((gallery, labels, _)) = &self.gallery else {
            return Ok(batch);
        };
        let batch = batch.with_reference(gallery, labels)?;
        match &self.relation {
            None => Ok(batch),
            Some(relation) => batch.with_relation(relation.clone()),
        }
    }

    /// The metrics that can be computed of this set, by name, in the order of `metrics`.
    ///
    /// # Errors
    /// Embeddings that are not finite.
    pub fn metrics(&self, metrics: &[MetricName]) -> anyhow::Result<Vec<(String, f64)>> {
        let can = |metric: &&MetricName| self.relation.is_none() || !needs_labels(metric);
        let metrics: Vec<MetricName> = metrics.iter().filter(can).copied().collect();
        let index = Arc::new(FlatIndex::new(FlatMetric::Cosine));
        let values = MetricName::evaluate(&metrics, &self.batch()?, index);
        values.context("can't evaluate the embeddings")
    }
}
