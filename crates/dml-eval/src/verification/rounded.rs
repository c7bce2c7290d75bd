//! The curve of more pairs than fit into memory: pairs are counted by their closeness, rounded.
//!
//! ```text
//! closeness = ± 2^e · 1.m₁m₂m₃…   pairs with the same sign, e and m₁ … m₁₆ count as tied
//! ```

use std::collections::BTreeMap;

use dml_core::{Batch, Distance, Order, PairKind, Relation, Result, check};
use rayon::prelude::*;

use super::curve::{Counts, Verification};
use crate::rows::distance_blocks::each_block;

/// Binary digits that are told apart.
const DIGITS: u32 = 16;

/// Histograms that are filled at once, at most: each has pages of its own, and a machine may have many cores.
const PARTS: usize = 8;

impl Verification {
    /// As [`of_batch`](Verification::of_batch), in memory that does not grow with the number of pairs: values of closeness
    /// that differ by less than one part in 65,536 may count as tied. For all pairs of 10,000 rows and more.
    ///
    /// The rates at each [point](Verification::roc) are exact; some points in between are left out. So the best accuracy,
    /// the best F1 and TAR@FAR are at most the exact ones, and AUC differs from its exact value by no more than half the
    /// chance that a same and a different pair are tied.
    ///
    /// Memory: 1.5 MiB for each power of two that values of closeness have, of either sign, at most nine times over,
    /// whatever the number of threads; and a block of distances. Cosines of millions of rows have about 60 powers.
    ///
    /// ```
    /// use dml_core::{Batch, Distance, Result, TensorExt, candle_core::{Device, Tensor}};
    /// use dml_eval::Verification;
    /// # #[derive(Debug)]
    /// # struct Euclidean;
    /// # impl Distance for Euclidean {
    /// #     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
    /// #         query.pairwise_lp(reference.unwrap_or(query), 2.0)
    /// #     }
    /// # }
    ///
    /// let rows = Tensor::new(&[[0f32], [1.], [3.], [3.5]], &Device::Cpu)?;
    /// let batch = Batch::new(&rows, [0i64, 0, 0, 1])?;
    /// let verification = Verification::of_batch_rounded(&batch, &Euclidean)?;
    /// // Same: 1, 3 and 2; different: 3.5, 2.5 and 0.5.
    /// assert_eq!(verification.auc(), 5. / 9.);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`of_batch`](Verification::of_batch).
    pub fn of_batch_rounded(batch: &Batch, distance: &dyn Distance) -> Result<Self> {
        let relation = batch.require_relation("Verification")?;
        let references = batch.references().max(1);
        let order = distance.order();
        let mut parts = parts();
        each_block(batch, distance, |start, matrix| {
            let rows = (matrix.len() / references).div_ceil(parts.len()).max(1);
            let chunks = matrix.par_chunks(rows * references).enumerate();
            parts
                .par_iter_mut()
                .zip(chunks)
                .for_each(|(part, (at, chunk))| {
                    part.count(relation, start + at * rows, chunk, references, order);
                });
        })?;
        let mut whole = Histogram::default();
        for part in parts {
            whole.merge(part);
        }
        check::parameter(!whole.has_nan, "closeness", f64::NAN, "numbers")?;
        Self::of_counts(whole.steps(), order)
    }
}

/// One histogram for each thread, up to a bound. Whole numbers add up to the same however they are parted.
fn parts() -> Vec<Histogram> {
    vec![Histogram::default(); rayon::current_num_threads().min(PARTS)]
}

/// Pairs that are tied.
#[derive(Clone, Copy, Debug)]
struct Bin {
    counts: Counts,
    /// The least close of them.
    loosest: f64,
}

/// Pairs by closeness, which is a distance here: smaller is closer.
#[derive(Clone, Debug, Default)]
struct Histogram {
    /// By sign and exponent, one bin for all that share their digits.
    pages: BTreeMap<u64, Vec<Bin>>,
    has_nan: bool,
}

impl Histogram {
    const EMPTY: Bin = Bin {
        counts: Counts {
            same: 0,
            different: 0,
        },
        loosest: f64::NEG_INFINITY,
    };

    fn page(&mut self, page: u64) -> &mut Vec<Bin> {
        let empty = || vec![Self::EMPTY; 1 << DIGITS];
        self.pages.entry(page).or_insert_with(empty)
    }

