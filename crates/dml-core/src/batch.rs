//! Embeddings with what is known of them: the input of every miner and loss, validated once.

mod spoiled;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{DType, Tensor};

use crate::autograd::{GradMode, is_tracked, whole};
use crate::{
    Distance, DistanceKind, Error, IntoLabels, Labels, Relation, Result, TensorExt, check,
};

/// Embeddings `[Q, dim]`, optionally reference embeddings `[R, dim]`, and the [`Relation`] between them.
///
/// Holding a batch is the proof that shapes, types, devices and lengths fit. Half-precision embeddings are computed
/// with in single precision. A batch may have no rows: nothing can be mined from it, and its losses are 0. It may hold
/// rows that are no numbers: its losses are NaN then ([`Batch::spoiled`]). Cloning is cheap.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
///
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.9, 0.1], [0., 1.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// assert_eq!((batch.queries(), batch.references()), (3, 3));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    embeddings: Tensor,
    reference: Option<Tensor>,
    labels: Option<Labels>,
    relation: Option<Arc<Relation>>,
    shared: Option<Arc<SharedMatrix>>,
}

/// The distances of one batch, computed once for a miner and a loss that measure alike.
#[derive(Debug)]
struct SharedMatrix {
    /// The rows with their graph: what the miner makes, without asking for gradients, the loss can use.
    embeddings: Tensor,
    reference: Option<Tensor>,
    /// Whether gradients are recorded: a miner that records none must not keep them from the loss.
    mode: GradMode,
    latest: Mutex<Option<(DistanceKind, Tensor)>>,
    /// The rows that are not finite, once somebody asked.
    broken: OnceLock<spoiled::Broken>,
}

impl SharedMatrix {
    fn get(&self, distance: &dyn Distance) -> Result<Tensor> {
        let kind = distance.kind();
        // A panic while it was locked can't have left half a matrix: use what is there.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((known, matrix)) if *known == kind => Ok(matrix.clone()),
            _ => {
                let measure = || distance.matrix(&self.embeddings, self.reference.as_ref());
                let matrix = self.mode.clone().run(measure)?;
                *latest = Some((kind, matrix.clone()));
                Ok(matrix)
            }
        }
    }
}

impl Batch {
    /// Rows compared among themselves by their labels.
    ///
    /// # Errors
    /// [`Error::Shape`] unless embeddings are `[rows, dim]` with at least one column, [`Error::DType`] for integer
    /// embeddings, [`Error::Length`] if there is not one label per row.
    pub fn new(embeddings: &Tensor, labels: impl IntoLabels) -> Result<Self> {
        let batch = Self::unlabeled(embeddings)?;
        let labels = labels.into_labels()?;
        labels.check_length("labels", batch.queries())?;
        let relation = Relation::labels(&labels)?;
        Ok(Self {
            labels: Some(labels),
            relation: Some(Arc::new(relation)),
            ..batch
        })
    }

    /// Rows of which nothing is known: for losses that need no labels, or get their tuples.
    ///
    /// # Errors
    /// As [`Batch::new`].
    pub fn unlabeled(embeddings: &Tensor) -> Result<Self> {
        Ok(Self {
            embeddings: checked("embeddings", embeddings)?,
            reference: None,
            labels: None,
            relation: None,
            shared: None,
        })
    }

    /// Compares the rows with `reference` instead of with each other, by the labels of both.
    ///
    /// The references are other things than the queries, even if they hold the same numbers; where some are the
    /// same things, use [`Batch::with_relation`] and [`Relation::with_self_matches`].
    ///
    /// # Errors
    /// As [`Batch::new`], and [`Error::Missing`] if the batch has no labels.
    pub fn with_reference(self, reference: &Tensor, labels: impl IntoLabels) -> Result<Self> {
        let needed = "labels of the embeddings";
        let query_labels = check::present(self.labels.clone(), "Batch::with_reference", needed)?;
        let batch = self.with_unlabeled_reference(reference)?;
        let labels = labels.into_labels()?;
        labels.check_length("reference labels", batch.references())?;
        let relation = Relation::cross_labels(query_labels, labels)?;
        Ok(Self {
            relation: Some(Arc::new(relation)),
            ..batch
        })
    }

