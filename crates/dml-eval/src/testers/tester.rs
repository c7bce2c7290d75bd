//! What all testers have in common: embedding splits, and pairing queries with references.

use candle_core::{ModuleT, Tensor};
use dml_core::{Batch, Error, IntoLabels, Labels, Result, TensorExt, check, no_grad};

use super::report::{LevelMetrics, LevelScores, SplitAccuracies};
use super::splits::TestSplit;
use crate::accuracy::{Accuracies, AccuracyCalculator, with_queries_among_references};
use crate::inputs::{Inputs, embedded};
use crate::projection::Pca;

/// Levels of labels to measure; 0 is the finest.
///
/// ```
/// use dml_eval::{LabelLevels, TesterConfig};
///
/// let config = TesterConfig { label_hierarchy_level: LabelLevels::All, ..Default::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LabelLevels {
    /// One.
    One(usize),
    /// Some.
    Some(Vec<usize>),
    /// All that the splits have.
    All,
}

dml_core::config! {
    /// Configuration of the testers, by PML's names.
    #[derive(Eq)]
    pub struct TesterConfig {
        /// Whether embeddings are divided by their Euclidean norm, after the PCA if there is one. Default `true`.
        pub normalize_embeddings: bool = true,
        /// Whether to measure the trunk's output and skip the embedder. Default `false`.
        pub use_trunk_output: bool = false,
        /// Number of inputs in a batch; 1 to 4,294,967,295. Default 32.
        pub batch_size: usize = 32,
        /// Number of principal components of the standardised embeddings to keep. Default: no PCA.
        pub pca: Option<usize> = None,
        /// Levels of labels to measure. Default: the finest.
        pub label_hierarchy_level: LabelLevels = LabelLevels::One(0),
    }
}

/// Query splits with their reference splits; `None` is each split by itself.
pub type SplitsToEval<'a> = Option<&'a [(&'a str, &'a [&'a str])]>;

/// Embeddings of a split.
struct Embedded<'a> {
    split: &'a TestSplit,
    first: Tensor,
    /// Those of the second inputs, with two streams.
    second: Option<Tensor>,
}

impl Embedded<'_> {
    /// The rows that queries are searched among.
    fn reference(&self) -> &Tensor {
        self.second.as_ref().unwrap_or(&self.first)
    }

    fn map(self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self {
            first: change(&self.first)?,
            second: self.second.as_ref().map(&change).transpose()?,
            ..self
        })
    }
}

/// One query split beside its references, in one piece.
pub(super) struct Pairing {
    pub(super) query: Tensor,
    pub(super) query_labels: Vec<Labels>,
    pub(super) reference: Tensor,
    pub(super) reference_labels: Vec<Labels>,
    /// Whether the references begin with the queries.
    pub(super) includes_query: bool,
}

impl Pairing {
    /// The metrics at one level.
    pub(super) fn accuracy(
        &self,
        calculator: &AccuracyCalculator,
        level: usize,
    ) -> Result<Accuracies> {
        let (query, reference) = (&self.query_labels[level..], &self.reference_labels[level..]);
        let batch = Batch::new(&self.query, &query[0])?;
        let mut batch = batch.with_reference(&self.reference, &reference[0])?;
        if let Some(relation) = calculator.relation(query, reference)? {
            batch = batch.with_relation(relation)?;
        }
        if self.includes_query {
            batch = with_queries_among_references(batch)?;
        }
        calculator.measure(&batch)
    }
}

/// Embeds, pairs, and hands each pairing to `measure`.
#[derive(Clone, Debug)]
pub(super) struct Tester {
    pub(super) config: TesterConfig,
    pub(super) calculator: AccuracyCalculator,
}

