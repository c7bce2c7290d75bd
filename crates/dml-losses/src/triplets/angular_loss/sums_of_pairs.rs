//! Sums over the negatives of an anchor, another one for each of its positives.
//!
//! ```text
//! E(a,p) = ln Σₙ e^{x(a,n) + y(p,n)}        n: the negatives of a
//! ```
//!
//! Each sum is taken in one stretch of memory that stays in the cache; nothing of the size pairs × references exists.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel, with_slice, with_slices};
use dml_core::kernels::softmax::{add_softmax_of_sums, softmax_in_place, sum_of_exponentials};
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{Relation, Result, TensorExt, for_element};

/// How many entries of a block of pairs the composite form writes out at a time.
const BLOCK: usize = 1 << 22;

/// Positive pairs, with the negatives of their anchors.
#[derive(Clone, Debug)]
pub(super) struct PositivePairs {
    /// Query row of each pair.
    pub(super) anchors: Vec<u32>,
    /// Reference row of each pair.
    pub(super) positives: Vec<u32>,
    /// For each query the references that are negative for it, 1 or 0.
    negatives: Vec<u8>,
    queries: usize,
    references: usize,
}

impl PositivePairs {
    pub(super) fn new(anchors: Vec<u32>, positives: Vec<u32>, relation: &Relation) -> Self {
        let (queries, references) = (relation.queries(), relation.references());
        let mut negatives = vec![0u8; queries * references];
        for_each_row(&mut negatives, references, |q, row| {
            let (mut near, mut far) = (Vec::new(), Vec::new());
            relation.split(q, &mut near, &mut far);
            far.iter().for_each(|&r| row[r as usize] = 1);
        });
        Self {
            anchors,
            positives,
            negatives,
            queries,
            references,
        }
    }

    /// `E` of every pair `[P]`, of `x` `[Q, R]` and `y` `[R, R]`; and whether a pair's anchor has negatives, if some has
    /// none and its sum stands at 0.
    pub(super) fn sums(&self, x: &Tensor, y: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let of_query: Vec<u8> = (0..self.queries)
            .map(|q| u8::from(self.negatives_of(q).contains(&1)))
            .collect();
        let any: Vec<u8> = self.anchors.iter().map(|&a| of_query[a as usize]).collect();
        let any = if any.contains(&0) {
            Some(Tensor::new(any, x.device())?)
        } else {
            None
        };
        let sums = if has_kernel(x) {
            for_element!(x, "x", |T| self.fused::<T>(x, y))?
        } else {
            self.composite(x, y)?
        };
        Ok((sums, any))
    }

    fn negatives_of(&self, q: usize) -> &[u8] {
        &self.negatives[q * self.references..(q + 1) * self.references]
    }

    /// `x` with −∞ for all but negatives.
    fn masked<T: Real>(&self, x: &[T]) -> Vec<T> {
        let mut masked = vec![T::from_f64(f64::NEG_INFINITY); x.len()];
        for_each_row(&mut masked, self.references, |q, out| {
            let x = &x[q * self.references..(q + 1) * self.references];
            for ((out, x), is_negative) in out.iter_mut().zip(x).zip(self.negatives_of(q)) {
                *out = if *is_negative == 1 { *x } else { *out };
            }
        });
        masked
    }

    fn composite(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let shape = (self.queries, self.references);
        let negatives = Tensor::from_slice(&self.negatives, shape, x.device())?;
        let pairs = (BLOCK / self.references.max(1)).max(1);
        let mut sums = Vec::new();
        for (anchors, positives) in self.anchors.chunks(pairs).zip(self.positives.chunks(pairs)) {
            let (anchors, positives) = (
                Tensor::new(anchors, x.device())?,
                Tensor::new(positives, x.device())?,
            );
            let exponents = (x.index_select(&anchors, 0)? + y.index_select(&positives, 0)?)?;
            let keep = negatives.index_select(&anchors, 0)?;
            sums.push(exponents.masked_logsumexp(Some(&keep), false)?);
        }
        Ok(Tensor::cat(&sums, 0)?)
    }