    /// Compares the rows with `reference`, of which nothing is known.
    ///
    /// # Errors
    /// As [`Batch::new`]; [`Error::DType`] and [`Error::Device`] if it does not lie beside the embeddings.
    pub fn with_unlabeled_reference(self, reference: &Tensor) -> Result<Self> {
        let reference = checked("reference", reference)?;
        let fits = reference.dims()[1] == self.embeddings.dims()[1];
        let expected = "[references, dim] with the dim of the embeddings";
        check::shape(fits, "reference", &reference, expected)?;
        if !reference.device().same_device(self.embeddings.device()) {
            return Err(Error::Device {
                arg: "reference",
                expected: format!("{:?}", self.embeddings.device().location()),
                got: format!("{:?}", reference.device().location()),
            });
        }
        let fits = reference.dtype() == self.embeddings.dtype();
        let expected = "the element type of the embeddings";
        check::dtype(fits, "reference", &reference, expected)?;
        Ok(Self {
            reference: Some(reference),
            relation: None,
            shared: None,
            ..self
        })
    }

    /// Says who is positive for whom by any [`Relation`] instead of by labels.
    ///
    /// # Errors
    /// [`Error::Length`] if the relation has other numbers of rows.
    pub fn with_relation(self, relation: Relation) -> Result<Self> {
        let (queries, references) = (self.queries(), self.references());
        check::length("relation queries", queries, relation.queries())?;
        check::length("relation references", references, relation.references())?;
        Ok(Self {
            labels: relation.query_labels().cloned().or(self.labels),
            relation: Some(Arc::new(relation)),
            ..self
        })
    }

    /// The same rows without labels and relation: for losses that compare two views row by row.
    #[must_use]
    pub fn without_labels(&self) -> Self {
        Self {
            labels: None,
            relation: None,
            ..self.clone()
        }
    }

    /// The query embeddings `[Q, dim]`.
    #[must_use]
    pub fn embeddings(&self) -> &Tensor {
        &self.embeddings
    }

    /// The reference embeddings, if the queries are not compared among themselves.
    #[must_use]
    pub fn reference(&self) -> Option<&Tensor> {
        self.reference.as_ref()
    }

    /// The class of each query, if known.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Who is positive for whom, if known.
    #[must_use]
    pub fn relation(&self) -> Option<&Relation> {
        self.relation.as_deref()
    }

    /// The relation, or an error in the name of the component that can't do without.
    ///
    /// # Errors
    /// [`Error::Missing`] if nothing is known of the rows.
    pub fn require_relation(&self, component: &'static str) -> Result<&Relation> {
        check::present(self.relation(), component, "labels, a relation or tuples")
    }

