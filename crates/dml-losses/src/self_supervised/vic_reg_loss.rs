//! VICReg: two views of each row should agree, while every coordinate varies and no two coordinates say the same.
//!
//! ```text
//! invariance_loss(i)   = λ · mean over k of (zᵢₖ − z'ᵢₖ)²
//! variance_loss1(k)    = μ · max(0, 1 − √(var(zₖ) + ε)) / 2           variance_loss2: the same of z'
//! covariance_loss      = ν · (Σ over k ≠ l of cov(z)ₖₗ² + the same of z') / D
//! ```
//!
//! Variances and covariances are over the rows, divided by N − 1; a single row varies by 0. Bardes, Ponce and LeCun,
//! "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning" (2021, arXiv:2105.04906). (There
//! the invariance is a sum over the coordinates, not their mean.)
//!
//! Nothing is compared across rows: `O(N D²)` time and `O(D²)` memory beside the embeddings.

use candle_core::{DType, Tensor};
use dml_core::autograd::{self, has_kernel};
use dml_core::{Batch, Error, Indices, Loss, Over, Result, TensorExt, Term, Terms, Tuples, check};

dml_core::config! {
    /// Configuration of [`VICRegLoss`].
    pub struct VICRegLossConfig {
        /// λ, the weight of the invariance; in `[-1e30, 1e30]`. Default `25`.
        pub invariance_lambda: f64 = 25.0,
        /// μ, the weight of the variance; in `[-1e30, 1e30]`. Default `25`.
        pub variance_mu: f64 = 25.0,
        /// ν, the weight of the covariance; in `[-1e30, 1e30]`. Default `1`.
        pub covariance_v: f64 = 1.0,
        /// ε, what is added to variances before the root is taken; in `[1e-30, 1e30]`. Default `1e-4`.
        pub eps: f64 = 1e-4,
    }
}

/// Variance, invariance and covariance of two views ([formula](self)). Terms `invariance_loss` per row, `variance_loss1`
/// and `variance_loss2` per coordinate, and `covariance_loss`, a scalar already.
///
/// The views are the embeddings and the reference embeddings of a batch without labels, row by row; without references
/// the embeddings are both.
///
/// ```
/// use dml_core::{Batch, Loss, Tuples, candle_core::{Device, Tensor}};
/// use dml_losses::{VICRegLoss, VICRegLossConfig};
///
/// let loss = VICRegLoss::new(VICRegLossConfig::default())?;
/// let view = Tensor::new(&[[0f32, 0.], [4., 2.]], &Device::Cpu)?;
/// let other = Tensor::new(&[[1f32, 0.], [4., 4.]], &Device::Cpu)?;
/// let batch = Batch::unlabeled(&view)?.with_unlabeled_reference(&other)?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// let invariance = terms.get("invariance_loss").unwrap().values()?.0;
/// assert_eq!(invariance.to_vec1::<f32>()?, [12.5, 50.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VICRegLoss {
    config: VICRegLossConfig,
}

impl VICRegLoss {
    /// # Errors
    /// [`Error::InvalidParameter`] if a weight is not finite or `eps` is not above 0.
    pub fn new(config: VICRegLossConfig) -> Result<Self> {
        check::finite("invariance_lambda", config.invariance_lambda)?;
        check::finite("variance_mu", config.variance_mu)?;
        check::finite("covariance_v", config.covariance_v)?;
        check::positive("eps", config.eps)?;
        Ok(Self { config })
    }

    /// `μ · max(0, 1 − √(var + ε)) / 2` of each coordinate `[D]`, of covariances `[D, D]`.
    fn variance(&self, covariances: &Tensor) -> Result<Tensor> {
        let coordinates: Vec<u32> = (0..covariances.dims()[0] as u32).collect();
        let variances = covariances.pick_entries(&coordinates, &coordinates)?; // [D]
        let deviation = (variances + self.config.eps)?.sqrt()?;
        let short = deviation.affine(-1.0, 1.0)?.hinge()?;
        Ok((short * (self.config.variance_mu / 2.0))?)
    }

