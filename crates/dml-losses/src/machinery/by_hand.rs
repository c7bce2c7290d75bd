//! What tests of losses over classes have in common: weights that are set, and values that are read.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, Loss, Result, Tuples};

use crate::SeededVars;

/// A builder of double-precision variables.
pub(crate) fn vars() -> VarBuilder<'static> {
    SeededVars::new(0).builder(DType::F64, &Device::Cpu)
}

/// Sets the only variable of a loss.
pub(crate) fn set<const N: usize, const M: usize>(
    loss: &dyn Loss,
    values: &[[f64; N]; M],
) -> Result<()> {
    let values = Tensor::new(values, &Device::Cpu)?;
    Ok(loss.parameters()[0].1.set(&values)?)
}

/// The values of a term over a batch with these labels, and the gradients of their sum: of the rows, of the variable.
pub(crate) fn value_and_gradients(
    loss: &dyn Loss,
    term: &str,
    rows: &Var,
    labels: &[i64],
) -> Result<[Vec<f64>; 3]> {
    let terms = loss.terms(&Batch::new(rows, labels)?, &Tuples::all())?;
    let (values, _) = terms.get(term).expect("a term of that name").values()?;
    let gradients = values.sum_all()?.backward()?;
    let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f64>();
    let gradient = |var: &Var| match gradients.get(var.as_tensor()) {
        Some(gradient) => flat(gradient),
        None => Ok(Vec::new()),
    };
    Ok([
        flat(&values)?,
        gradient(rows)?,
        gradient(&loss.parameters()[0].1)?,
    ])
}
