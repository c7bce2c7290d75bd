//! Terms: the values of a loss before their reduction, one per element, pair or triplet.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::tensor_ext::PartialSum;
use crate::{Error, Result, TensorExt, Triplets, check};

/// What the values of a term belong to: see [`Term::explicit`].
///
/// ```
/// use dml_core::{Over, Term, candle_core::{Device, Tensor}};
///
/// let term = Term::scalar("loss", Tensor::new(2f32, &Device::Cpu)?)?;
/// assert_eq!(term.over(), Over::Scalar);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Over {
    /// The term is one number already.
    Scalar,
    /// Rows of the batch (or proxies).
    Elements,
    /// Pairs of an anchor and a positive.
    PositivePairs,
    /// Pairs of an anchor and a negative.
    NegativePairs,
    /// Triplets.
    Triplets,
}

/// Which rows each value of a term belongs to.
///
/// ```
/// use dml_core::Indices;
///
/// let pairs = Indices::Pairs { anchors: vec![0, 0, 1], others: vec![1, 2, 0] };
/// assert_eq!(pairs.anchors(), [0, 0, 1]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Indices {
    /// None: the term is a scalar.
    None,
    /// One row a value.
    Elements(Vec<u32>),
    /// A query row and a reference row a value.
    Pairs {
        /// Query rows.
        anchors: Vec<u32>,
        /// Reference rows.
        others: Vec<u32>,
    },
    /// Three rows a value.
    Triplets(Arc<Triplets>),
}

impl Indices {
    /// The first row of each value: the element, or the anchor of the pair or triplet.
    #[must_use]
    pub fn anchors(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::Elements(rows) | Self::Pairs { anchors: rows, .. } => rows,
            Self::Triplets(triplets) => &triplets.anchors,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 1,
            _ => self.anchors().len(),
        }
    }
}

/// The sums of the values of a term, anchor by anchor.
///
/// ```
/// use dml_core::{AnchorSums, candle_core::{Device, Tensor}};
///
/// let values = Tensor::new(&[1f32, 2., 4.], &Device::Cpu)?;
/// let by_anchor = AnchorSums::new(&values, &[0, 2, 2], 3)?;
/// assert_eq!(by_anchor.sums.to_vec1::<f32>()?, [1., 0., 6.]);
/// assert_eq!(by_anchor.counts, [1, 0, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnchorSums {
    /// The sum of the values of each anchor `[anchors]`, with gradient; 0 for an anchor without values.
    pub sums: Tensor,
    /// How many values each anchor has.
    pub counts: Vec<u64>,
}

impl AnchorSums {
    /// The sums of `values` `[n]`, of which value i belongs to anchor `rows[i]`.
    ///
    /// # Errors
    /// As [`TensorExt::sum_by_group`].
    pub fn new(values: &Tensor, rows: &[u32], anchors: usize) -> Result<Self> {
        let sums = values.sum_by_group(rows, anchors)?;
        let mut counts = vec![0; anchors];
        for &row in rows {
            counts[row as usize] += 1;
        }
        Ok(Self { sums, counts })
    }
}

/// Values that are not written out unless [`expand`](ImplicitValues::expand) is called, such as those of all triplets of a
/// batch.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{ImplicitValues, Indices, Over, PartialSum, Result, Term, TensorExt};
///
/// /// The same value for each of `rows` rows.
/// #[derive(Debug)]
/// struct Constant {
///     value: Tensor,
///     rows: usize,
/// }
///
/// impl ImplicitValues for Constant {
///     fn count(&self) -> u64 {
///         self.rows as u64
///     }
///     fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
///         let one = self.value.sum_within(low, high)?;
///         let sum = (one.sum * self.rows as f64)?;
///         Ok(PartialSum { sum, count: one.count * self.count() })
///     }
///     fn expand(&self) -> Result<(Tensor, Indices)> {
///         let rows = (0..self.rows as u32).collect();
///         Ok((self.value.broadcast_as(self.rows)?, Indices::Elements(rows)))
///     }
/// }
///
/// let values = Constant { value: Tensor::new(0.5f32, &Device::Cpu)?, rows: 1000 };
/// let term = Term::implicit("loss", Over::Elements, Arc::new(values));
/// let part = term.sum_within(Some(0.0), None)?;
/// assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (500., 1000));
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait ImplicitValues: Debug + Send + Sync {
    /// How many values there are.
    fn count(&self) -> u64;

    /// Sum and number of the values strictly between the bounds, with gradient. NaN counts whatever the bounds, so that
    /// it is not hidden.
    ///
    /// # Errors
    /// [`Error::Tensor`] if Candle cannot do it.
    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum>;

    /// The values written out, with gradient, and their rows.
    ///
    /// # Errors
    /// [`Error::Tensor`] if Candle cannot do it.
    fn expand(&self) -> Result<(Tensor, Indices)>;

    /// Sum and number of the values of each of `anchors` anchors. The default expands the values; override it where the sums
    /// are known without.
    ///
    /// # Errors
    /// [`Error::Index`] if there is an anchor beyond `anchors`, [`Error::Tensor`] if Candle cannot do it.
    fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        let (values, indices) = self.expand()?;
        AnchorSums::new(&values, indices.anchors(), anchors)
    }
}

