//! Losses with a value for each pair, as a formula of its entry of the matrix and of the anchor's negatives.
//!
//! ```text
//! ℓ(a,p) = f(x(a,p), N(a))        N(a) = ln Σₙ w e^{g(x(a,n))}
//! ```
//!
//! The formula is written once, over [`Expression`]. On the CPU each row of the matrix is visited once, and `N` is taken
//! once an anchor; what all values of an anchor have as derivative in it is added up and scales the gradient of `N`.

use std::fmt::Debug;

use candle_core::Tensor;
use dml_core::autograd::Element;
use dml_core::kernels::Real;
use dml_core::kernels::sum_within::Within;
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::side::{Anchor, Side};

/// The value of a pair.
pub(crate) trait PairFormula: Copy + Debug + Send + Sync + 'static {
    /// Whether a value depends on the anchor's negatives, and not on its own entry alone. Then a pair whose anchor has no
    /// negative has the value 0.
    const READS_NEGATIVES: bool = false;

    /// The value of a pair with the entry `x`, given `N` of its anchor, which is a number without meaning where it is not
    /// read.
    fn value<E: Expression>(&self, x: E, negatives: E) -> E;

    /// `g`, the exponent of a negative with the entry `x`.
    #[inline(always)]
    fn exponent<E: Expression>(&self, x: E) -> E {
        x
    }
}

/// The kept values of one anchor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeptValues {
    pub(crate) sum: f64,
    pub(crate) count: u64,
    /// The derivative of the sum in what all values of the anchor share.
    pub(crate) in_shared: f64,
}

impl<F: PairFormula> PairSums for F {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let (anchors, others) = set.rows(list);
        let x = set.matrix.pick_entries(anchors, others)?; // [P]
        if !F::READS_NEGATIVES {
            return Composite::of(&x, |x| of_entry(self, x));
        }
        let exponents = Composite::of(&set.matrix, |x| self.exponent(x))?;
        let (negatives, any) = set.pairs.negative_log_sum_exp(&exponents)?; // [Q]
        let anchors = Tensor::new(anchors, set.matrix.device())?;
        let negatives = negatives.index_select(&anchors, 0)?; // [P]
        let values = Composite::of_all([&x, &negatives], |[x, n]| self.value(x, n))?;
        let any = any.index_select(&anchors, 0)?;
        Ok(any.where_cond(&values, &values.zeros_like()?)?)
    }

    fn of_entries(&self) -> Option<impl Fn(&Tensor) -> Result<Tensor>> {
        (!F::READS_NEGATIVES).then_some(|x: &Tensor| Composite::of(x, |x| of_entry(self, x)))
    }

    fn sums(&self, set: &PairSet, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums> {
        for_element!(set.matrix, "matrix", |T| {
            let within = Within::<T>::new(low, high);
            sums_where(
                self,
                set,
                #[inline(always)]
                move |value| within.holds(value),
            )
        })
    }
}

/// The value of a pair that depends on its own entry alone.
#[inline(always)]
fn of_entry<F: PairFormula, E: Expression>(formula: &F, x: E) -> E {
    let unread = x.constant(0.0);
    formula.value(x, unread)
}

/// The sum of the values of each anchor that `keeps` keeps, and how many they are.
pub(crate) fn sums_where<T: Element, F: PairFormula>(
    formula: &F,
    set: &PairSet,
    keeps: impl Fn(T) -> bool + Copy + Sync,
) -> Result<AnchorSums> {
    set.sums_of_rows::<T>(
        #[inline(always)]
        |row, anchor| {
            let (formula, keeps) = (*formula, keeps);
            if !F::READS_NEGATIVES {
                let side = anchor.side(set.over);
                side.read(row);
                return side.sum_where(
                    keeps,
                    #[inline(always)]
                    |x| of_entry(&formula, Dual::<T>::variable(0, x)).spread_nan(),
                );
            }
            let Anchor {
                positives,
                negatives,
            } = anchor;
            positives.read(row);
            if positives.is_empty() || negatives.is_empty() {
                return positives.sum_where(keeps, |_| Dual::<T>::number(T::ZERO));
            }
            negatives.read(row);
            let (index, sum) = negatives.log_sum_exp(
                false,
                true,
                #[inline(always)]
                |x| formula.exponent(x),
            );
            let sum = <T as Real>::from_f64(sum);
            let kept = positives.sum_where(
                keeps,
                #[inline(always)]
                |x| {
                    let value = formula.value(Dual::variable(0, x), Dual::variable(1, sum));
                    Dual::<T, 2>::spread_nan(value)
                },
            );
            negatives.factors[index] = kept.in_shared;
            kept
        },
    )
}

