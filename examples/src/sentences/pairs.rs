//! Pairs of sentences as a data set of tokens.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use dml::candle_core::Tensor;
use dml::{Dataset, Examples, IntoLabels, Labels};
use dml_models::text::TextTokenizer;

use super::DEVICE;

/// The lines of a file, each with one tab.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut cells = line.split('\t').map(str::trim);
        match (cells.next(), cells.next(), cells.next()) {
            (Some(first), Some(second), None) if !first.is_empty() && !second.is_empty() => {
                pairs.push((first.to_owned(), second.to_owned()));
            }
            _ => bail!(
                "{}, line {number}: expected two sentences with a tab between them",
                path.display()
            ),
        }
    }
    Ok(pairs)
}

/// Tokens of pairs: two views `[rows, length]` of each row, filled up to the longest of the batch. Every pair is a class
/// of its own.
#[derive(Clone, Debug)]
pub struct SentencePairs {
    views: [Vec<Vec<u32>>; 2],
    pad: u32,
    labels: Labels,
}

impl SentencePairs {
    /// The pairs in tokens; `pad` is the token that fills sentences up.
    ///
    /// # Errors
    /// If the tokenizer can't read one, or a sentence has no token.
    pub fn new(
        tokenizer: &TextTokenizer,
        pairs: &[(String, String)],
        pad: u32,
    ) -> anyhow::Result<Self> {
        let (first, second): (Vec<&str>, Vec<&str>) = pairs
            .iter()
            .map(|(first, second)| (first.as_str(), second.as_str()))
            .unzip();
        let views = [
            tokenizer.encode_each(&first)?,
            tokenizer.encode_each(&second)?,
        ];
        let labels: Vec<i64> = (0..pairs.len() as i64).collect();
        Ok(Self {
            views,
            pad,
            labels: labels.into_labels()?,
        })
    }
}

impl Dataset for SentencePairs {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], _: u64) -> dml::Result<Examples> {
        dml::core::check::indices("rows", rows.iter().copied(), self.len())?;
        let view = |sentences: &Vec<Vec<u32>>| {
            let chosen = rows.iter().map(|row| &sentences[*row]);
            let length = chosen.clone().map(Vec::len).max().unwrap_or(1);
            let padded = chosen.flat_map(|tokens| {
                let fill = std::iter::repeat_n(self.pad, length - tokens.len());
                tokens.iter().copied().chain(fill)
            });
            Tensor::from_iter(padded, &DEVICE)?.reshape((rows.len(), length))
        };
        let views = self.views.iter().map(view);
        let views = views.collect::<Result<_, dml::candle_core::Error>>()?;
        Examples::with_views(views, rows, &self.labels)
    }
}
