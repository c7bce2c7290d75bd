//! What keeps a query from a key.

use dml_core::kernels::Real;

use crate::kernels::dropout::Factors;

/// Masks and dropout of an attention.
#[derive(Clone, Debug)]
pub(crate) struct Mask<'a, T> {
    /// Factor of the products of queries and keys.
    pub(crate) scale: T,
    /// Whether query i sees only the keys up to i.
    pub(crate) causal: bool,
    /// `[batch, keys]`: keys that no query sees are not 0; empty for none.
    pub(crate) ignored: &'a [u8],
    /// Numbers that are added to the scores, with strides of sample, head and query.
    pub(crate) added: Option<(&'a [T], [usize; 3])>,
    /// The factors of the probabilities `[batch, heads, queries, keys]`, in row-major order.
    pub(crate) dropped: Option<&'a Factors>,
}

impl<T: Real> Mask<'_, T> {
    /// Number of keys of a sample up to the last one that queries see. `numbers` become 0 for those that they see and −∞ for
    /// the others, or empty if they see all.
    pub(super) fn of_keys(&self, batch: usize, keys: usize, numbers: &mut Vec<T>) -> usize {
        numbers.clear();
        if self.ignored.is_empty() {
            return keys;
        }
        let ignored = &self.ignored[batch * keys..][..keys];
        let seen = ignored
            .iter()
            .rposition(|x| *x == 0)
            .map_or(0, |last| last + 1);
        if ignored[..seen].iter().all(|x| *x == 0) {
            return seen;
        }
        let minus_infinity = T::from_f64(f64::NEG_INFINITY);
        let number = |x: &u8| if *x == 0 { T::ZERO } else { minus_infinity };
        numbers.extend(ignored[..seen].iter().map(number));
        seen
    }
}
