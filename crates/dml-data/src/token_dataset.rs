//! Texts as token ids.

use dml_core::candle_core::{self, Device, Tensor};
use dml_core::{Dataset, Examples, IntoLabels, Labels, Result, check};

/// Texts as token ids, in one view or several: a [`Dataset`] of `[rows, length]` tensors, padded to the longest text of the
/// batch.
///
/// Two views are pairs, such as a question and its answer. Token ids come from a tokenizer, such as
/// `dml_models::text::TextTokenizer::encode_each`.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::TokenDataset;
///
/// let questions = vec![vec![7, 8], vec![9]];
/// let answers = vec![vec![3], vec![4, 5]];
/// let pairs = TokenDataset::with_views(vec![questions, answers], 0, [0i64, 1])?;
/// let examples = pairs.fetch(&[1, 0], 0)?;
/// assert_eq!(examples.views()[0].to_vec2::<u32>()?, [[9, 0], [7, 8]]);
/// assert_eq!(examples.views()[1].to_vec2::<u32>()?, [[4, 5], [3, 0]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenDataset {
    views: Vec<Vec<Vec<u32>>>,
    pad: u32,
    labels: Labels,
}

impl TokenDataset {
    /// One text a row; `pad` is the id that fills texts up.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) unless there is one label per text.
    pub fn new(texts: Vec<Vec<u32>>, pad: u32, labels: impl IntoLabels) -> Result<Self> {
        Self::with_views(vec![texts], pad, labels)
    }

    /// Several texts a row, one list for each view.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) without a view, [`Error::Length`](dml_core::Error::Length) unless every
    /// view has one text per label.
    pub fn with_views(
        views: Vec<Vec<Vec<u32>>>,
        pad: u32,
        labels: impl IntoLabels,
    ) -> Result<Self> {
        let labels = labels.into_labels()?;
        check::present(views.first(), "TokenDataset", "at least one view")?;
        for view in &views {
            check::length("views", labels.len(), view.len())?;
        }
        Ok(Self { views, pad, labels })
    }

    /// Number of texts of a row.
    #[must_use]
    pub fn view_count(&self) -> usize {
        self.views.len()
    }
}

impl Dataset for TokenDataset {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.len())?;
        let view = |texts: &Vec<Vec<u32>>| {
            let chosen = rows.iter().map(|&row| &texts[row]);
            // A network reads at least one token.
            let length = chosen.clone().map(Vec::len).max().unwrap_or(0).max(1);
            let padded = chosen.flat_map(|tokens| {
                let fill = std::iter::repeat_n(self.pad, length - tokens.len());
                tokens.iter().copied().chain(fill)
            });
            let padded: Vec<u32> = padded.collect();
            Tensor::from_vec(padded, (rows.len(), length), &Device::Cpu)
        };
        let views = self.views.iter().map(view);
        let views = views.collect::<std::result::Result<_, candle_core::Error>>()?;
        Examples::with_views(views, rows, &self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn texts_are_padded_to_the_longest_of_the_batch() -> Result<()> {
        let texts = vec![vec![1, 2, 3], vec![4], vec![]];
        let set = TokenDataset::new(texts, 9, [0i64, 0, 1])?;
        let ids = |rows: &[usize]| set.fetch(rows, 0)?.views()[0].to_vec2::<u32>();
        assert_eq!(ids(&[1, 0])?, [[4, 9, 9], [1, 2, 3]]);
        assert_eq!(ids(&[1])?, [[4]]);
        // An empty text is padding alone.
        assert_eq!(ids(&[2])?, [[9]]);
        assert_eq!(set.fetch(&[], 0)?.views()[0].dims(), [0, 1]);
        assert!(matches!(set.fetch(&[3], 0), Err(Error::Index { .. })));
        Ok(())
    }

    #[test]
    fn views_and_labels_are_as_many() {
        let one = || vec![vec![1]];
        assert!(matches!(
            TokenDataset::new(one(), 0, [0i64, 1]),
            Err(Error::Length {
                arg: "views",
                expected: 2,
                got: 1
            })
        ));
        let none = TokenDataset::with_views(vec![], 0, [0i64; 0]);
        assert!(matches!(none, Err(Error::Missing { .. })));
        let pairs = TokenDataset::with_views(vec![one(), one()], 0, [0i64]);
        assert_eq!(pairs.map(|pairs| pairs.view_count()).ok(), Some(2));
    }
}