    /// Q, the number of queries.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.embeddings.dims()[0]
    }

    /// R, the number of references: Q if the queries are compared among themselves.
    #[must_use]
    pub fn references(&self) -> usize {
        self.reference.as_ref().unwrap_or(&self.embeddings).dims()[0]
    }

    /// All distances `[Q, R]`. Without queries or references there are none, and the distance is not asked.
    ///
    /// # Errors
    /// As the distance, and [`Error::Size`] if the matrix does not fit into memory.
    pub fn distances(&self, distance: &dyn Distance) -> Result<Tensor> {
        let shape = (self.queries(), self.references());
        if shape.0 == 0 || shape.1 == 0 {
            let (dtype, device) = (self.embeddings.dtype(), self.embeddings.device());
            return Ok(Tensor::zeros(shape, dtype, device)?);
        }
        // What lies on another device takes none of the host's memory.
        let bytes = match self.embeddings.device().is_cpu() {
            true => self.embeddings.dtype().size_in_bytes(),
            false => 0,
        };
        let name = "distances [queries, references]";
        check::elements(name, &[shape.0, shape.1], bytes)?;
        let shared = match &self.shared {
            Some(shared) if distance.kind() != DistanceKind::Other => shared,
            _ => return distance.matrix(&self.embeddings, self.reference.as_ref()),
        };
        let matrix = shared.get(distance)?;
        if is_tracked(&self.embeddings) || self.reference.as_ref().is_some_and(is_tracked) {
            Ok(matrix)
        } else {
            Ok(matrix.detach())
        }
    }

    /// The same batch, of which copies compute each matrix of distances once.
    ///
    /// For the time of one step: a matrix that is kept does not follow a variable that changes.
    pub(crate) fn sharing(&self) -> Self {
        let shared = SharedMatrix {
            embeddings: self.embeddings.clone(),
            reference: self.reference.clone(),
            mode: GradMode::current(),
            latest: Mutex::new(None),
            broken: OnceLock::new(),
        };
        Self {
            shared: Some(Arc::new(shared)),
            ..self.clone()
        }
    }

    /// The same batch if its copies share already, else as [`sharing`](Batch::sharing).
    pub(crate) fn sharing_already(&self) -> Self {
        match &self.shared {
            Some(_) => self.clone(),
            None => self.sharing(),
        }
    }

    /// The same batch outside of the graph: nothing computed from it has a gradient.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            embeddings: self.embeddings.detach(),
            reference: self.reference.as_ref().map(Tensor::detach),
            ..self.clone()
        }
    }

    /// The loss of an empty selection: the scalar 0, attached to the graph so that `backward` works.
    ///
    /// # Errors
    /// [`Error::Tensor`] if Candle cannot do it.
    pub fn zero(&self) -> Result<Tensor> {
        let zero = self.embeddings.attached_zero()?;
        match &self.reference {
            None => Ok(zero),
            Some(reference) => Ok((zero + reference.attached_zero()?)?),
        }
    }
}