impl<T: Real> Side<T> {
    /// Sums the values that are kept, each times its weight, and leaves the gradient of the sum. `f` is a function of the
    /// entry of a pair, and, as a second variable, of what all values of the anchor share.
    #[inline(always)]
    pub(crate) fn sum_where<const N: usize>(
        &mut self,
        keeps: impl Fn(T) -> bool,
        f: impl Fn(T) -> Dual<T, N>,
    ) -> KeptValues {
        let index = self.push_gradient(
            #[inline(always)]
            |_| T::ZERO,
        );
        if self.times.is_empty() && self.weights.is_empty() {
            let (x, gradient) = (&self.x, &mut self.gradients[index]);
            return sum_singles_where(x, gradient, keeps, f);
        }
        let mut kept = KeptValues::default();
        for i in 0..self.x.len() {
            let Dual { value, gradient } = f(self.x[i]);
            let (times, weight) = (self.times(i), self.weight(i));
            if keeps(weight * value) {
                let factor = times * weight;
                kept.sum += (factor * value).to_f64();
                kept.in_shared += (factor * in_shared(&gradient)).to_f64();
                kept.count += times.to_f64() as u64;
                self.gradients[index][i] = factor * gradient[0];
            }
        }
        kept
    }
}

/// The same where every pair counts once, without a branch and with as many sums as a vector has room for.
#[inline(always)]
fn sum_singles_where<T: Real, const N: usize>(
    x: &[T],
    gradient: &mut [T],
    keeps: impl Fn(T) -> bool,
    f: impl Fn(T) -> Dual<T, N>,
) -> KeptValues {
    let mut sums = Sums::default();
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (gradient, gradient_rest) = gradient.as_chunks_mut::<LANES>();
    for (x, gradient) in x.iter().zip(gradient) {
        for lane in 0..LANES {
            let pair = f(x[lane]);
            gradient[lane] = sums.add_if(keeps(pair.value), lane, pair);
        }
    }
    for (lane, (x, gradient)) in x_rest.iter().zip(gradient_rest).enumerate() {
        let pair = f(*x);
        *gradient = sums.add_if(keeps(pair.value), lane, pair);
    }
    KeptValues {
        sum: sums.values.iter().sum(),
        count: sums.counts.iter().map(|count| u64::from(*count)).sum(),
        in_shared: sums.in_shared.iter().sum(),
    }
}

const LANES: usize = 8;

/// Sums of kept values that run side by side.
#[derive(Default)]
struct Sums {
    values: [f64; LANES],
    in_shared: [f64; LANES],
    counts: [u32; LANES],
}

impl Sums {
    /// Adds the value of a pair that is kept. The derivative in the entry of the pair, which is 0 if it is not kept.
    #[inline(always)]
    fn add_if<T: Real, const N: usize>(
        &mut self,
        is_kept: bool,
        lane: usize,
        pair: Dual<T, N>,
    ) -> T {
        let kept = |number: T| if is_kept { number } else { T::ZERO };
        self.values[lane] += kept(pair.value).to_f64();
        self.in_shared[lane] += kept(in_shared(&pair.gradient)).to_f64();
        self.counts[lane] += u32::from(is_kept);
        kept(pair.gradient[0])
    }
}

/// The derivative in what all values of an anchor share: the second variable, if there is one.
#[inline(always)]
fn in_shared<T: Real>(gradient: &[T]) -> T {
    gradient.get(1).copied().unwrap_or(T::ZERO)
}
