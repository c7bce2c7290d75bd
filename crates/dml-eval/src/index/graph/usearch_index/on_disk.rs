//! The index as a file.
//!
//! ```text
//! graph     as the library writes it, see graph_bytes
//! numbers   the power of two of its rows: i64; how many rows there are, and whether they are there: u64 each
//! keys      the node of every row: u32
//! rows      of single precision, where they are not those of the nodes without their power of two
//! ```

use std::path::Path;

use candle_core::{Device, Tensor};
use dml_core::Result;

use super::UsearchIndex;
use super::equal_rows::EqualRows;
use super::graph::{Graph, MOST_DIMENSIONS};
use super::graph_bytes::{Checked, check};
use crate::index::file::{self, Header, IndexFileError, Payload};
use crate::index::scale::{Scale, longest};
use crate::index::{FlatMetric, KnnIndex, UsearchIndexConfig};
use crate::rows::check_numbers;

/// Bytes of the numbers behind the graph.
const NUMBERS: usize = 24;
/// Powers of two of rows are smaller in size: none of single precision asks for more.
const MOST_SCALED: i64 = 256;
/// Keys that a file of the older kind can have given.
const MOST_KEYS: u64 = 1 << 40;

/// What a file holds beside the graph.
struct Content {
    scale: Scale,
    /// The node of every row, by its old key.
    keys: Vec<u64>,
    /// The rows, if they are not those of their nodes.
    rows: Option<Vec<f32>>,
}

/// What stands behind the graph.
fn content(bytes: &[u8], dim: usize) -> std::result::Result<Content, &'static str> {
    let (numbers, rest) = bytes.split_at_checked(NUMBERS).ok_or("has no rows")?;
    let numbers = numbers.as_chunks::<8>().0;
    let [exponent, count, has_rows] = [0, 1, 2].map(|i| u64::from_le_bytes(numbers[i]));
    let exponent = exponent.cast_signed();
    if !(-MOST_SCALED..=MOST_SCALED).contains(&exponent) || has_rows > 1 {
        return Err("is scaled as no index is");
    }
    let count = usize::try_from(count).ok();
    let count = count.filter(|count| (1..=u32::MAX as usize).contains(count));
    let count = count.ok_or("has more rows than an index can have")?;
    let (keys, rows) = rest
        .split_at_checked(4 * count)
        .ok_or("has fewer rows than it says")?;
    let expected = (has_rows as usize)
        .checked_mul(4 * dim)
        .and_then(|row| row.checked_mul(count));
    if expected != Some(rows.len()) {
        return Err("has another number of rows than it says");
    }
    let keys = keys.as_chunks::<4>().0.iter();
    let rows = rows.as_chunks::<4>().0.iter();
    Ok(Content {
        scale: Scale {
            exponent: exponent as i32,
        },
        keys: keys
            .map(|key| u64::from(u32::from_le_bytes(*key)))
            .collect(),
        rows: (has_rows == 1).then(|| rows.map(|x| f32::from_le_bytes(*x)).collect()),
    })
}

/// The rows of a file, and the node of each.
fn rows_and_keys(
    checked: &Checked,
    old_keys: &[u64],
    content: Content,
) -> std::result::Result<(Vec<f32>, Vec<u32>), &'static str> {
    let keys = content.keys.iter().map(|key| old_keys.binary_search(key));
    let keys = keys.map(|key| key.map(|key| key as u32));
    let keys = keys.collect::<std::result::Result<Vec<u32>, _>>();
    let keys = keys.map_err(|_| "has a row that is no node")?;
    let starts = checked.starts();
    let of_node = |key: &u32| &checked.rows[starts[*key as usize]..][..checked.dim];
    if let Some(rows) = content.rows {
        if check_numbers("references", &rows).is_err() {
            return Err("has a row that is not finite");
        }
        let mut pairs = rows.chunks_exact(checked.dim).zip(&keys);
        if pairs.any(|(row, key)| *content.scale.apply(row) != *of_node(key)) {
            return Err("has a row that is not that of its node");
        }
        return Ok((rows, keys));
    }
    let back = content.scale.inverse();
    let mut rows = Vec::with_capacity(keys.len() * checked.dim);
    for key in &keys {
        rows.extend_from_slice(&back.apply(of_node(key)));
    }
    if check_numbers("references", &rows).is_err() {
        return Err("has a row that is not finite");
    }
    Ok((rows, keys))
}