#[derive(Clone, Debug)]
enum Values {
    Empty,
    Explicit { values: Tensor, indices: Indices },
    Implicit(Arc<dyn ImplicitValues>),
}

/// One named part of a loss: values, and what they belong to.
///
/// ```
/// use dml_core::{Indices, Over, Term, candle_core::{Device, Tensor}};
///
/// let values = Tensor::new(&[0f32, 2., 3.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// assert_eq!((term.name(), term.count()), ("loss", 3));
/// let positive = term.sum_within(Some(0.0), None)?;
/// assert_eq!((positive.sum.to_scalar::<f32>()?, positive.count), (5., 2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Term {
    name: &'static str,
    over: Over,
    values: Values,
    divisor: Option<f64>,
}

impl Term {
    fn new(name: &'static str, over: Over, values: Values) -> Self {
        Self {
            name,
            over,
            values,
            divisor: None,
        }
    }

    /// A term with nothing in it, which every reducer turns into 0.
    #[must_use]
    pub fn empty(name: &'static str) -> Self {
        Self::new(name, Over::Scalar, Values::Empty)
    }

    /// A term that is one number already.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the tensor holds one number.
    pub fn scalar(name: &'static str, value: Tensor) -> Result<Self> {
        check::shape(value.elem_count() == 1, "value", &value, "one number")?;
        let (values, indices) = (value, Indices::None);
        let values = Values::Explicit { values, indices };
        Ok(Self::new(name, Over::Scalar, values))
    }

    /// A term whose values are a tensor `[n]`, with the rows that each belongs to. None at all make an empty term.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one value per entry of `indices`, [`Error::Unsupported`] if `indices` are of
    /// another kind than `over`.
    pub fn explicit(
        name: &'static str,
        over: Over,
        values: Tensor,
        indices: Indices,
    ) -> Result<Self> {
        let is_same_kind = match over {
            Over::Scalar => false,
            Over::Elements => matches!(indices, Indices::Elements(_)),
            Over::PositivePairs | Over::NegativePairs => matches!(indices, Indices::Pairs { .. }),
            Over::Triplets => matches!(indices, Indices::Triplets(_)),
        };
        let reason = "the indices are of another kind than the term";
        check::supported(is_same_kind, "Term::explicit", reason)?;
        let fits = values.rank() == 1 && values.elem_count() == indices.len();
        check::shape(fits, "values", &values, "[n] with one value per index")?;
        if indices.len() == 0 {
            return Ok(Self::empty(name));
        }
        Ok(Self::new(name, over, Values::Explicit { values, indices }))
    }

    /// A term whose values are not written out.
    #[must_use]
    pub fn implicit(name: &'static str, over: Over, values: Arc<dyn ImplicitValues>) -> Self {
        if values.count() == 0 {
            return Self::empty(name);
        }
        Self::new(name, over, Values::Implicit(values))
    }

    /// What a dividing reducer divides the sum by.
    #[must_use]
    pub fn with_divisor(self, divisor: f64) -> Self {
        Self {
            divisor: Some(divisor),
            ..self
        }
    }

    /// The name of the part, such as `loss` or `pos_loss`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the values belong to.
    #[must_use]
    pub fn over(&self) -> Over {
        self.over
    }

    /// What a dividing reducer divides the sum by, if the loss says.
    #[must_use]
    pub fn divisor(&self) -> Option<f64> {
        self.divisor
    }

