//! The codes of rows, and the closest by them.

use std::ops::RangeInclusive;

use dml_core::kernels::exact::dot;
use dml_core::kernels::hamming::{hamming, pack_signs};
use rayon::prelude::*;

use super::Codes;
use crate::index::FlatMetric;
use crate::index::scale::{self, Scale, length};
use crate::kernels::int8::{self, Int8References, Int8Rows};
use crate::kernels::nearest::{closest_of_rows, retain_rows};

/// The powers of two of the longest row, with which rows are coded as they are.
const ORDINARY: RangeInclusive<i32> = -40..=40;

/// The codes of all references.
#[derive(Clone)]
pub(super) enum Encoded {
    Int8(Int8),
    Binary(Vec<u8>),
}

/// Codes of one byte a coordinate, of rows that are multiplied by a power of two.
#[derive(Clone, Default)]
pub(super) struct Int8 {
    rows: Int8Rows,
    squared_norms: Vec<f32>,
    /// The length of the longest row so far.
    longest: f64,
    /// What the rows are multiplied by.
    scale: Scale,
}

impl Encoded {
    pub(super) fn none(codes: Codes) -> Self {
        match codes {
            Codes::Int8 => Self::Int8(Int8::default()),
            Codes::Binary => Self::Binary(Vec::new()),
        }
    }

    pub(super) fn kind(&self) -> Codes {
        match self {
            Self::Int8(_) => Codes::Int8,
            Self::Binary(_) => Codes::Binary,
        }
    }

    /// Appends the codes of `[rows, dim]`.
    pub(super) fn extend(&mut self, new: &[f32], dim: usize) {
        match self {
            Self::Int8(codes) => codes.extend(new, dim),
            Self::Binary(codes) => codes.extend(pack_signs(new, dim)),
        }
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        match self {
            Self::Int8(codes) => {
                retain_rows(&mut codes.rows.codes, keep);
                retain_rows(&mut codes.rows.steps, keep);
                retain_rows(&mut codes.squared_norms, keep);
            }
            Self::Binary(codes) => retain_rows(codes, keep),
        }
    }

    /// Whether distances from a query can be told apart by the codes.
    pub(super) fn reach(&self, query: &[f32], metric: FlatMetric) -> bool {
        match (self, metric) {
            (Self::Int8(codes), FlatMetric::SquaredEuclidean) => codes.scale.reaches(length(query)),
            _ => true,
        }
    }

    /// The `k` references that are closest to each query by their codes, among those that `may_find` holds for: closest
    /// first, ties by row. There are `k` of them at least.
    pub(super) fn nearest(
        &self,
        queries: &[f32],
        dim: usize,
        metric: FlatMetric,
        k: usize,
        may_find: impl Fn(u32) -> bool + Sync,
    ) -> Vec<Vec<u32>> {
        match self {
            Self::Int8(codes) => codes.nearest(queries, dim, metric, k, may_find),
            Self::Binary(codes) => nearest_of_bits(codes, queries, dim, k, may_find),
        }
    }
}

/// Distances of codes of bits that are in memory at a time.
const ENTRIES: usize = 1 << 22;

fn nearest_of_bits(
    codes: &[u8],
    queries: &[f32],
    dim: usize,
    k: usize,
    may_find: impl Fn(u32) -> bool + Sync,
) -> Vec<Vec<u32>> {
    let count = codes.len() / dim.div_ceil(8).max(1);
    let block = (ENTRIES / count.max(1)).max(1);
    let mut nearest = Vec::new();
    for block in queries.chunks(block * dim) {
        let mut distances = hamming(&pack_signs(block, dim), codes, dim.div_ceil(8));
        distances.par_chunks_exact_mut(count).for_each(|distances| {
            for (row, distance) in (0..).zip(distances) {
                if !may_find(row) {
                    *distance = f32::INFINITY;
                }
            }
        });
        let (found, _) = closest_of_rows(&distances, count, k, false, |_| None);
        nearest.extend(found.iter().map(|(rows, _)| rows.to_vec()));
    }
    nearest
}

impl Int8 {
    fn extend(&mut self, new: &[f32], dim: usize) {
        if self.rows.steps.is_empty() {
            self.longest = 0.0;
        }
        let before = self.longest;
        self.longest = before.max(scale::longest(new, dim));
        if before == 0.0 || !self.scale.holds(self.longest) {
            let fresh = Scale::new(self.longest, ORDINARY, 0);
            let more = Scale {
                exponent: fresh.exponent - self.scale.exponent,
            };
            if more != Scale::default() {
                self.rows.steps = more.apply(&self.rows.steps).into_owned();
                self.squared_norms = more.apply(&more.apply(&self.squared_norms)).into_owned();
            }
            self.scale = fresh;
        }
        let new = self.scale.apply(new);
        let codes = int8::quantize(&new, dim);
        self.rows.codes.extend(codes.codes);
        self.rows.steps.extend(codes.steps);
        let norms = new.chunks_exact(dim).map(|row| dot(row, row) as f32);
        self.squared_norms.extend(norms);
    }

    fn nearest(
        &self,
        queries: &[f32],
        dim: usize,
        metric: FlatMetric,
        k: usize,
        may_find: impl Fn(u32) -> bool + Sync,
    ) -> Vec<Vec<u32>> {
        let queries = match metric {
            FlatMetric::SquaredEuclidean => self.scale.apply(queries),
            // A query's products keep their order whatever it is multiplied by.
            FlatMetric::InnerProduct | FlatMetric::Cosine => queries
                .chunks_exact(dim)
                .flat_map(|query| {
                    Scale::new(length(query), ORDINARY, 0)
                        .apply(query)
                        .into_owned()
                })
                .collect(),
        };
        let references = Int8References {
            rows: &self.rows,
            squared_norms: &self.squared_norms,
            dim,
            affinity: metric.affinity(),
        };
        int8::nearest(&int8::quantize(&queries, dim), references, k, may_find)
    }
}
