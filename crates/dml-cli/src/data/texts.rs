//! Tables of texts: labelled ones, and pairs that belong together.
//!
//! A table of pairs has two columns of texts, whose names `data.pairs` gives: question and answer, anchor and positive. Each
//! pair is a class of its own, and its second text is what the first one looks for; pairs with a text in common are of one class. `data.negatives` names a column of texts
//! that look alike and don't belong to the pair. Other tables have the columns `text` and `label`, or `labels`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use dml::data::{Pair, PairColumns, PairTable, PairTableConfig, Subset, TokenDataset};
use dml::eval::DatasetInputs;
use dml::models::text::TextTokenizer;
use dml::{Dataset, IntoLabels, Labels};

use super::pair_classes::pair_classes;
use super::source::Source;
use super::{HeldOutRows, RunData};
use crate::evaluation::EvaluationSet;
use crate::network::TextNetwork;
use crate::settings::Settings;

/// Texts to learn from, and what the result is judged by.
#[derive(Debug)]
pub struct TextData {
    /// Texts to learn from, with labels from 0 without gaps; two views where they are pairs, and one for each hard negative.
    pub train: Subset<TokenDataset>,
    /// The labels of all classes of each text to learn from, where texts have several.
    pub label_sets: Option<Vec<Vec<i64>>>,
    /// Everything else.
    pub run: RunData,
}

/// The rows of a table.
struct Texts {
    /// One list, or two for pairs, and one for each hard negative.
    views: Vec<Vec<String>>,
    labels: Vec<i64>,
    /// The labels of all classes of a row, where rows have several.
    label_sets: Option<Vec<Vec<i64>>>,
    /// Names of the labels; none for pairs.
    class_names: Vec<String>,
}

impl Texts {
    /// The rows of a source by the settings; `negatives` names the column of hard negatives.
    fn read(
        settings: &Settings,
        source: &Source<'_>,
        negatives: Option<&str>,
    ) -> anyhow::Result<Self> {
        match &settings.data.pairs {
            Some([first, second]) => Self::pairs(source, [first, second], negatives),
            None => Self::labelled(source),
        }
    }

    fn pairs(
        source: &Source<'_>,
        [first, second]: [&String; 2],
        negatives: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut columns = PairColumns {
            first: first.clone(),
            second: second.clone(),
            ..PairColumns::default()
        };
        if let Some(negatives) = negatives {
            columns.negatives = negatives.to_owned();
        }
        let config = PairTableConfig {
            columns,
            ..PairTableConfig::default()
        };
        let table = PairTable::read_with(source.path, &config)?;
        let table = match source.split {
            None => table,
            Some(name) => table.split(name)?,
        };
        let pairs = table.pairs().iter();
        let kept: Vec<&Pair> = pairs.filter(|pair| pair.same != Some(false)).collect();
        let of = |text: fn(&Pair) -> &String| kept.iter().map(|pair| text(pair).clone()).collect();
        let mut views: Vec<Vec<String>> = vec![of(|pair| &pair.first), of(|pair| &pair.second)];
        if let Some(column) = negatives {
            let count = kept.first().map_or(0, |pair| pair.negatives.len());
            let other = kept
                .iter()
                .position(|pair| count == 0 || pair.negatives.len() != count);
            if let Some(row) = other {
                let got = kept[row].negatives.len();
                bail!(
                    "{}: expected as many hard negatives in each pair, at least 1, got {count} in pair 1 and {got} in pair {} \
                     (column {column})",
                    source.path.display(),
                    row + 1
                );
            }
            for place in 0..count {
                let own = kept.iter().map(|pair| pair.negatives[place].clone());
                views.push(own.collect());
            }
        }
        Ok(Self {
            labels: pair_classes(kept.iter().map(|pair| [&*pair.first, &*pair.second])),
            label_sets: None,
            views,
            class_names: Vec::new(),
        })
    }

    fn labelled(source: &Source<'_>) -> anyhow::Result<Self> {
        let shown = source.path.display();
        let table = source.manifest()?;
        let table = table.with_context(|| format!("{shown}: expected a table of texts"))?;
        let texts = table
            .texts()
            .with_context(|| format!("{shown}: expected a text in each row"))?;
        let texts = texts.into_iter().map(str::to_owned).collect();
        let has_several = table.entries().iter().any(|own| !own.labels.is_empty());
        Ok(Self {
            views: vec![texts],
            labels: table.labels(),
            label_sets: has_several.then(|| table.label_sets()),
            class_names: table.class_names().to_vec(),
        })
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
            1 => {
                let classes = self.class_names.clone();
                let set = EvaluationSet::of_rows(inputs, labels, names(0), classes);
                match &self.label_sets {
                    None => set,
                    Some(sets) => {
                        let own = rows.iter().map(|&row| sets[row].clone());
                        set.with_label_sets(&own.collect::<Vec<_>>())
                    }
                }
            }
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
        let source = Source::of(settings, path, data.train_split.as_deref());
        let whole = Texts::read(settings, &source, data.negatives.as_deref())
            .with_context(|| cite("data.train"))?;
        let tokens = whole.tokens(&network.tokenizer, pad)?;
        let labels = whole.labels.as_slice().into_labels()?;
        let has_several = whole.label_sets.is_some();
        let held = HeldOutRows::of(settings, &labels, &whole.class_names, has_several)?;
        let of = |rows: Vec<usize>, field: &str, path: Option<&Path>, split: Option<&str>| {
            if !rows.is_empty() {
                return whole.set(&tokens, rows).map(Some);
            }
            if path.is_none() && split.is_none() {
                return Ok(None);
            }
            let source = path.or(data.train.as_deref()).unwrap_or(Path::new(""));
            let read = || -> anyhow::Result<EvaluationSet> {
                let source = Source::of(settings, source, split);
                let level = data.test_level.as_deref().or(source.level);
                // Hard negatives are learnt from; queries look into the second texts of all pairs.
                let texts = Texts::read(settings, &Source { level, ..source }, None)?;
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
        let sets = whole.label_sets.as_ref();
        let of_train = |sets: &Vec<Vec<i64>>| {
            let own = train.rows().iter().map(|&row| sets[row].clone());
            own.collect()
        };
        Ok(Self {
            label_sets: sets.map(of_train),
            train: train.with_dense_labels()?,
            run: RunData {
                train: match pairs {
                    Some(_) => match whole.views.len() - 2 {
                        0 => format!("{rows} pairs of texts"),
                        count => format!("{rows} pairs of texts, each with {count} hard negatives"),
                    },
                    None => format!("{rows} texts of {count} classes"),
                },
                rows,
                // Classes of pairs have no names.
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
