//! Tables of texts: labelled ones, and pairs that belong together.
//!
//! A table of pairs has two columns of texts, whose names `data.pairs` gives: question and answer, anchor and positive. Each
//! pair is a class of its own, and its second text is what the first one looks for. Other tables have the columns `text` and
//! `label`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use dml::data::{Manifest, PairColumns, PairTable, PairTableConfig, Subset, TokenDataset};
use dml::eval::DatasetInputs;
use dml::models::text::TextTokenizer;
use dml::{Dataset, IntoLabels, Labels};

use super::{HeldOutRows, RunData};
use crate::evaluation::EvaluationSet;
use crate::network::TextNetwork;
use crate::settings::Settings;

/// Texts to learn from, and what the result is judged by.
#[derive(Debug)]
pub struct TextData {
    /// Texts to learn from, with labels from 0 without gaps; two views where they are pairs.
    pub train: Subset<TokenDataset>,
    /// Whether each row is a pair.
    pub is_pairs: bool,
    /// Everything else.
    pub run: RunData,
}

/// The rows of a table.
struct Texts {
    /// One list, or two for pairs.
    views: Vec<Vec<String>>,
    labels: Vec<i64>,
    /// Of the labels; none for pairs.
    class_names: Vec<String>,
}

impl Texts {
    fn read(path: &Path, split: Option<&str>, pairs: Option<&[String; 2]>) -> anyhow::Result<Self> {
        match pairs {
            Some([first, second]) => {
                let columns = PairColumns {
                    first: first.clone(),
                    second: second.clone(),
                    ..PairColumns::default()
                };
                let config = PairTableConfig {
                    columns,
                    ..PairTableConfig::default()
                };
                let table = PairTable::read_with(path, &config)?;
                let table = split.map_or(Ok(table.clone()), |name| table.split(name))?;
                let kept = table.pairs().iter().filter(|pair| pair.same != Some(false));
                let (first, second): (Vec<String>, Vec<String>) = kept
                    .map(|pair| (pair.first.clone(), pair.second.clone()))
                    .unzip();
                Ok(Self {
                    labels: (0..first.len() as i64).collect(),
                    views: vec![first, second],
                    class_names: Vec::new(),
                })
            }
            None => {
                let table = Manifest::read(path)?;
                let names = table.class_names().to_vec();
                let table = split.map_or(Ok(table.clone()), |name| table.split(name))?;
                let label = |name: &String| names.partition_point(|own| own < name) as i64;
                let labels = table
                    .entries()
                    .iter()
                    .map(|entry| label(&entry.label))
                    .collect();
                let text = |(row, entry): (usize, &dml::data::Entry)| {
                    let text = entry.text.clone();
                    text.with_context(|| format!("{}: row {} has no text", path.display(), row + 1))
                };
                let texts = table.entries().iter().enumerate().map(text);
                Ok(Self {
                    views: vec![texts.collect::<anyhow::Result<_>>()?],
                    labels,
                    class_names: names,
                })
            }
        }
    }

    fn tokens(&self, tokenizer: &TextTokenizer, pad: u32) -> anyhow::Result<TokenDataset> {
        let encode = |texts: &Vec<String>| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            tokenizer.encode_each(&texts)
        };
        let views = self.views.iter().map(encode).collect::<Result<_, _>>()?;
        Ok(TokenDataset::with_views(
            views,
            pad,
            self.labels.as_slice(),
        )?)
    }

    /// The set of some rows.
    fn set(&self, tokens: &TokenDataset, rows: Vec<usize>) -> anyhow::Result<EvaluationSet> {
        let names = |view: usize| -> Arc<[String]> {
            rows.iter()
                .map(|&row| self.views[view][row].clone())
                .collect()
        };
        let of_rows = Subset::new(tokens.clone(), rows.clone())?;
        let labels = of_rows.labels().clone();
        let inputs = DatasetInputs::new(of_rows);
        Ok(match self.views.len() {
            1 => EvaluationSet::of_rows(inputs, labels, names(0), self.class_names.clone()),
            _ => {
                let second = inputs.clone().with_view(1);
                EvaluationSet::of_pairs(inputs, second, labels, [names(0), names(1)])
            }
        })
    }
}

impl TextData {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Tables that can't be read, classes that there are not, and too few rows to learn from.
    pub fn open(settings: &Settings, network: &TextNetwork) -> anyhow::Result<Self> {
        let data = &settings.data;
        let pairs = data.pairs.as_ref();
        let pad = network.encoder.network().pad_token_id();
        let path = data.train.as_deref().unwrap_or(Path::new(""));
        let cite = |field: &str| settings.cite(field);
        let whole = Texts::read(path, data.train_split.as_deref(), pairs)
            .with_context(|| cite("data.train"))?;
        let tokens = whole.tokens(&network.tokenizer, pad)?;
        let labels = whole.labels.as_slice().into_labels()?;
        let held = HeldOutRows::of(settings, &labels, &whole.class_names)?;
        let of = |rows: Vec<usize>, field: &str, path: Option<&Path>, split: Option<&str>| {
            if !rows.is_empty() {
                return whole.set(&tokens, rows).map(Some);
            }
            if path.is_none() && split.is_none() {
                return Ok(None);
            }
            let source = path.or(data.train.as_deref()).unwrap_or(Path::new(""));
            let read = || -> anyhow::Result<EvaluationSet> {
                let texts = Texts::read(source, split, pairs)?;
                let tokens = texts.tokens(&network.tokenizer, pad)?;
                texts.set(&tokens, (0..texts.labels.len()).collect())
            };
            read().with_context(|| cite(field)).map(Some)
        };
        let test = of(
            held.test,
            "data.test",
            data.test.as_deref(),
            data.test_split.as_deref(),
        )?;
        let validation = of(
            held.validation,
            "data.validation",
            data.validation.as_deref(),
            data.validation_split.as_deref(),
        )?;
        let rows = held.train.len();
        let train = Subset::new(tokens, held.train)?;
        let count = train.classes().len();
        if count < 2 {
            bail!(
                "{}: expected at least 2 {} to learn from, got {count}",
                cite("data.train"),
                if pairs.is_some() { "pairs" } else { "classes" }
            );
        }
        let classes = train.classes();
        let name = |label: &i64| whole.class_names.get(*label as usize).cloned();
        Ok(Self {
            is_pairs: pairs.is_some(),
            train: train.with_dense_labels()?,
            run: RunData {
                train: match pairs {
                    Some(_) => format!("{rows} pairs of texts"),
                    None => format!("{rows} texts of {count} classes"),
                },
                rows,
                // Pairs are as many classes, and have no names.
                classes: match pairs {
                    Some(_) => Vec::new(),
                    None => classes.iter().filter_map(name).collect(),
                },
                validation,
                test,
                skipped: Vec::new(),
                notes: Vec::new(),
            },
        })
    }

    /// The labels of the texts that are learnt from.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        self.train.labels()
    }
}
