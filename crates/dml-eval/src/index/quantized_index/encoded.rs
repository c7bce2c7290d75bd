//! The codes of rows, and distances by them.

use std::ops::RangeInclusive;

use dml_core::kernels::exact::dot;
use dml_core::kernels::hamming::{hamming, pack_signs};
use rayon::prelude::*;

use super::Codes;
use crate::index::FlatMetric;
use crate::index::scale::{self, Scale, length};
use crate::kernels::int8::{self, Int8Rows};
use crate::kernels::nearest::retain_rows;

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

    /// How far each reference is from each of the queries by their codes: `[queries, references]`, smallest first, and on
    /// a scale that is the query's own.
    pub(super) fn distances(&self, queries: &[f32], dim: usize, metric: FlatMetric) -> Vec<f32> {
        match self {
            Self::Int8(codes) => codes.distances(queries, dim, metric),
            Self::Binary(codes) => hamming(&pack_signs(queries, dim), codes, dim.div_ceil(8)),
        }
    }
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

    fn distances(&self, queries: &[f32], dim: usize, metric: FlatMetric) -> Vec<f32> {
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
        let queries = int8::quantize(&queries, dim);
        let mut products = int8::products(&queries.codes, &self.rows.codes, dim);
        products
            .par_chunks_exact_mut(self.rows.steps.len())
            .zip(&queries.steps)
            .for_each(|(products, query_step)| {
                let references = self.rows.steps.iter().zip(&self.squared_norms);
                for (product, (step, norm)) in products.iter_mut().zip(references) {
                    let inner = *product * query_step * step;
                    *product = match metric {
                        FlatMetric::SquaredEuclidean => norm - 2.0 * inner,
                        FlatMetric::InnerProduct | FlatMetric::Cosine => -inner,
                    };
                }
            });
        products
    }
}