    /// Counts rows of the distance matrix, the first of which is that of query `first`.
    fn count(
        &mut self,
        relation: &Relation,
        first: usize,
        rows: &[f64],
        references: usize,
        order: Order,
    ) {
        let sign = order.sign();
        for (q, row) in (first..).zip(rows.chunks_exact(references)) {
            for (r, value) in row.iter().enumerate() {
                let same = match relation.pair_kind(q, r) {
                    PairKind::Positive(_) => true,
                    PairKind::Negative(_) => false,
                    PairKind::Ignored => continue,
                };
                // Adding 0 turns −0 into 0: they are the same value.
                let value = sign * value + 0.0;
                if value.is_nan() {
                    self.has_nan = true;
                    continue;
                }
                let key = ascending(value);
                let digits = (key >> (52 - DIGITS)) & ((1 << DIGITS) - 1);
                let bin = &mut self.page(key >> 52)[digits as usize];
                bin.counts.same += u64::from(same);
                bin.counts.different += u64::from(!same);
                bin.loosest = bin.loosest.max(value);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.has_nan |= other.has_nan;
        for (page, bins) in other.pages {
            for (own, bin) in self.page(page).iter_mut().zip(bins) {
                own.counts.same += bin.counts.same;
                own.counts.different += bin.counts.different;
                own.loosest = own.loosest.max(bin.loosest);
            }
        }
    }

    /// The least close value of each bin and its pairs, closest first.
    fn steps(&self) -> impl Iterator<Item = (f64, Counts)> {
        let bins = self.pages.values().flatten();
        bins.filter(|bin| bin.counts != Counts::default())
            .map(|bin| (bin.loosest, bin.counts))
    }
}

/// The bits of a number, such that larger numbers have larger ones.
fn ascending(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_sign_negative() {
        !bits
    } else {
        bits | 1 << 63
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use dml_core::Error;
    use dml_core::TensorExt;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The dot product, as a similarity: of either sign.
    #[derive(Debug)]
    struct Dot;

    impl Distance for Dot {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            query.pairwise_dot(reference.unwrap_or(query))
        }

        fn order(&self) -> Order {
            Order::LargerIsCloser
        }
    }

    fn batch(rows: &[[f64; 2]], labels: &[i64]) -> Batch {
        let rows = Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu);
        Batch::new(&rows.unwrap(), labels).unwrap()
    }

    #[test]
    fn few_values_that_are_apart_give_the_exact_curve() -> Result<()> {
        // Dot products of small whole numbers: ties, zeros, both signs.
        let rows: Vec<[f64; 2]> = (0..30)
            .map(|i| [f64::from(i % 5) - 2.0, f64::from(i % 7) - 3.0])
            .collect();
        let labels: Vec<i64> = (0..30).map(|i| i / 10).collect();
        let batch = batch(&rows, &labels);
        let (exact, rounded) = (
            Verification::of_batch(&batch, &Dot)?,
            Verification::of_batch_rounded(&batch, &Dot)?,
        );
        assert_eq!(exact.roc(), rounded.roc());
        assert_eq!(exact.auc(), rounded.auc());
        Ok(())
    }

    #[test]
    fn points_are_exact_and_what_is_left_out_is_bounded() -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        // All products lie within a part in 256 of each other, so that many share a bin.
        let rows: Vec<[f64; 2]> = (0..300)
            .map(|_| [1.0 + rng.random_range(0.0..1.0 / 512.0), 0.0])
            .collect();
        let labels: Vec<i64> = (0..300).map(|_| rng.random_range(0..3)).collect();
        let batch = batch(&rows, &labels);
        let (exact, rounded) = (
            Verification::of_batch(&batch, &Dot)?,
            Verification::of_batch_rounded(&batch, &Dot)?,
        );
        let (all, some) = (exact.roc(), rounded.roc());
        assert!(
            some.len() > 100 && some.len() * 20 < all.len(),
            "{}",
            some.len()
        );
        assert!(some.iter().all(|point| all.contains(point)));
        let (mut tied, mut before) = (0.0, some[0]);
        for point in &some[1..] {
            tied += (point.true_accept_rate - before.true_accept_rate)
                * (point.false_accept_rate - before.false_accept_rate);
            before = *point;
        }
        assert!((exact.auc() - rounded.auc()).abs() <= tied / 2.0 && tied < 0.01);
        assert!(rounded.best_accuracy().value <= exact.best_accuracy().value);
        let at = |curve: &Verification| curve.at_false_accept_rate(0.1);
        assert!(at(&rounded)?.true_accept_rate <= at(&exact)?.true_accept_rate);
        Ok(())
    }

    #[test]
    fn threads_change_neither_the_curve_nor_the_memory() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let rows: Vec<[f64; 2]> = (0..90)
            .map(|_| [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)])
            .collect();
        let labels: Vec<i64> = (0..90).map(|i| i % 4).collect();
        let batch = batch(&rows, &labels);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let measured = pool.unwrap().install(|| {
                let curve = Verification::of_batch_rounded(&batch, &Dot).unwrap();
                (parts().len(), curve.roc().to_vec(), curve.auc())
            });
            assert_eq!(measured.0, threads.min(PARTS));
            (measured.1, measured.2)
        };
        let one = on(1);
        for threads in [3, PARTS, 40] {
            assert_eq!(on(threads), one, "{threads}");
        }
    }

    #[test]
    fn numbers_ascend_as_their_bits_do() {
        let numbers = [
            f64::NEG_INFINITY,
            -2.5,
            -1.0,
            -1e-310,
            0.0,
            1e-310,
            0.5,
            1.0,
            f64::INFINITY,
        ];
        assert!(numbers.map(ascending).is_sorted());
    }

    #[test]
    fn pairs_without_a_number_or_of_one_kind_are_refused() {
        let odd = batch(&[[1., 0.], [f64::NAN, 0.], [2., 0.]], &[0, 0, 1]);
        assert!(matches!(
            Verification::of_batch_rounded(&odd, &Dot),
            Err(Error::InvalidParameter {
                name: "closeness",
                ..
            })
        ));
        let one = batch(&[[1., 0.], [2., 0.]], &[0, 0]);
        assert!(matches!(
            Verification::of_batch_rounded(&one, &Dot),
            Err(Error::Unsupported { .. })
        ));
    }
}
