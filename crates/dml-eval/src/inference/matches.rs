//! Which rows match which.

/// The pairs of rows that match, in the order of the queries and then of the references.
///
/// ```
/// use dml_eval::Matches;
///
/// let matches = Matches { pairs: vec![(0, 1), (2, 0)], queries: 3, references: 2 };
/// assert_eq!(matches.mask(), [false, true, false, false, true, false]);
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