impl UsearchIndex {
    /// What is saved; nothing of an index without rows.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let Some(graph) = &self.graph else {
            return Ok(Vec::new());
        };
        let mut bytes = graph.to_bytes()?;
        let back = self.scale.inverse();
        let rows = || (0..self.rows.len()).map(|row| self.rows.single_row(row));
        let is_lossy = rows().any(|row| *back.apply(&self.scale.apply(row)) != *row);
        bytes.extend(i64::from(self.scale.exponent).to_le_bytes());
        bytes.extend((self.rows.len() as u64).to_le_bytes());
        bytes.extend(u64::from(is_lossy).to_le_bytes());
        bytes.extend(self.nodes.keys().iter().flat_map(|key| key.to_le_bytes()));
        if is_lossy {
            bytes.extend(rows().flatten().flat_map(|x| x.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// The index of a file, with the file's metric and links, and default arguments otherwise.
    pub(crate) fn from_file(
        path: &Path,
        header: &Header,
        bytes: Payload,
    ) -> std::result::Result<Self, IndexFileError> {
        let Some(metric) = FlatMetric::of_file(header.metric) else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        let config = UsearchIndexConfig {
            metric,
            ..Default::default()
        };
        Self::parse(config, path, header, bytes)
    }

    pub(super) fn parse(
        config: UsearchIndexConfig,
        path: &Path,
        header: &Header,
        bytes: Payload,
    ) -> std::result::Result<Self, IndexFileError> {
        let fault = IndexFileError::graph(path);
        let mut loaded = Self::empty(config);
        let mut bytes = match bytes {
            Payload::Bytes(bytes) if header.dim == 1 => bytes,
            Payload::Bytes(_) if header.rows == 0 => return Ok(loaded),
            _ => return Err(IndexFileError::kind(path, "an index of the same kind")),
        };
        let metric = loaded.config.metric;
        let mut checked = check(&bytes, metric).map_err(&fault)?;
        if checked.dim > MOST_DIMENSIONS {
            return Err(fault("has rows that are too wide"));
        }
        let behind = &bytes[checked.length..];
        let content = if header.kind == file::GRAPH {
            content(behind, checked.dim).map_err(&fault)?
        } else {
            older(&checked, header, behind).map_err(&fault)?
        };
        loaded.scale = content.scale;
        let old_keys = checked.renumber(&mut bytes);
        let (rows, keys) = rows_and_keys(&checked, &old_keys, content).map_err(&fault)?;
        let unreadable = IndexFileError::content(path);
        loaded.longest = longest(&rows, checked.dim);
        if !loaded.scale.holds(loaded.longest) {
            return Err(fault("has rows that are too long"));
        }
        let rows = Tensor::from_vec(rows, (keys.len(), checked.dim), &Device::Cpu);
        let rows = rows.map_err(|error| unreadable(error.into()))?;
        // As they are: rows of length 1 would not be the same after another division.
        loaded.rows.keep(&rows).map_err(&unreadable)?;
        let graph = &bytes[..checked.length];
        let graph = Graph::of_checked_bytes(&loaded.config, checked.dim, graph);
        loaded.graph = Some(graph.map_err(&unreadable)?);
        loaded.nodes = EqualRows::of_keys(keys, old_keys.len());
        loaded.vanishing = loaded.vanishing_from(0);
        Ok(loaded)
    }
}

/// What a file of the older kind holds beside the graph: every node is a row, in the order of their keys.
fn older(
    checked: &Checked,
    header: &Header,
    behind: &[u8],
) -> std::result::Result<Content, &'static str> {
    let mut keys: Vec<u64> = checked.keys.iter().flatten().copied().collect();
    keys.sort_unstable();
    let given = header.extra <= MOST_KEYS && keys.last().is_none_or(|key| *key < header.extra);
    if keys.is_empty() || !given || !behind.is_empty() {
        return Err("is not all of the file, or has other keys than it says");
    }
    Ok(Content {
        scale: Scale::default(),
        keys,
        rows: None,
    })
}