    /// `ν · Σ over k ≠ l of cov² / D`, of covariances `[D, D]`.
    ///
    /// Variances are taken out before the squares: where they overflow, they count for nothing.
    fn covariance(&self, covariances: &Tensor) -> Result<Tensor> {
        let dim = covariances.dims()[0];
        let apart = Tensor::eye(dim, covariances.dtype(), covariances.device())?;
        let apart = apart.affine(-1.0, 1.0)?;
        let sum = (covariances * apart)?.sqr()?.sum_all()?;
        Ok((sum * (self.config.covariance_v / dim as f64))?)
    }
}

/// The covariances of all coordinates `[D, D]` of rows `[N, D]`; the diagonal has the variances.
///
/// With rows Z whose mean is taken off and a gradient G of the covariances, the gradient of the rows is
/// `Z (G + Gᵀ) / (N − 1)`: its columns add up to 0 as those of Z do, so the mean takes nothing off it.
fn covariances(rows: &Tensor) -> Result<Tensor> {
    let (count, _) = rows.dims2()?;
    let freedom = (count.max(2) - 1) as f64;
    let centered = |rows: &Tensor| rows.broadcast_sub(&rows.mean_keepdim(0)?);
    let product = |centered: &Tensor| centered.t()?.matmul(centered)? / freedom;
    if !has_kernel(rows) {
        return Ok(product(&centered(rows)?)?);
    }
    let centered = centered(&rows.detach())?;
    let value = product(&centered)?;
    autograd::node("covariances", [rows], value, move |_, _, gradient| {
        let both = (gradient + gradient.t()?)?;
        Ok([Some((centered.matmul(&both)? / freedom)?)])
    })
}

/// The largest coordinate whose fourth power, which squared covariances are made of, can be summed in single precision.
const LARGEST_IN_SINGLE: f64 = 1e8;

/// Whether squared covariances of rows in single precision may overflow, so that they are computed in double precision.
fn overflows(first: &Tensor, second: &Tensor) -> Result<bool> {
    let is_large = |rows: &Tensor| -> Result<bool> {
        let top = rows.detach().abs()?.flatten_all()?.max(0)?;
        Ok(top.to_dtype(DType::F64)?.to_scalar::<f64>()? > LARGEST_IN_SINGLE)
    };
    Ok(first.dtype() == DType::F32
        && first.elem_count() > 0
        && (is_large(first)? || is_large(second)?))
}

