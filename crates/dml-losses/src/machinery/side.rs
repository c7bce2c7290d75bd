//! The pairs of one kind of one anchor, in memory that the next anchor uses again.

use dml_core::kernels::Real;
use dml_core::{Over, RowCounts};

/// How many gradients a side keeps: one for each number that a formula takes from it.
pub(crate) const GRADIENTS: usize = 2;

/// Reference rows of one kind of one anchor, with their entries of the anchor's row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side<T> {
    /// Which reference rows.
    pub(crate) rows: Vec<u32>,
    /// How often each counts; empty where each counts once.
    pub(crate) times: Vec<T>,
    /// The weight of each in the relation; empty where each is 1.
    pub(crate) weights: Vec<T>,
    /// The entry of each in the anchor's row of the matrix.
    pub(crate) x: Vec<T>,
    /// The gradients of numbers that a formula took from the entries.
    pub(crate) gradients: [Vec<T>; GRADIENTS],
    /// What they are multiplied by in the gradient of the anchor's value.
    pub(crate) factors: [f64; GRADIENTS],
    /// How many gradients there are.
    used: usize,
}

/// Positives and negatives of one anchor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchor<T> {
    pub(crate) positives: Side<T>,
    pub(crate) negatives: Side<T>,
}

impl<T> Anchor<T> {
    /// The pairs of the kind that a term is over.
    pub(crate) fn side(&mut self, over: Over) -> &mut Side<T> {
        match over {
            Over::NegativePairs => &mut self.negatives,
            _ => &mut self.positives,
        }
    }
}

impl<T: Real> Side<T> {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.times.clear();
        self.weights.clear();
        self.factors = [1.0; GRADIENTS];
        self.used = 0;
    }

    /// Whether there is no pair on this side.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How often the i-th row counts.
    #[inline(always)]
    pub(crate) fn times(&self, i: usize) -> T {
        self.times.get(i).copied().unwrap_or(T::ONE)
    }

    /// The weight of the i-th row.
    #[inline(always)]
    pub(crate) fn weight(&self, i: usize) -> T {
        self.weights.get(i).copied().unwrap_or(T::ONE)
    }

    /// Takes rows that were appended to the memory of this side.
    pub(crate) fn put(&mut self, counts: RowCounts) {
        self.rows = counts.rows;
        let times = counts.times.iter().map(|times| T::from_f64(*times as f64));
        self.times.extend(times);
    }

    /// Takes the entries of these rows out of the anchor's row of the matrix.
    #[inline(always)]
    pub(crate) fn read(&mut self, row: &[T]) {
        self.x.clear();
        self.x.extend(self.rows.iter().map(|&r| row[r as usize]));
    }

    /// A function of each entry as the next gradient, beside the entries themselves; its index.
    #[inline(always)]
    pub(crate) fn push_gradient(&mut self, of_entry: impl Fn(T) -> T) -> usize {
        let gradient = &mut self.gradients[self.used];
        gradient.resize(self.x.len(), T::ZERO);
        for (gradient, x) in gradient.iter_mut().zip(&self.x) {
            *gradient = of_entry(*x);
        }
        self.used += 1;
        self.used - 1
    }

    /// Adds each gradient, times its factor, to that of the anchor's row.
    #[inline(always)]
    pub(crate) fn add_gradients(&self, row: &mut [T]) {
        for (gradient, factor) in self.gradients[..self.used].iter().zip(&self.factors) {
            // What a formula does not depend on adds nothing, not even where it is infinite.
            if *factor == 0.0 {
                continue;
            }
            let factor = T::from_f64(*factor);
            for (&r, gradient) in self.rows.iter().zip(gradient) {
                row[r as usize] += factor * *gradient;
            }
        }
    }
}
