//! What a search finds.

/// The nearest references of each query, closest first: `k` consecutive entries per query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbors {
    /// How far away, or how alike: `[queries, k]`, in the unit of the index (see its documentation).
    pub distances: Vec<f64>,
    /// Reference rows, in the order in which they were added to the index: `[queries, k]`.
    pub indices: Vec<u32>,
    /// Neighbours per query, at least 1.
    pub k: usize,
}

impl Neighbors {
    /// How many queries were searched for.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.indices.len().checked_div(self.k).unwrap_or(0)
    }

    /// The neighbours of each query in turn: reference rows and distances.
    ///
    /// ```
    /// use dml_eval::Neighbors;
    ///
    /// let found = Neighbors { distances: vec![0.5, 1., 0., 2.], indices: vec![7, 3, 1, 7], k: 2 };
    /// let closest: Vec<u32> = found.iter().map(|(rows, _)| rows[0]).collect();
    /// assert_eq!(closest, [7, 1]);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u32], &[f64])> {
        let k = self.k.max(1);
        self.indices
            .chunks_exact(k)
            .zip(self.distances.chunks_exact(k))
    }
}