impl Loss for VICRegLoss {
    /// # Errors
    /// [`Error::Unsupported`] for labels, relations and tuples, none of which has a meaning here; [`Error::Shape`]
    /// unless both views are of one shape.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let refused = |reason| Error::unsupported("VICRegLoss", reason);
        if batch.relation().is_some() || batch.labels().is_some() {
            return Err(refused(
                "it knows no classes; make the batch with Batch::unlabeled",
            ));
        }
        if !tuples.is_all() {
            return Err(refused("it compares no pairs, and takes no tuples"));
        }
        let first = batch.embeddings(); // [N, D]
        let second = batch.reference().unwrap_or(first); // [N, D]
        check::same_shape("reference", second, first)?;
        if batch.queries() == 0 {
            let names = [
                "invariance_loss",
                "variance_loss1",
                "variance_loss2",
                "covariance_loss",
            ];
            return Ok(names.into_iter().map(Term::empty).collect());
        }
        let dtype = first.dtype();
        let (first, second) = if overflows(first, second)? {
            (first.to_dtype(DType::F64)?, second.to_dtype(DType::F64)?)
        } else {
            (first.clone(), second.clone())
        };
        let (first, second) = (&first, &second);
        let elements = |name, values: Tensor| {
            let values = values.to_dtype(dtype)?;
            let rows = (0..values.elem_count() as u32).collect();
            Term::explicit(name, Over::Elements, values, Indices::Elements(rows))
        };
        let of_first = covariances(first)?; // [D, D]
        let variance = self.variance(&of_first)?; // [D]
        let covariance = self.covariance(&of_first)?;
        let (invariance, other_variance, covariance) = match batch.reference() {
            // A view agrees with itself, and varies as itself.
            None => {
                let agreed = first.attached_zero()?.broadcast_as(first.dims()[0])?;
                (agreed.contiguous()?, variance.clone(), (covariance * 2.0)?)
            }
            Some(_) => {
                let of_second = covariances(second)?; // [D, D]
                let invariance = (first - second)?.sqr()?.mean(1)?; // [N]
                (
                    (invariance * self.config.invariance_lambda)?,
                    self.variance(&of_second)?,
                    (covariance + self.covariance(&of_second)?)?,
                )
            }
        };
        Ok(Terms::from_iter([
            elements("invariance_loss", invariance)?,
            elements("variance_loss1", variance)?,
            elements("variance_loss2", other_variance)?,
            Term::scalar("covariance_loss", covariance.to_dtype(dtype)?)?,
        ]))
    }

    /// Its reference set is the other view of the same rows, not a set of other things.
    fn takes_reference(&self) -> bool {
        false
    }

    fn takes_tuples(&self) -> bool {
        false
    }

    fn reads_relation(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Pairs, Relation};

    fn loss() -> VICRegLoss {
        VICRegLoss::new(VICRegLossConfig {
            invariance_lambda: 3.0,
            variance_mu: 4.0,
            covariance_v: 6.0,
            eps: 0.11,
        })
        .unwrap()
    }

    /// The values of all terms and the gradient of their sum, for views `length` times as long.
    fn at_length(length: f64, dtype: DType) -> Result<(Vec<f64>, Vec<f64>)> {
        let view = |values: [[f64; 3]; 4]| -> Result<Var> {
            let view = (Tensor::new(&values, &Device::Cpu)? * length)?;
            Ok(Var::from_tensor(&view.to_dtype(dtype)?)?)
        };
        let first = view([[1., 2., 0.], [0., -1., 3.], [2., 0.5, 1.], [-1., 0., 0.25]])?;
        let second = view([[1., 2., 0.5], [0., -2., 3.], [2., 1., 1.], [-1., 1., 0.]])?;
        let batch = Batch::unlabeled(&first)?.with_unlabeled_reference(&second)?;
        let terms = loss().terms(&batch, &Tuples::all())?;
        let (mut values, mut sum) = (Vec::new(), Tensor::zeros((), dtype, &Device::Cpu)?);
        for name in [
            "invariance_loss",
            "variance_loss1",
            "variance_loss2",
            "covariance_loss",
        ] {
            let of_term = terms.get(name).unwrap().values()?.0.flatten_all()?;
            sum = (sum + of_term.sum_all()?)?;
            values.extend(of_term.to_dtype(DType::F64)?.to_vec1::<f64>()?);
        }
        let store = sum.backward()?;
        let mut gradient = Vec::new();
        for view in [&first, &second] {
            let of_view = store.get(view.as_tensor()).unwrap().flatten_all()?;
            gradient.extend(of_view.to_dtype(DType::F64)?.to_vec1::<f64>()?);
        }
        Ok((values, gradient))
    }

    #[test]
    fn long_rows_have_the_numbers_of_double_precision() -> Result<()> {
        for length in [1e-3, 1.0, 1e3, 1e7, 1e9, 1e12] {
            let (values, gradient) = at_length(length, DType::F32)?;
            let (wanted, wanted_gradient) = at_length(length, DType::F64)?;
            let largest = wanted_gradient.iter().fold(0f64, |top, g| top.max(g.abs()));
            for (got, want) in values.iter().zip(&wanted) {
                // A value that single precision can't hold is infinite; it is never NaN.
                if *want > f64::from(f32::MAX) {
                    assert_eq!(*got, f64::INFINITY);
                } else {
                    assert!(
                        (got - want).abs() <= 1e-4 * (1e-3 + want.abs()),
                        "{got} {want}"
                    );
                }
            }
            for (got, want) in gradient.iter().zip(&wanted_gradient) {
                assert!(
                    (got - want).abs() <= 1e-4 * largest,
                    "{length:e}: {got} {want}"
                );
            }
        }
        let (values, gradient) = at_length(1e30, DType::F32)?;
        assert!(
            !values.iter().chain(&gradient).any(|x| x.is_nan()),
            "{values:?} {gradient:?}"
        );
        Ok(())
    }

    #[test]
    fn one_coordinate_has_no_covariance_however_long_rows_are() -> Result<()> {
        for (kernels, length) in [(true, 1e7), (false, 1e7), (true, 1e30), (false, 1e30)] {
            let rows = Var::new(&[[1f32], [3.], [-2.]], &Device::Cpu)?;
            let batch = Batch::unlabeled(&(rows.as_tensor() * length)?)?;
            let terms = || loss().terms(&batch, &Tuples::all());
            let terms = if kernels {
                terms()?
            } else {
                autograd::without_kernels(terms)?
            };
            let covariance = terms.get("covariance_loss").unwrap().values()?.0;
            assert_eq!(covariance.to_scalar::<f32>()?, 0.0);
        }
        Ok(())
    }

    #[test]
    fn by_hand() -> Result<()> {
        let view = Var::new(&[[0f64, 0.], [0.5, 0.], [1., 0.]], &Device::Cpu)?;
        let other = Var::new(&[[0f64, 0.], [3., 2.], [3., 4.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&view)?.with_unlabeled_reference(&other)?;
        let terms = loss().terms(&batch, &Tuples::all())?;
        let list = |name: &str| -> Result<Vec<f64>> {
            Ok(terms
                .get(name)
                .unwrap()
                .values()?
                .0
                .flatten_all()?
                .to_vec1()?)
        };
        let close = |got: Vec<f64>, want: &[f64]| {
            assert_eq!(got.len(), want.len());
            assert!(
                got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12),
                "{got:?}"
            );
        };
        close(list("invariance_loss")?, &[0.0, 3.0 * 10.25 / 2.0, 30.0]);
        // Variances ¼ and 0: roots 0.6 and √0.11.
        close(
            list("variance_loss1")?,
            &[0.8, 2.0 * (1.0 - 0.11f64.sqrt())],
        );
        // Variances 3 and 4: enough.
        close(list("variance_loss2")?, &[0.0, 0.0]);
        // The covariance of the second view: (−2 · −2 + 1 · 0 + 1 · 2) / 2 = 3, twice; that of the first is 0.
        close(list("covariance_loss")?, &[6.0 * 18.0 / 2.0]);
        Ok(())
    }

    #[test]
    fn one_row_does_not_vary() -> Result<()> {
        // PyTorch Metric Learning divides by 0 rows and answers NaN.
        let view = Var::new(&[[1f64, 2.]], &Device::Cpu)?;
        let terms = loss().terms(&Batch::unlabeled(&view)?, &Tuples::all())?;
        for term in terms.iter() {
            let sum = term.values()?.0.sum_all()?;
            assert!(sum.to_scalar::<f64>()?.is_finite());
            let store = sum.backward()?;
            let gradient = store.get(view.as_tensor()).unwrap().to_vec2::<f64>()?;
            assert!(
                gradient.iter().flatten().all(|g| g.abs() < 1e-12),
                "{}",
                term.name()
            );
        }
        Ok(())
    }

    #[test]
    fn what_has_no_meaning_is_refused() -> Result<()> {
        let view = Var::new(&[[1f64, 2.], [3., 4.]], &Device::Cpu)?;
        let refused = |batch: &Batch, tuples: &Tuples| loss().terms(batch, tuples).unwrap_err();
        let labeled = Batch::new(&view, [0i64, 1])?;
        assert!(matches!(
            refused(&labeled, &Tuples::all()),
            Error::Unsupported { .. }
        ));
        let related = Batch::unlabeled(&view)?.with_relation(Relation::labels([0i64, 1])?)?;
        assert!(matches!(
            refused(&related, &Tuples::all()),
            Error::Unsupported { .. }
        ));
        let batch = Batch::unlabeled(&view)?;
        let pairs = Tuples::from(Pairs::default());
        assert!(matches!(refused(&batch, &pairs), Error::Unsupported { .. }));
        let wide = batch.with_unlabeled_reference(&view.as_tensor().narrow(0, 0, 1)?)?;
        assert!(matches!(
            refused(&wide, &Tuples::all()),
            Error::Shape { .. }
        ));
        let config = VICRegLossConfig {
            eps: 0.0,
            ..Default::default()
        };
        assert!(matches!(
            VICRegLoss::new(config),
            Err(Error::InvalidParameter { name: "eps", .. })
        ));
        Ok(())
    }
}