    /// Whether there is no value at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.values, Values::Empty)
    }

    /// How many values there are. Nothing is expanded.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.values {
            Values::Empty => 0,
            Values::Explicit { values, .. } => values.elem_count() as u64,
            Values::Implicit(values) => values.count(),
        }
    }

    /// Sum and number of the values strictly above `low` and strictly below `high`, and of NaN. Nothing is expanded.
    ///
    /// # Errors
    /// [`Error::Missing`] for an empty term.
    pub fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        match &self.values {
            Values::Empty => Err(self.no_values()),
            Values::Explicit { values, .. } => values.sum_within(low, high),
            Values::Implicit(values) => values.sum_within(low, high),
        }
    }

    /// The values `[n]` and the rows of each; those of an implicit term are written out.
    ///
    /// # Errors
    /// [`Error::Missing`] for an empty term.
    pub fn values(&self) -> Result<(Tensor, Indices)> {
        match &self.values {
            Values::Empty => Err(self.no_values()),
            Values::Explicit { values, indices } => Ok((values.clone(), indices.clone())),
            Values::Implicit(values) => values.expand(),
        }
    }

    /// Sum and number of the values of each of `anchors` anchors: the rows that the values belong to first.
    ///
    /// # Errors
    /// [`Error::Missing`] for an empty term, [`Error::Index`] if there is an anchor beyond `anchors`.
    pub fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        match &self.values {
            Values::Empty => Err(self.no_values()),
            Values::Explicit { values, indices } => {
                AnchorSums::new(values, indices.anchors(), anchors)
            }
            Values::Implicit(values) => values.sums_by_anchor(anchors),
        }
    }

    fn no_values(&self) -> Error {
        Error::missing(self.name, "at least one value")
    }
}

/// The named parts of a loss, each reduced on its own.
///
/// ```
/// use dml_core::{Term, Terms, candle_core::{Device, Tensor}};
///
/// let mut terms = Terms::from(Term::scalar("pos_loss", Tensor::new(1f32, &Device::Cpu)?)?);
/// terms.push(Term::empty("neg_loss"));
/// let names: Vec<&str> = terms.iter().map(Term::name).collect();
/// assert_eq!(names, ["pos_loss", "neg_loss"]);
/// assert!(terms.get("neg_loss").unwrap().is_empty());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Terms(Vec<Term>);

impl Terms {
    /// The parts in order.
    pub fn iter(&self) -> impl Iterator<Item = &Term> {
        self.0.iter()
    }

    /// Adds a part.
    pub fn push(&mut self, term: Term) {
        self.0.push(term);
    }

    /// The part of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Term> {
        self.0.iter().find(|term| term.name == name)
    }
}

impl From<Term> for Terms {
    fn from(term: Term) -> Self {
        Self(vec![term])
    }
}

impl FromIterator<Term> for Terms {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        Self(terms.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_term_holds_one_value_per_index() -> Result<()> {
        let values = Tensor::new(&[1f32, 2., 3.], &Device::Cpu)?;
        let term = Term::explicit(
            "loss",
            Over::Elements,
            values.clone(),
            Indices::Elements(vec![0, 2, 1]),
        )?;
        assert_eq!(term.count(), 3);
        let part = term.sum_within(Some(1.0), None)?;
        assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (5.0, 2));
        let by_anchor = term.sums_by_anchor(4)?;
        assert_eq!(by_anchor.sums.to_vec1::<f32>()?, [1.0, 3.0, 2.0, 0.0]);
        assert_eq!(by_anchor.counts, [1, 1, 1, 0]);
        assert!(matches!(term.sums_by_anchor(2), Err(Error::Index { .. })));
        assert!(matches!(
            Term::explicit(
                "loss",
                Over::Elements,
                values.clone(),
                Indices::Elements(vec![0])
            ),
            Err(Error::Shape { arg: "values", .. })
        ));
        assert!(
            Term::explicit(
                "loss",
                Over::Triplets,
                values.clone(),
                Indices::Elements(vec![0, 1, 2])
            )
            .is_err()
        );
        assert!(Term::scalar("loss", values).is_err());
        Ok(())
    }

    #[test]
    fn nothing_at_all_is_an_empty_term() -> Result<()> {
        let none = Tensor::zeros(0, candle_core::DType::F32, &Device::Cpu)?;
        let term = Term::explicit("loss", Over::Elements, none, Indices::Elements(vec![]))?;
        assert!(term.is_empty() && term.count() == 0);
        assert!(matches!(term.values(), Err(Error::Missing { .. })));
        assert!(matches!(term.sums_by_anchor(1), Err(Error::Missing { .. })));
        Ok(())
    }
}