    fn fused<T: Element>(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let of_anchor = places(&self.anchors, self.queries);
        let masked = with_slice(x, |x: &[T]| self.masked(x))?;
        let sums = with_slice(y, |y: &[T]| self.sums_by_anchor(&masked, y, &of_anchor))?;
        let of_positive = places(&self.positives, self.references);
        let this = self.clone();
        let count = sums.len();
        autograd::host_node(
            "sums_of_pairs",
            [x, y],
            sums,
            count,
            move |[_, y], sums, gradient| {
                with_slices([y, sums, gradient], |[y, sums, gradient]| {
                    let pairs = Gradients {
                        pairs: &this,
                        masked: &masked,
                        y,
                        sums,
                        gradient,
                    };
                    [&of_anchor, &of_positive].map(|places| pairs.of_rows(places))
                })
            },
        )
    }

    fn sums_by_anchor<T: Real>(&self, masked: &[T], y: &[T], of_anchor: &[Vec<u32>]) -> Vec<T> {
        let width = self.references;
        let tops = map_rows(width, |p, ()| largest(&y[p * width..(p + 1) * width]));
        let by_anchor = map_rows(self.queries, |q, exponents: &mut Vec<T>| {
            let x = &masked[q * width..(q + 1) * width];
            let top = largest(x);
            let sum = |place: &u32| {
                let p = self.positives[*place as usize] as usize;
                sum_of_pair(x, &y[p * width..(p + 1) * width], top + tops[p], exponents)
            };
            of_anchor[q].iter().map(sum).collect::<Vec<T>>()
        });
        let mut sums = vec![T::ZERO; self.anchors.len()];
        for (places, values) in of_anchor.iter().zip(&by_anchor) {
            for (&place, value) in places.iter().zip(values) {
                sums[place as usize] = *value;
            }
        }
        sums
    }
}

fn largest<T: Real>(x: &[T]) -> T {
    let lowest = T::from_f64(f64::NEG_INFINITY);
    x.iter().fold(lowest, |top, x| top.max(*x))
}

/// `ln Σ e^{x + y}`, or 0 for no summand at all; `bound` is at least the largest exponent.
fn sum_of_pair<T: Real>(x: &[T], y: &[T], bound: T, exponents: &mut Vec<T>) -> T {
    /// Below it, summands that vanished beside the bound might have counted.
    const LEAST: f64 = 1e-20;
    let sum = sum_of_exponentials(x, y, bound);
    if sum >= LEAST && bound.to_f64().is_finite() {
        return T::from_f64(bound.to_f64() + sum.ln());
    }
    exponents.clear();
    exponents.extend(x.iter().zip(y).map(|(x, y)| *x + *y));
    let sum = softmax_in_place(exponents, &[], false);
    T::from_f64(if sum == f64::NEG_INFINITY { 0.0 } else { sum })
}

/// For each key the places of the list where it stands.
fn places(keys: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut places = vec![Vec::new(); count];
    for (place, &key) in (0..).zip(keys) {
        places[key as usize].push(place);
    }
    places
}

/// What the backward pass reads.
struct Gradients<'a, T> {
    pairs: &'a PositivePairs,
    masked: &'a [T],
    y: &'a [T],
    sums: &'a [T],
    gradient: &'a [T],
}

impl<T: Real> Gradients<'_, T> {
    /// Adds what a pair gives to each negative: its gradient times `e^{x + y − E}`.
    fn add(&self, place: u32, out: &mut [T]) {
        let (place, width) = (place as usize, self.pairs.references);
        let row = |of: &'_ [u32]| {
            let row = of[place] as usize;
            row * width..(row + 1) * width
        };
        let x = &self.masked[row(&self.pairs.anchors)];
        let y = &self.y[row(&self.pairs.positives)];
        add_softmax_of_sums(out, x, y, self.sums[place], self.gradient[place]);
    }

    /// What the pairs at `places[i]` give, for each row i.
    fn of_rows(&self, places: &[Vec<u32>]) -> Vec<T> {
        let width = self.pairs.references;
        let mut gradient = vec![T::ZERO; places.len() * width];
        for_each_row(&mut gradient, width, |i, out| {
            places[i].iter().for_each(|&place| self.add(place, out));
        });
        gradient
    }
}