/// Declares a tester: what its pairings measure, and whether queries are first and references second inputs.
macro_rules! tester {
    (
        $(#[$of_type:meta])*
        pub struct $Name:ident, $two_streams:literal, $measure:expr;
        $(#[$of_test:meta])*
        test
    ) => {
        $(#[$of_type])*
        #[derive(Clone, Debug)]
        pub struct $Name(Tester);

        impl $Name {
            /// # Errors
            /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is outside of its range.
            pub fn new(
                config: $crate::testers::TesterConfig,
                calculator: $crate::accuracy::AccuracyCalculator,
            ) -> Result<Self> {
                Ok(Self(Tester::new(config, calculator)?))
            }

            $(#[$of_test])*
            pub fn test(
                &self,
                splits: &[$crate::testers::TestSplit],
                splits_to_eval: $crate::testers::SplitsToEval<'_>,
                trunk: &dyn ModuleT,
                embedder: Option<&dyn ModuleT>,
            ) -> Result<Vec<$crate::testers::SplitAccuracies>> {
                let networks = (trunk, embedder);
                let measure = |pairing: &Pairing| $measure(&self.0, pairing);
                self.0.test(splits, splits_to_eval, networks, $two_streams, measure)
            }
        }
    };
}
pub(super) use tester;

/// The trunk and the embedder.
type Networks<'a> = (&'a dyn ModuleT, Option<&'a dyn ModuleT>);

impl Tester {
    pub(super) fn new(config: TesterConfig, calculator: AccuracyCalculator) -> Result<Self> {
        check::at_least_one("batch_size", config.batch_size)?;
        if let Some(components) = config.pca {
            check::at_least_one("pca", components)?;
        }
        Ok(Self { config, calculator })
    }

    /// The report of every pair of a query split and its references, measured level by level. With `two_streams`, the first
    /// inputs of a split are the queries, and the second ones the references.
    pub(super) fn test(
        &self,
        splits: &[TestSplit],
        asked: SplitsToEval<'_>,
        networks: Networks<'_>,
        two_streams: bool,
        measure: impl Fn(&Pairing) -> Result<Vec<LevelMetrics>>,
    ) -> Result<Vec<SplitAccuracies>> {
        let pairs = pairs(splits, asked)?;
        let is_alone = |(query, references): &Pair| *references == [query.as_str()];
        let reason = "the first inputs of a split are searched for among its second ones: the only reference is the \
                         query split";
        let fits = !two_streams || pairs.iter().all(is_alone);
        check::supported(fits, "GlobalTwoStreamEmbeddingSpaceTester", reason)?;
        let embedded = self.embed(splits, &pairs, networks, two_streams)?;
        let report = |(query, references): &Pair| {
            let levels = measure(&pairing(&embedded, query, references)?)?;
            Ok(SplitAccuracies::new(query, references, levels))
        };
        pairs.iter().map(report).collect()
    }

    /// The embeddings of those splits that are named.
    fn embed<'a>(
        &self,
        splits: &'a [TestSplit],
        pairs: &[Pair],
        networks: Networks<'_>,
        two_streams: bool,
    ) -> Result<Vec<Embedded<'a>>> {
        let is_query = |name: &String| pairs.iter().any(|(query, _)| query == name);
        let is_reference = |name: &String| {
            pairs
                .iter()
                .any(|(_, references)| references.contains(name))
        };
        let mut embedded = Vec::new();
        for split in splits {
            if !is_query(&split.name) && !is_reference(&split.name) {
                continue;
            }
            let second = match (&split.second, two_streams) {
                (Some(inputs), true) => Some(self.embed_inputs(&**inputs, networks)?),
                (None, true) => {
                    return Err(Error::missing(
                        "GlobalTwoStreamEmbeddingSpaceTester",
                        "second inputs of every split",
                    ));
                }
                (_, false) => None,
            };
            embedded.push(Embedded {
                split,
                first: self.embed_inputs(&*split.inputs, networks)?,
                second,
            });
        }
        if let Some(components) = self.config.pca {
            let rows: Vec<&Tensor> = embedded
                .iter()
                .filter(|embedded| is_reference(&embedded.split.name))
                .flat_map(|embedded| std::iter::once(&embedded.first).chain(&embedded.second))
                .collect();
            let pca = Pca::fit(&Tensor::cat(&rows, 0)?, components, true)?;
            let embedded_ones = embedded.into_iter();
            let projected = embedded_ones.map(|embedded| embedded.map(|rows| pca.transform(rows)));
            embedded = projected.collect::<Result<_>>()?;
        }
        if self.config.normalize_embeddings {
            let embedded_ones = embedded.into_iter();
            let normalized =
                embedded_ones.map(|embedded| embedded.map(|rows| rows.normalize_rows(2.0)));
            embedded = normalized.collect::<Result<_>>()?;
        }
        Ok(embedded)
    }

    fn embed_inputs(&self, inputs: &dyn Inputs, (trunk, embedder): Networks<'_>) -> Result<Tensor> {
        let batch_size = self.config.batch_size;
        embedded("inputs of a split", inputs, batch_size, |batch| {
            no_grad(|| {
                let mut rows = trunk.forward_t(batch, false)?;
                if let (Some(embedder), false) = (embedder, self.config.use_trunk_output) {
                    rows = embedder.forward_t(&rows, false)?;
                }
                Ok(rows.detach())
            })
        })
    }

    /// The metrics of every level to measure.
    pub(super) fn by_level(&self, pairing: &Pairing) -> Result<Vec<LevelMetrics>> {
        let of_level = |level| {
            let accuracies = pairing.accuracy(&self.calculator, level)?;
            let values = accuracies.iter();
            Ok(LevelMetrics {
                level,
                values: values
                    .map(|score| (score.metric.clone(), score.value))
                    .collect(),
                scores: vec![LevelScores {
                    level,
                    parent: None,
                    accuracies,
                }],
            })
        };
        let levels = self.levels(pairing.query_labels.len())?;
        levels.into_iter().map(of_level).collect()
    }

    /// The levels to measure, of those `available`.
    pub(super) fn levels(&self, available: usize) -> Result<Vec<usize>> {
        let levels = match &self.config.label_hierarchy_level {
            LabelLevels::One(level) => vec![*level],
            LabelLevels::Some(levels) => levels.clone(),
            LabelLevels::All => (0..available).collect(),
        };
        check::indices("label_hierarchy_level", levels.iter().copied(), available)?;
        Ok(levels)
    }
}

/// A query split and its reference splits, by name.
type Pair = (String, Vec<String>);

/// Queries and references by name, the query split first among its references if it is one of them.
fn pairs(splits: &[TestSplit], asked: SplitsToEval<'_>) -> Result<Vec<Pair>> {
    let pairs: Vec<Pair> = match asked {
        None => {
            let itself = |split: &TestSplit| (split.name.clone(), vec![split.name.clone()]);
            splits.iter().map(itself).collect()
        }
        Some(asked) => asked
            .iter()
            .map(|(query, references)| {
                let itself = references.iter().filter(|name| *name == query);
                let others = references.iter().filter(|name| *name != query);
                let references = itself.take(1).chain(others);
                let references = references.map(|name| (*name).to_owned()).collect();
                ((*query).to_owned(), references)
            })
            .collect(),
    };
    let known = |name: &String| splits.iter().any(|split| split.name == *name);
    let all_known = pairs
        .iter()
        .all(|(query, references)| known(query) && references.iter().all(known));
    let reason = "every query split needs a reference split, and each must be one that is given";
    let has_reference = pairs.iter().all(|(_, references)| !references.is_empty());
    check::supported(all_known && has_reference, "splits_to_eval", reason)?;
    Ok(pairs)
}

/// A query split with its references, put together.
fn pairing(embedded: &[Embedded<'_>], query: &str, references: &[String]) -> Result<Pairing> {
    let find = |name: &str| {
        let found = embedded.iter().find(|embedded| embedded.split.name == name);
        found.ok_or(Error::missing("tester", "every split that is named"))
    };
    let own = find(query)?;
    let others = references
        .iter()
        .map(|name| find(name))
        .collect::<Result<Vec<_>>>()?;
    let levels = others
        .iter()
        .map(|embedded| embedded.split.levels.len())
        .fold(own.split.levels.len(), usize::min);
    let reference_labels = (0..levels).map(|level| {
        let labels = others
            .iter()
            .flat_map(|other| other.split.levels[level].as_slice());
        labels.copied().collect::<Vec<i64>>().into_labels()
    });
    let rows: Vec<&Tensor> = others.iter().map(|other| other.reference()).collect();
    Ok(Pairing {
        query: own.first.clone(),
        query_labels: own.split.levels[..levels].to_vec(),
        reference: Tensor::cat(&rows, 0)?,
        reference_labels: reference_labels.collect::<Result<_>>()?,
        includes_query: own.second.is_none() && references.iter().any(|name| name == query),
    })
}
