//! A triplet loss over triplets that are not written out: [`crate::triplet_margin`] on a GPU.

use super::{Buffer, Extent, Launch, Number, Source};
use crate::triplet_margin::{TripletMargin, TripletPenalty};
use crate::triplet_ranges::GapInterval;

/// `triplet_margin.cu`.
pub const SOURCE: Source = Source {
    name: "triplet_margin",
    text: include_str!("triplet_margin.cu"),
    kernels: &["triplet_margin", "triplet_margin_swap", "triplet_count"],
};

/// A triplet loss over what a miner selects, or over all.
#[derive(Clone, Copy, Debug)]
pub struct Triplets {
    /// Rows of the matrix.
    pub anchors: usize,
    /// Columns of the matrix.
    pub references: usize,
    /// The loss.
    pub rule: TripletMargin<f64>,
    /// Which gaps of the mined matrix are selected.
    pub interval: GapInterval,
    /// 1 if the mined matrix has distances, −1 for similarities.
    pub mined_sign: f64,
    /// Whether the nearer of `h(a,n)` and `h(p,n)` is taken.
    pub swap: bool,
}

impl Triplets {
    fn inputs(&self) -> Vec<Extent> {
        let pairs = self.anchors * self.references;
        let inside = if self.swap {
            self.references * self.references
        } else {
            pairs
        };
        let mask = Extent::new(Buffer::U8, pairs);
        vec![
            Extent::real(pairs),
            Extent::real(pairs),
            Extent::real(inside),
            mask,
            mask,
        ]
    }

    fn rule(&self) -> [Number; 8] {
        let (rule, interval) = (&self.rule, &self.interval);
        let bounds = [
            (1, interval.above),
            (2, interval.at_most),
            (4, rule.low),
            (8, rule.high),
        ];
        let bounds = bounds.map(|(flag, bound)| (flag, bound.is_some()));
        let softplus = rule.penalty == TripletPenalty::Softplus;
        let conditions = bounds.into_iter().chain([(16, softplus), (32, self.swap)]);
        let flags = conditions.map(|(flag, holds)| if holds { flag } else { 0 });
        let bound = |bound: Option<f64>| Number::Real(bound.unwrap_or(0.0));
        [
            Number::Real(rule.sign),
            Number::Real(rule.margin),
            bound(rule.low),
            bound(rule.high),
            Number::Real(self.mined_sign),
            bound(interval.above),
            bound(interval.at_most),
            Number::Flags(flags.sum()),
        ]
    }

    fn launch(
        &self,
        kernel: &'static str,
        blocks: usize,
        sizes: &[usize],
        outputs: Vec<Extent>,
    ) -> Launch {
        let sizes = sizes.iter().map(|size| Number::size(*size));
        Launch {
            source: &SOURCE,
            kernel,
            blocks,
            inputs: self.inputs(),
            outputs,
            numbers: sizes.chain(self.rule()).collect(),
        }
    }

    /// `matrix` and mined matrix `[anchors, references]`, the matrix `[references, references]` of `swap` (without it,
    /// `matrix` once more), positive and negative pairs (1 or 0) `[anchors, references]` → the gradient of `matrix`; the
    /// sum of each anchor's values, and how many they are.
    #[must_use]
    pub fn sum(&self) -> Launch {
        let (anchors, references) = (self.anchors, self.references);
        let outputs = vec![
            Extent::real(anchors * references),
            Extent::new(Buffer::F64, anchors),
            Extent::new(Buffer::I64, anchors),
        ];
        self.launch("triplet_margin", anchors, &[references], outputs)
    }

    /// The same inputs → how many triplets each anchor has, whatever they cost.
    #[must_use]
    pub fn count(&self) -> Launch {
        let outputs = vec![Extent::new(Buffer::I64, self.anchors)];
        self.launch("triplet_count", self.anchors, &[self.references], outputs)
    }

    /// The same inputs → the gradient of the matrix of `swap`.
    #[must_use]
    pub fn swap_gradient(&self) -> Launch {
        let sizes = [self.anchors, self.references];
        let outputs = vec![Extent::real(self.references * self.references)];
        self.launch("triplet_margin_swap", self.references, &sizes, outputs)
    }
}
