//! What becomes of a loss when a row that takes part in it is no number.
//!
//! Hinges, largest values, selections and means over what is above 0 are made of comparisons, and no comparison with
//! NaN holds: left to themselves they would drop the row, and report a loss of 0 for a network whose weights are gone.
//! So the rows are looked at before a loss compares them, in one pass over `[rows, dim]`.

use std::sync::OnceLock;

use candle_core::{DType, Tensor};
use dml_kernels::finite;

use super::Batch;
use crate::autograd::{has_kernel, with_slice};
use crate::{PairKind, Relation, Result, Term, Terms, Tuples, for_element};

/// The rows that hold NaN or an infinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    queries: Vec<u32>,
    /// The queries, where they are compared among themselves.
    references: Vec<u32>,
}

impl Broken {
    fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.references.is_empty()
    }
}

impl Batch {
    /// The terms of any loss over `tuples` if a row that takes part is not finite: one scalar, NaN, with gradient NaN in
    /// every entry of the rows. `None` if all that take part are finite: then the loss is computed.
    ///
    /// A row takes part if it is in one of the tuples; with [`Tuples::all`], unless the relation ignores all of its
    /// pairs. A loss that compares rows asks first, a miner by [`is_spoiled`](Batch::is_spoiled):
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Result, Term, Terms, Tuples};
    ///
    /// fn terms(batch: &Batch, tuples: &Tuples) -> Result<Terms> {
    ///     if let Some(terms) = batch.spoiled(tuples)? {
    ///         return Ok(terms);
    ///     }
    ///     Ok(Term::empty("loss").into())
    /// }
    ///
    /// let embeddings = Tensor::new(&[[1f32, f32::NAN], [0.9, 0.1]], &Device::Cpu)?;
    /// let terms = terms(&Batch::new(&embeddings, &[0i64, 0])?, &Tuples::all())?;
    /// let (value, _) = terms.get("loss").unwrap().values()?;
    /// assert!(value.to_scalar::<f32>()?.is_nan());
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it, and as [`Tuples::check`] for tuples of another
    /// batch.
    pub fn spoiled(&self, tuples: &Tuples) -> Result<Option<Terms>> {
        self.terms_if(|broken| self.takes_part(broken, tuples))
    }

    /// As [`spoiled`](Batch::spoiled), for a loss that compares every row with something, whatever relation and tuples say,
    /// such as one over classes.
    ///
    /// # Errors
    /// As [`spoiled`](Batch::spoiled).
    pub fn spoiled_rows(&self) -> Result<Option<Terms>> {
        self.terms_if(|_| Ok(true))
    }

    /// Whether a row that takes part is not finite. Nothing can be said of what is hard or easy then: a miner keeps
    /// everything, so that the loss sees the row.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    pub fn is_spoiled(&self) -> Result<bool> {
        let broken = self.broken()?;
        Ok(!broken.is_empty() && self.takes_part(&broken, &Tuples::all())?)
    }

    fn terms_if(&self, takes_part: impl FnOnce(&Broken) -> Result<bool>) -> Result<Option<Terms>> {
        let broken = self.broken()?;
        if broken.is_empty() || !takes_part(&broken)? {
            return Ok(None);
        }
        let nan = |rows: &Tensor| rows.affine(f64::NAN, 0.0)?.sum_all();
        let mut value = nan(&self.embeddings)?;
        if let Some(reference) = &self.reference {
            value = (value + nan(reference)?)?;
        }
        // The sum over no rows at all is 0.
        let value = value.affine(1.0, f64::NAN)?;
        Ok(Some(Term::scalar("loss", value)?.into()))
    }

    /// The rows that are not finite. Copies of a batch that share their distances look once.
    fn broken(&self) -> Result<Broken> {
        let known = self.shared.as_ref().map(|shared| &shared.broken);
        if let Some(broken) = known.and_then(OnceLock::get) {
            return Ok(broken.clone());
        }
        let queries = not_finite(&self.embeddings)?;
        let references = match &self.reference {
            Some(reference) => not_finite(reference)?,
            None => queries.clone(),
        };
        let broken = Broken {
            queries,
            references,
        };
        Ok(known
            .map_or(&broken, |known| known.get_or_init(|| broken.clone()))
            .clone())
    }

    fn takes_part(&self, broken: &Broken, tuples: &Tuples) -> Result<bool> {
        if !tuples.is_all() {
            return self.is_named(broken, tuples);
        }
        let Some(relation) = self.relation() else {
            return Ok(true);
        };
        let counts = |row: &u32, is_query| !is_ignored(relation, *row as usize, is_query);
        let mut queries = broken.queries.iter();
        let mut references = broken.references.iter();
        Ok(queries.any(|row| counts(row, true)) || references.any(|row| counts(row, false)))
    }

    /// Whether one of the rows is in one of the tuples that are given.
    fn is_named(&self, broken: &Broken, tuples: &Tuples) -> Result<bool> {
        let pairs = tuples.pair_sets(self)?;
        let others = |q: usize| pairs.positives(q).chain(pairs.negatives(q));
        let mut queries = broken.queries.iter();
        if queries.any(|q| others(*q as usize).next().is_some()) {
            return Ok(true);
        }
        let references = &broken.references;
        let mut named = (0..pairs.queries()).flat_map(others);
        Ok(!references.is_empty() && named.any(|r| references.binary_search(&r).is_ok()))
    }
}

