//! `P2SGradLoss` with a row of zeros, whose cosine with every class is 0.
//!
//! ```text
//! mean over rows i and classes c of (cos(x_i, w_c) − [y_i = c])²,  w_c scaled by 1 / (|w_c| + 1e-7) before
//! ```

use dml::candle_core::{Device, Tensor};

use super::Correction;
use super::rows::{dot, ensure_mean_reducer, gradient, number, rows};
use crate::case::Case;

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    ensure_mean_reducer(case, &case.config()?["reducer"])?;
    let labels = case.whole("in.labels")?;
    let x = rows(case, "in.embeddings")?;
    let mut weights = rows(case, "param.weight")?; // [D, C]
    let classes = weights[0].len();
    for class in 0..classes {
        let column: Vec<f64> = weights.iter().map(|row| row[class]).collect();
        let scale = 1.0 / (dot(&column, &column).sqrt() + 1e-7);
        weights.iter_mut().for_each(|row| row[class] *= scale);
    }
    let loss = |x: &[Vec<f64>], weights: &[Vec<f64>]| {
        let mut sum = 0.0;
        for (x, label) in x.iter().zip(&labels) {
            let length = dot(x, x).sqrt();
            for class in 0..classes {
                let products = x.iter().zip(weights).map(|(x, row)| x * row[class]);
                let product: f64 = products.sum();
                let cosine = if length == 0.0 { 0.0 } else { product / length };
                sum += (cosine - f64::from(*label == class as i64)).powi(2);
            }
        }
        sum / (x.len() * classes) as f64
    };
    // A row of zeros has no direction to be turned.
    let has_direction = |row: &Vec<f64>| vec![f64::from(row.iter().any(|x| *x != 0.0))];
    let has_direction: Vec<Vec<f64>> = x.iter().map(has_direction).collect();
    let gradient_of_x = gradient(&x, |x| loss(x, &weights))?;
    let gradient_of_x = gradient_of_x.broadcast_mul(&Tensor::new(has_direction, &Device::Cpu)?)?;
    Ok(Correction::values([
        ("out.loss", number(loss(&x, &weights))?),
        (
            "out.param.weight",
            Tensor::new(weights.clone(), &Device::Cpu)?,
        ),
        ("grad.embeddings", gradient_of_x),
        (
            "grad.param.weight",
            gradient(&weights, |weights| loss(&x, weights))?,
        ),
    ]))
}