fn checked(arg: &'static str, tensor: &Tensor) -> Result<Tensor> {
    let fits = tensor.rank() == 2 && tensor.dims()[1] > 0;
    check::shape(fits, arg, tensor, "[rows, dim] with at least one column")?;
    let tensor = whole(tensor)?;
    match tensor.dtype() {
        DType::F32 | DType::F64 => Ok(tensor),
        DType::F16 | DType::BF16 => Ok(tensor.to_dtype(DType::F32)?),
        got => Err(Error::DType {
            arg,
            expected: "a floating-point type",
            got,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn rows(n: usize) -> Tensor {
        Tensor::zeros((n, 2), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_batch_is_checked_once() -> Result<()> {
        assert!(matches!(
            Batch::new(&rows(2), [0i64]),
            Err(Error::Length { arg: "labels", .. })
        ));
        let narrow = Tensor::zeros((2, 0), DType::F32, &Device::Cpu)?;
        assert!(matches!(
            Batch::unlabeled(&narrow),
            Err(Error::Shape {
                arg: "embeddings",
                ..
            })
        ));
        assert!(matches!(
            Batch::unlabeled(&rows(2).flatten_all()?),
            Err(Error::Shape { .. })
        ));
        let whole = rows(2).to_dtype(DType::I64)?;
        assert!(matches!(Batch::unlabeled(&whole), Err(Error::DType { .. })));
        let batch = Batch::new(&rows(2), [0i64, 1])?;
        let wide = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        assert!(matches!(
            batch.clone().with_reference(&wide, [0i64, 1]),
            Err(Error::Shape {
                arg: "reference",
                ..
            })
        ));
        assert!(matches!(
            batch
                .clone()
                .with_reference(&rows(3).to_dtype(DType::F64)?, [0i64, 1, 2]),
            Err(Error::DType {
                arg: "reference",
                ..
            })
        ));
        assert!(matches!(
            batch.with_relation(Relation::labels([0i64])?),
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            Batch::unlabeled(&rows(2))?.with_reference(&rows(2), [0i64, 1]),
            Err(Error::Missing { .. })
        ));
        Ok(())
    }

    #[test]
    fn copies_that_share_measure_once_and_only_for_one_kind() -> Result<()> {
        /// Counts how often it is asked.
        #[derive(Debug)]
        struct Counting(f64, std::sync::atomic::AtomicUsize);
        impl Distance for Counting {
            fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                query.pairwise_lp(reference.unwrap_or(query), self.0)
            }
            fn kind(&self) -> DistanceKind {
                DistanceKind::Lp {
                    p: self.0,
                    power: 1.0,
                    normalized: false,
                }
            }
        }
        let asked = |distance: &Counting| distance.1.load(std::sync::atomic::Ordering::Relaxed);
        let (two, one) = (Counting(2.0, 0.into()), Counting(1.0, 0.into()));
        let leaf = Var::new(&[[0f32, 0.], [3., 4.], [1., 1.]], &Device::Cpu)?;
        let batch = Batch::new(&leaf, [0i64, 0, 1])?;
        batch.distances(&two)?;
        batch.distances(&two)?;
        assert_eq!(asked(&two), 2, "a batch by itself remembers nothing");
        let batch = batch.sharing();
        let mined = crate::no_grad(|| batch.distances(&two))?;
        let detached = batch.detach().distances(&two)?;
        let matrix = batch.distances(&two)?;
        assert_eq!(asked(&two), 3);
        assert!(!mined.track_op() && !detached.track_op() && matrix.track_op());
        assert_eq!(mined.to_vec2::<f32>()?, matrix.to_vec2::<f32>()?);
        assert!(
            matrix
                .sum_all()?
                .backward()?
                .get(leaf.as_tensor())
                .is_some()
        );
        let other = batch.distances(&one)?;
        assert_eq!(asked(&one), 1);
        assert_ne!(other.to_vec2::<f32>()?, matrix.to_vec2::<f32>()?);
        let reference = batch.with_reference(&rows(2), [0i64, 1])?;
        assert_eq!(reference.distances(&one)?.dims(), [3, 2]);
        Ok(())
    }

    #[test]
    fn half_precision_is_computed_in_single_and_the_gradient_comes_back() -> Result<()> {
        let half = Var::from_tensor(&rows(2).to_dtype(DType::F16)?)?;
        let batch = Batch::new(&half, [0i64, 1])?;
        assert_eq!(batch.embeddings().dtype(), DType::F32);
        let store = batch.embeddings().sum_all()?.backward()?;
        assert_eq!(store.get(half.as_tensor()).unwrap().dtype(), DType::F16);
        Ok(())
    }

    #[test]
    fn a_batch_without_rows_has_no_tuples_and_a_zero_loss() -> Result<()> {
        let none = Var::from_tensor(&rows(0))?;
        let batch = Batch::new(&none, Vec::<i64>::new())?;
        assert_eq!(crate::Tuples::all().count(&batch)?.total(), 0);
        let zero = batch.zero()?;
        approx::assert_abs_diff_eq!(zero.to_scalar::<f32>()?, 0.0);
        assert_eq!(
            zero.backward()?.get(none.as_tensor()).unwrap().dims(),
            [0, 2]
        );
        Ok(())
    }

    #[test]
    fn the_zero_loss_reaches_both_sides() -> Result<()> {
        let (query, reference) = (Var::from_tensor(&rows(2))?, Var::from_tensor(&rows(3))?);
        let batch = Batch::new(&query, [0i64, 1])?.with_reference(&reference, [0i64, 1, 2])?;
        let store = batch.zero()?.backward()?;
        assert!(
            store.get(query.as_tensor()).is_some() && store.get(reference.as_tensor()).is_some()
        );
        Ok(())
    }
}
