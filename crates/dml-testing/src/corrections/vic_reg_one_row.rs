//! `VICRegLoss` of one row: the variance and all covariances of a single row are 0.
//!
//! ```text
//! λ · mean over k of (x_k − y_k)² + μ · max(0, 1 − √ε)
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::Correction;
use super::rows::{Rows, ensure_mean_reducer, squared_distance};
use crate::case::{Array, Case};

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure_mean_reducer(case, &config["reducer"])?;
    let number = |key: &str| config[key].as_f64().with_context(|| format!("no {key}"));
    let (lambda, mu, eps) = (
        number("invariance_lambda")?,
        number("variance_mu")?,
        number("eps")?,
    );
    let (x, y) = (
        Rows::of(case, "in.embeddings")?,
        Rows::of(case, "in.ref_emb")?,
    );
    ensure!(x.len() == 1 && y.len() == 1, "expected one row");
    let loss = |x: &Rows, y: &Rows| {
        let invariance = lambda * squared_distance(x.row(0), y.row(0)) / x.dim as f64;
        invariance + mu * (1.0 - eps.sqrt()).max(0.0)
    };
    Ok(Correction::Values(BTreeMap::from([
        ("out.loss".to_owned(), Array::number(loss(&x, &y))),
        ("grad.embeddings".to_owned(), x.gradient(|x| loss(x, &y))),
        ("grad.ref_emb".to_owned(), y.gradient(|y| loss(&x, y))),
    ])))
}
