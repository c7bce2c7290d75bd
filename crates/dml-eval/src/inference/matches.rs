//! Which rows match which.

/// The pairs of rows that match, in the order of the queries and then of the references.
///
/// ```
/// use dml_core::{Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// use dml_eval::{MatchFinder, MatchFinderConfig};
///
/// #[derive(Debug)]
/// struct Euclidean;
///
/// impl Distance for Euclidean {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 2.0)
///     }
/// }
///
/// let finder = MatchFinder::new(MatchFinderConfig { threshold: Some(1.0) }, Euclidean)?;
/// let rows = Tensor::new(&[[0f32], [2.], [5.]], &Device::Cpu)?;
/// let gallery = Tensor::new(&[[4.5f32], [0.5]], &Device::Cpu)?;
/// let matches = finder.get_matching_pairs(&rows, Some(&gallery), None)?;
/// assert_eq!(matches.pairs, [(0, 1), (2, 0)]);
/// assert_eq!(matches.mask(), [false, true, false, false, true, false]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Matches {
    /// Query row and reference row of each match.
    pub pairs: Vec<(u32, u32)>,
    /// How many queries were compared.
    pub queries: usize,
    /// How many references they were compared with.
    pub references: usize,
}

impl Matches {
    /// Whether each query matches each reference, row by row: `[queries, references]`.
    #[must_use]
    pub fn mask(&self) -> Vec<bool> {
        let mut mask = vec![false; self.queries * self.references];
        for (q, r) in &self.pairs {
            mask[*q as usize * self.references + *r as usize] = true;
        }
        mask
    }
}
