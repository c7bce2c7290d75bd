//! What a search finds.

/// The nearest references of each query, closest first: `k` consecutive entries per query.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex};
///
/// let mut index = FlatIndex::default();
/// index.add(&Tensor::new(&[[0f32], [3.], [4.]], &Device::Cpu)?)?;
/// let found = index.search(&Tensor::new(&[[1f32], [9.]], &Device::Cpu)?, 2)?;
/// assert_eq!((found.k, found.queries()), (2, 2));
/// assert_eq!((found.indices, found.distances), (vec![0, 1, 2, 1], vec![1., 4., 25., 36.]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbors {
    /// Distances or similarities `[queries, k]`, in the unit of the index (see its documentation).
    pub distances: Vec<f64>,
    /// Reference rows, in the order in which they were added to the index: `[queries, k]`.
    pub indices: Vec<u32>,
    /// Number of neighbours per query, at least 1.
    pub k: usize,
}

impl Neighbors {
    /// None yet, with room for the `k` of that many queries.
    pub(crate) fn with_capacity(queries: usize, k: usize) -> Self {
        Self {
            distances: Vec::with_capacity(queries * k),
            indices: Vec::with_capacity(queries * k),
            k,
        }
    }

    /// Appends distances and rows.
    pub(crate) fn extend(&mut self, found: impl IntoIterator<Item = (f64, u32)>) {
        for (distance, row) in found {
            self.distances.push(distance);
            self.indices.push(row);
        }
    }

    /// Puts what another search has found for some of the queries in the place of what is there.
    pub(crate) fn replace(&mut self, queries: &[usize], found: &Self) {
        for (q, (rows, distances)) in queries.iter().zip(found.iter()) {
            let place = q * self.k..(q + 1) * self.k;
            self.indices[place.clone()].copy_from_slice(rows);
            self.distances[place].copy_from_slice(distances);
        }
    }

    /// Number of queries.
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

/// All references of each query that are close enough, closest first.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, SelfMatch};
///
/// let mut index = FlatIndex::default();
/// index.add(&Tensor::new(&[[0f32], [3.], [4.]], &Device::Cpu)?)?;
/// let queries = Tensor::new(&[[1f32], [9.]], &Device::Cpu)?;
/// let found = index.search_within(&queries, 4.0, SelfMatch::None)?;
/// assert_eq!((found.offsets, found.indices), (vec![0, 2, 2], vec![0, 1]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NeighborsWithin {
    /// Where the entries of query q are: from `offsets[q]` to `offsets[q + 1]`. One more than there are queries.
    pub offsets: Vec<usize>,
    /// Distances or similarities, in the unit of the index.
    pub distances: Vec<f64>,
    /// Reference rows, in the order in which they were added to the index.
    pub indices: Vec<u32>,
}

impl NeighborsWithin {
    /// For so many queries, none.
    pub(crate) fn none(queries: usize) -> Self {
        Self {
            offsets: vec![0; queries + 1],
            distances: Vec::new(),
            indices: Vec::new(),
        }
    }

    /// Appends the distances and rows of one more query.
    pub(crate) fn push_query(&mut self, found: impl IntoIterator<Item = (f64, u32)>) {
        for (distance, row) in found {
            self.distances.push(distance);
            self.indices.push(row);
        }
        self.offsets.push(self.indices.len());
    }

    /// Number of queries.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The neighbours of each query in turn: reference rows and distances.
    ///
    /// ```
    /// use dml_eval::NeighborsWithin;
    ///
    /// let found = NeighborsWithin { offsets: vec![0, 2, 2], distances: vec![0., 0.5], indices: vec![7, 3] };
    /// let counts: Vec<usize> = found.iter().map(|(rows, _)| rows.len()).collect();
    /// assert_eq!(counts, [2, 0]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&[u32], &[f64])> {
        self.offsets.windows(2).map(|ends| {
            (
                &self.indices[ends[0]..ends[1]],
                &self.distances[ends[0]..ends[1]],
            )
        })
    }
}
