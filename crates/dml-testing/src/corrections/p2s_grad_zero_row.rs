//! `P2SGradLoss` with a row of zeros, whose cosine with every class is 0.
//!
//! ```text
//! mean over rows i and classes c of (cos(x_i, w_c) − [y_i = c])²,  w_c scaled by 1 / (|w_c| + 1e-7) before
//! ```

use std::collections::BTreeMap;

use anyhow::Context;

use super::Correction;
use super::rows::{Rows, dot, ensure_mean_reducer};
use crate::case::{Array, Case, Data};

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    ensure_mean_reducer(case, &case.config()?["reducer"])?;
    let labels = case.whole("in.labels")?.context("no labels")?;
    let x = Rows::of(case, "in.embeddings")?;
    let mut weights = Rows::of(case, "param.weight")?; // [D, C]
    for class in 0..weights.dim {
        let column: Vec<f64> = weights.iter().map(|row| row[class]).collect();
        let scale = 1.0 / (dot(&column, &column).sqrt() + 1e-7);
        let columns = weights.values.iter_mut().skip(class).step_by(weights.dim);
        columns.for_each(|w| *w *= scale);
    }
    let loss = |x: &Rows, weights: &Rows| {
        let mut sum = 0.0;
        for (x, label) in x.iter().zip(labels) {
            let length = dot(x, x).sqrt();
            for class in 0..weights.dim {
                let product: f64 = x
                    .iter()
                    .zip(weights.iter())
                    .map(|(x, w)| x * w[class])
                    .sum();
                let cosine = if length == 0.0 { 0.0 } else { product / length };
                sum += (cosine - f64::from(*label == class as i64)).powi(2);
            }
        }
        sum / (x.len() * weights.dim) as f64
    };
    let mut gradient = x.gradient(|x| loss(x, &weights));
    // A row of zeros has no direction to be turned.
    if let Data::Real(gradient) = &mut gradient.data {
        for (gradient, x) in gradient.chunks_exact_mut(x.dim).zip(x.iter()) {
            if x.iter().all(|x| *x == 0.0) {
                gradient.fill(0.0);
            }
        }
    }
    let scaled = Array {
        shape: vec![weights.len(), weights.dim],
        data: Data::Real(weights.values.clone()),
    };
    let of_weights = weights.gradient(|weights| loss(&x, weights));
    Ok(Correction::Values(BTreeMap::from([
        ("out.loss".to_owned(), Array::number(loss(&x, &weights))),
        ("out.param.weight".to_owned(), scaled),
        ("grad.embeddings".to_owned(), gradient),
        ("grad.param.weight".to_owned(), of_weights),
    ])))
}
