//! `VICRegLoss` of one row: the variance and all covariances of a single row are 0.
//!
//! ```text
//! λ · mean over k of (x_k − y_k)² + μ · max(0, 1 − √ε)
//! ```

use anyhow::{Context, ensure};

use super::Correction;
use super::rows::{self, ensure_mean_reducer, gradient, rows, squared_distance};
use crate::case::Case;

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure_mean_reducer(case, &config["reducer"])?;
    let number = |key: &str| config[key].as_f64().with_context(|| format!("no {key}"));
    let (lambda, mu) = (number("invariance_lambda")?, number("variance_mu")?);
    let eps = number("eps")?;
    let (x, y) = (rows(case, "in.embeddings")?, rows(case, "in.ref_emb")?);
    ensure!(x.len() == 1 && y.len() == 1, "expected one row");
    let loss = |x: &[Vec<f64>], y: &[Vec<f64>]| {
        let invariance = lambda * squared_distance(&x[0], &y[0]) / x[0].len() as f64;
        invariance + mu * (1.0 - eps.sqrt()).max(0.0)
    };
    Ok(Correction::values([
        ("out.loss", rows::number(loss(&x, &y))?),
        ("grad.embeddings", gradient(&x, |x| loss(x, &y))?),
        ("grad.ref_emb", gradient(&y, |y| loss(&x, y))?),
    ]))
}
