//! Pairs of sentences as a data set of tokens.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use dml::candle_core::Tensor;
use dml::{Dataset, Examples, IntoLabels, Labels};
use tokenizers::Tokenizer;

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

/// The tokenizer of a model's folder.
pub(super) fn tokenizer(folder: &Path) -> anyhow::Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path)
        .map_err(anyhow::Error::from_boxed)
        .with_context(|| format!("can't read {}", path.display()))
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
    /// The pairs in tokens, each sentence cut off after so many.
    ///
    /// # Errors
    /// If the tokenizer can't read one, or a sentence has no token.
    pub fn new(
        tokenizer: &Tokenizer,
        pairs: &[(String, String)],
        most: usize,
        pad: u32,
    ) -> anyhow::Result<Self> {
        let tokens = |sentence: &str| -> anyhow::Result<Vec<u32>> {
            let encoding = tokenizer
                .encode(sentence, true)
                .map_err(anyhow::Error::from_boxed)
                .with_context(|| format!("{sentence:?}"))?;
            // A tokenizer may fill up by itself.
            let ids = encoding.get_ids().iter().zip(encoding.get_attention_mask());
            let mut ids: Vec<u32> = ids
                .filter(|(_, own)| **own == 1)
                .map(|(id, _)| *id)
                .collect();
            if let Some(last) = ids.last().copied()
                && ids.len() > most
            {
                // The mark of the end stays at the end.
                ids.truncate(most);
                ids[most - 1] = last;
            }
            if ids.iter().all(|id| *id == pad) {
                bail!("{sentence:?}: has no token");
            }
            Ok(ids)
        };
        let mut views = [Vec::new(), Vec::new()];
        for (first, second) in pairs {
            views[0].push(tokens(first)?);
            views[1].push(tokens(second)?);
        }
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