/// Whether the relation ignores every pair of a row with another, and there is one.
fn is_ignored(relation: &Relation, row: usize, is_query: bool) -> bool {
    let others = match is_query {
        true => relation.references(),
        false => relation.queries(),
    };
    let mut pairs = (0..others)
        .map(|other| if is_query { (row, other) } else { (other, row) })
        .filter(|(q, r)| relation.self_match(*q) != Some(*r))
        .map(|(q, r)| relation.pair_kind(q, r))
        .peekable();
    pairs.peek().is_some() && pairs.all(|kind| kind == PairKind::Ignored)
}

fn not_finite(rows: &Tensor) -> Result<Vec<u32>> {
    if has_kernel(rows) {
        let width = rows.dims()[1];
        return for_element!(rows, "embeddings", |T| with_slice(rows, |x: &[T]| {
            finite::rows_not_finite(x, width)
        }));
    }
    if rows.elem_count() == 0 {
        return Ok(Vec::new());
    }
    // A number times 0 is 0. One number says whether all are finite; the rows come from the device only if not.
    let nothing = rows.detach().affine(0.0, 0.0)?;
    let number = |sum: Tensor| sum.to_dtype(DType::F64)?.to_scalar::<f64>();
    if number(nothing.sum_all()?)? == 0.0 {
        return Ok(Vec::new());
    }
    let sums = nothing.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let broken = (0..).zip(sums).filter(|(_, sum)| *sum != 0.0);
    Ok(broken.map(|(row, _)| row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::without_kernels;
    use crate::{Pairs, Triplets};
    use candle_core::{Device, Var};

    const NAN: f64 = f64::NAN;

    fn rows<const N: usize>(x: &[[f64; 2]; N]) -> Var {
        Var::new(x, &Device::Cpu).unwrap()
    }

    fn both_forms(check: impl Fn() -> Result<()>) -> Result<()> {
        check()?;
        without_kernels(&check)
    }

    #[test]
    fn a_row_that_is_no_number_makes_value_and_gradient_none() -> Result<()> {
        both_forms(|| {
            for broken in [NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let x = rows(&[[1.0, 0.0], [0.0, broken], [1.0, 1.0]]);
                let batch = Batch::new(&x, [0i64, 0, 1])?;
                assert!(batch.is_spoiled()?);
                let terms = batch.spoiled(&Tuples::all())?.unwrap();
                let (value, _) = terms.get("loss").unwrap().values()?;
                assert!(value.to_scalar::<f64>()?.is_nan());
                let store = value.backward()?;
                let gradient = store.get(x.as_tensor()).unwrap().flatten_all()?;
                assert!(gradient.to_vec1::<f64>()?.iter().all(|g| g.is_nan()));
            }
            let x = rows(&[[f64::MAX, f64::MIN], [0.0, -0.0], [1e-320, 1.0]]);
            assert!(
                Batch::new(&x, [0i64, 0, 1])?
                    .spoiled(&Tuples::all())?
                    .is_none()
            );
            Ok(())
        })
    }

    #[test]
    fn references_take_part_and_have_gradients() -> Result<()> {
        both_forms(|| {
            let (x, r) = (rows(&[[1.0, 0.0]]), rows(&[[0.0, 1.0], [NAN, 1.0]]));
            let batch = Batch::new(&x, [0i64])?.with_reference(&r, [0i64, 1])?;
            let (value, _) = batch
                .spoiled(&Tuples::all())?
                .unwrap()
                .iter()
                .next()
                .unwrap()
                .values()?;
            let store = value.backward()?;
            for leaf in [&x, &r] {
                let gradient = store.get(leaf.as_tensor()).unwrap().flatten_all()?;
                assert!(gradient.to_vec1::<f64>()?.iter().all(|g| g.is_nan()));
            }
            Ok(())
        })
    }

    #[test]
    fn rows_outside_of_the_tuples_or_ignored_by_the_relation_take_no_part() -> Result<()> {
        let x = rows(&[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [NAN, 1.0]]);
        let batch = Batch::new(&x, [0i64, 0, 1, 1])?;
        let without: Tuples = Triplets::new(vec![0], vec![1], vec![2])?.into();
        let with: Tuples = Pairs::new(vec![0], vec![1], vec![1], vec![3])?.into();
        assert!(batch.spoiled(&without)?.is_none());
        assert!(batch.spoiled(&with)?.is_some());
        assert!(Batch::unlabeled(&x)?.is_spoiled()?);
        // 1 is positive, 0 negative, −1 ignored: nothing is said of row 3, then that it is a negative of row 0.
        let (p, n, i) = (1f32, 0f32, -1f32);
        let mut weights = [i, p, n, i, p, i, n, i, n, n, i, i, i, i, i, i];
        let ignored = Relation::matrix(&weights, 4, 4)?.with_diagonal_self_matches()?;
        let batch = batch.with_relation(ignored)?;
        assert!(batch.spoiled(&Tuples::all())?.is_none() && !batch.is_spoiled()?);
        assert!(batch.spoiled_rows()?.is_some(), "classes ask no relation");
        weights[3] = n;
        let reached = Relation::matrix(&weights, 4, 4)?.with_diagonal_self_matches()?;
        assert!(batch.with_relation(reached)?.is_spoiled()?);
        Ok(())
    }

    #[test]
    fn a_row_alone_and_no_rows_at_all() -> Result<()> {
        let alone = Batch::new(&rows(&[[NAN, 1.0]]), [0i64])?;
        assert!(
            alone.is_spoiled()?,
            "there is nobody to say that it is ignored"
        );
        let none = Tensor::zeros((0, 2), DType::F64, &Device::Cpu)?;
        assert!(!Batch::unlabeled(&none)?.is_spoiled()?);
        without_kernels(|| {
            assert!(!Batch::unlabeled(&none)?.is_spoiled()?);
            Ok(())
        })
    }

    #[test]
    fn copies_that_share_look_once() -> Result<()> {
        let x = rows(&[[NAN, 1.0], [0.0, 1.0]]);
        let batch = Batch::new(&x, [0i64, 0])?.sharing();
        assert!(batch.is_spoiled()? && batch.detach().is_spoiled()?);
        assert_eq!(
            batch.shared.as_ref().unwrap().broken.get(),
            Some(&Broken {
                queries: vec![0],
                references: vec![0],
            })
        );
        Ok(())
    }
}
