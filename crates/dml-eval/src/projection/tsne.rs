//! Rows in the plane such that neighbours stay neighbours: t-SNE.
//!
//! ```text
//! p_j|i = exp(−‖xᵢ − xⱼ‖² / 2σᵢ²) / Σ_k …,   σᵢ such that 2^entropy(p_·|i) is the perplexity
//! p_ij  = (p_j|i + p_i|j) / 2n,   q_ij = (1 + ‖yᵢ − yⱼ‖²)⁻¹ / Σ …
//! minimise Σ p_ij ln(p_ij / q_ij) by gradient descent with momentum and gains
//! ```
//!
//! van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008). Exact: every iteration looks at all pairs, time
//! `O(rows²)` each and memory `O(rows²)`: for up to a few thousand rows, a sample of more. Begins at the first two principal
//! components, so that the same rows give the same picture. Where the paper exaggerates `p` 4-fold for 50 steps and steps at
//! a rate of 100, here it is 12-fold for 250 steps and a rate that grows with the rows, as Belkina et al., "Automated
//! optimized parameters for T-distributed stochastic neighbor embedding" (2019), found better.

use candle_core::{Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::kernels::exact::squared_distance;
use dml_core::{Result, check};
use rayon::prelude::*;

use crate::projection::Pca;
use crate::rows::double_rows;

/// Iterations in which rows are drawn together more than they should be, so that clusters find their place.
const EXAGGERATED: usize = 250;
const EXAGGERATION: f64 = 12.0;
/// Rows at most: their affinities take 6 GiB.
const MOST_ROWS: usize = 20_000;

dml_core::config! {
    /// Configuration of [`TSne`].
    pub struct TSneConfig {
        /// How many neighbours a row has, about; above 1 and less than a third of the rows. Default 30.
        pub perplexity: f64 = 30.0,
        /// Steps of gradient descent, 1 to 100,000. Default 1,000.
        pub iterations: usize = 1_000,
    }
}

/// Places rows in the plane; [formulas](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{TSne, TSneConfig};
///
/// let rows = Tensor::new(&[[0f32, 1.], [1., 0.], [0., 0.], [9., 9.], [8., 9.], [9., 8.]], &Device::Cpu)?;
/// let config = TSneConfig { perplexity: 1.5, iterations: 300 };
/// let places = TSne::new(config)?.fit(&rows)?;
/// assert_eq!(places.dims(), [6, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TSne {
    config: TSneConfig,
}

impl TSne {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the perplexity is not above 1, or the number
    /// of iterations is outside of its range.
    pub fn new(config: TSneConfig) -> Result<Self> {
        check::count("iterations", config.iterations, 100_000)?;
        let perplexity = config.perplexity;
        let fits = perplexity > 1.0 && perplexity <= check::LARGEST;
        let expected = "a finite number above 1, at most 1e30";
        check::parameter(fits, "perplexity", perplexity, expected)?;
        Ok(Self { config })
    }

    /// Places `[rows, 2]` in double precision on the CPU, of `rows` `[rows, dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]`, [`Error::DType`](dml_core::Error::DType)
    /// unless they are of a floating-point type, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one
    /// is not finite or above 1e150, there are more than 20,000, or the perplexity is not less than a third of their
    /// number.
    pub fn fit(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = double_rows("rows", rows, None)?;
        let (count, dim) = rows.dims2()?;
        check::count_from("rows", count, 0, MOST_ROWS)?;
        let perplexity = self.config.perplexity;
        let fits = 3.0 * perplexity < count as f64;
        let expected = "less than a third of the rows";
        check::parameter(fits, "perplexity", perplexity, expected)?;
        let affinities = with_slice::<f64, _>(&rows, |rows| affinities(rows, dim, perplexity))?;
        let mut places = start(&rows)?;
        self.descend(&affinities, &mut places);
        let places = places.into_iter().flatten().collect::<Vec<f64>>();
        Ok(Tensor::from_vec(places, (count, 2), &Device::Cpu)?)
    }

    fn descend(&self, affinities: &[f64], places: &mut [[f64; 2]]) {
        let count = places.len();
        let rate = (count as f64 / EXAGGERATION / 4.0).max(50.0);
        let mut steps = vec![[0.0f64; 2]; count];
        let mut gains = vec![[1.0f64; 2]; count];
        for iteration in 0..self.config.iterations {
            let early = iteration < EXAGGERATED.min(self.config.iterations / 4);
            let (exaggeration, momentum) = if early {
                (EXAGGERATION, 0.5)
            } else {
                (1.0, 0.8)
            };
            let gradients = gradients(affinities, places, exaggeration);
            for (i, gradient) in gradients.iter().enumerate() {
                for axis in 0..2 {
                    let same_way = (gradient[axis] > 0.0) == (steps[i][axis] > 0.0);
                    let gain = &mut gains[i][axis];
                    *gain = if same_way { *gain * 0.8 } else { *gain + 0.2 }.max(0.01);
                    steps[i][axis] = momentum * steps[i][axis] - rate * *gain * gradient[axis];
                    places[i][axis] += steps[i][axis];
                }
            }
        }
    }
}

/// `p_ij` `[rows, rows]`, with 0 for a row and itself.
fn affinities(rows: &[f64], dim: usize, perplexity: f64) -> Vec<f64> {
    let count = rows.len() / dim;
    let row = |i: usize| &rows[i * dim..][..dim];
    let conditional: Vec<Vec<f64>> = (0..count)
        .into_par_iter()
        .map(|i| {
            let squares: Vec<f64> = (0..count)
                .map(|j| squared_distance(row(i), row(j)))
                .collect();
            neighborhood(&squares, i, perplexity.ln())
        })
        .collect();
    let entry = |at: usize| {
        let (i, j) = (at / count, at % count);
        (conditional[i][j] + conditional[j][i]) / (2.0 * count as f64)
    };
    (0..count * count).into_par_iter().map(entry).collect()
}

/// The weights of the others for a row, of that entropy, by halving.
fn neighborhood(squares: &[f64], i: usize, entropy: f64) -> Vec<f64> {
    let others = || squares.iter().enumerate().filter(|(j, _)| *j != i);
    let nearest = others().map(|(_, d)| *d).fold(f64::INFINITY, f64::min);
    let mean = others().map(|(_, d)| d - nearest).sum::<f64>() / (squares.len() - 1) as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    // All others equally far: every width gives the same.
    let mut width = if mean > 0.0 { 1.0 / mean } else { 1.0 };
    let mut weights = vec![0.0; squares.len()];
    for _ in 0..100 {
        let (mut sum, mut energy) = (0.0, 0.0);
        for (j, d) in others() {
            weights[j] = (-(d - nearest) * width).exp();
            sum += weights[j];
            energy += weights[j] * (d - nearest) * width;
        }
        let got = sum.ln() + energy / sum;
        weights.iter_mut().for_each(|weight| *weight /= sum);
        if (got - entropy).abs() < 1e-7 {
            break;
        }
        if got > entropy {
            low = width;
            width = if high.is_finite() {
                f64::midpoint(low, high)
            } else {
                2.0 * width
            };
        } else {
            high = width;
            width = f64::midpoint(low, high);
        }
    }
    weights
}

/// The principal components, small.
fn start(rows: &Tensor) -> Result<Vec<[f64; 2]>> {
    let (count, dim) = rows.dims2()?;
    let components = count.min(dim).min(2);
    let pca = Pca::fit(rows, components, false)?;
    let deviation = pca.variances()[0].sqrt();
    let scale = if deviation > 0.0 {
        1e-4 / deviation
    } else {
        0.0
    };
    let projected = with_slice::<f64, _>(&pca.transform(rows)?, <[f64]>::to_vec)?;
    let place = |(i, row): (usize, &[f64])| {
        // Equal rows must not be in one place, or nothing could part them.
        let apart = 1e-6 * (i as f64 + 1.0) / count as f64;
        let second = row.get(1).copied().unwrap_or(0.0);
        [row[0] * scale + apart, second * scale - apart * apart * 1e5]
    };
    Ok(projected
        .chunks_exact(components)
        .enumerate()
        .map(place)
        .collect())
}

fn gradients(affinities: &[f64], places: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let count = places.len();
    let closeness = |a: [f64; 2], b: [f64; 2]| {
        let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
        1.0 / (1.0 + dx * dx + dy * dy)
    };
    // Of each row: its sum, what draws it and what pushes it.
    let forces: Vec<(f64, [f64; 2], [f64; 2])> = (0..count)
        .into_par_iter()
        .map(|i| {
            let (mut sum, mut draw, mut push) = (0.0, [0.0; 2], [0.0; 2]);
            for (j, p) in affinities[i * count..][..count].iter().enumerate() {
                let near = closeness(places[i], places[j]);
                sum += near;
                for axis in 0..2 {
                    let gap = places[i][axis] - places[j][axis];
                    draw[axis] += exaggeration * p * near * gap;
                    push[axis] += near * near * gap;
                }
            }
            (sum - 1.0, draw, push)
        })
        .collect();
    let total: f64 = forces.iter().map(|(sum, _, _)| sum).sum();
    let gradient = |(_, draw, push): &(f64, [f64; 2], [f64; 2])| {
        [0, 1].map(|axis| 4.0 * (draw[axis] - push[axis] / total))
    };
    forces.iter().map(gradient).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use dml_core::Error;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Σ p ln(p / q)
    fn cost(affinities: &[f64], places: &[[f64; 2]]) -> f64 {
        let count = places.len();
        let near = |i: usize, j: usize| {
            let (a, b) = (places[i], places[j]);
            1.0 / (1.0 + (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
        };
        let pairs = || {
            let all = (0..count * count).map(|at| (at / count, at % count));
            all.filter(|(i, j)| i != j)
        };
        let total: f64 = pairs().map(|(i, j)| near(i, j)).sum();
        let term = |(i, j): (usize, usize)| match affinities[i * count + j] {
            0.0 => 0.0,
            p => p * (p / (near(i, j) / total)).ln(),
        };
        pairs().map(term).sum()
    }

    #[test]
    fn neighbourhoods_have_the_perplexity() {
        let squares: Vec<f64> = (0..50).map(|j| f64::from(j * j) / 7.0).collect();
        for perplexity in [2.0, 5.0, 12.0] {
            let weights = neighborhood(&squares, 3, f64::ln(perplexity));
            assert_eq!(weights[3], 0.0);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let terms = weights.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln());
            assert!((terms.sum::<f64>().exp() - perplexity).abs() < 1e-5);
        }
    }

    #[test]
    fn gradients_are_differences_of_the_cost() {
        let rows: Vec<f64> = (0..24).map(|i| f64::from(i * i % 11)).collect();
        let p = affinities(&rows, 3, 2.0);
        let mut places: Vec<[f64; 2]> = (0..8)
            .map(|i| [f64::from(i * 3 % 8) / 4.0, f64::from(i * i % 5) / 3.0])
            .collect();
        let got = gradients(&p, &places, 1.0);
        for i in 0..8 {
            for axis in 0..2 {
                let step = 1e-5;
                places[i][axis] += step;
                let above = cost(&p, &places);
                places[i][axis] -= 2.0 * step;
                let below = cost(&p, &places);
                places[i][axis] += step;
                let want = (above - below) / (2.0 * step);
                assert!(
                    (got[i][axis] - want).abs() < 1e-8,
                    "{} {want}",
                    got[i][axis]
                );
            }
        }
    }

    /// `tests/reference/scikit_learn.py` writes the numbers. scikit-learn's own are of single precision, and its
    /// perplexities are right to 1e-5.
    #[test]
    fn neighbourhoods_cost_and_gradients_are_those_of_scikit_learn() {
        let text = include_str!("../../tests/reference/scikit_learn.json");
        let reference: serde_json::Value = serde_json::from_str(text).unwrap();
        let cases = reference["neighborhoods"].as_array().unwrap();
        assert_eq!(cases.len(), 2);
        for case in cases {
            let table =
                |key: &str| -> Vec<Vec<f64>> { serde_json::from_value(case[key].clone()).unwrap() };
            let (rows, perplexity) = (table("rows"), case["perplexity"].as_f64().unwrap());
            let close = |got: f64, want: f64, what: &str| {
                assert!((got - want).abs() < 2e-5, "{what}: {got}, not {want}");
            };
            let conditional = table("conditional");
            for (i, want) in conditional.iter().enumerate() {
                let squares: Vec<f64> = rows
                    .iter()
                    .map(|row| squared_distance(row, &rows[i]))
                    .collect();
                let got = neighborhood(&squares, i, perplexity.ln());
                for (got, want) in got.iter().zip(want) {
                    close(*got, *want, "p_j|i");
                }
            }
            let affinities = affinities(&rows.concat(), rows[0].len(), perplexity);
            let places: Vec<[f64; 2]> = table("places").iter().map(|y| [y[0], y[1]]).collect();
            let gradients = gradients(&affinities, &places, 1.0);
            for (got, want) in gradients.iter().zip(table("gradient")) {
                close(got[0], want[0], "slope");
                close(got[1], want[1], "slope");
            }
            close(
                cost(&affinities, &places),
                case["cost"].as_f64().unwrap(),
                "cost",
            );
        }
    }

    #[test]
    fn clusters_stay_together_and_runs_repeat() -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let values: Vec<f64> = (0..90 * 10)
            .map(|i| rng.random_range(-1.0..1.0) + if i % 10 == i / 10 % 3 { 12.0 } else { 0.0 })
            .collect();
        let rows = Tensor::from_vec(values, (90, 10), &Device::Cpu)?;
        let config = TSneConfig {
            perplexity: 10.0,
            iterations: 400,
        };
        let tsne = TSne::new(config)?;
        let places = tsne.fit(&rows)?.to_vec2::<f64>()?;
        assert_eq!(places, tsne.fit(&rows)?.to_vec2::<f64>()?);
        for (i, place) in places.iter().enumerate() {
            let distance = |other: &[f64]| squared_distance(place, other);
            let nearest = (0..90)
                .filter(|j| *j != i)
                .min_by(|a, b| distance(&places[*a]).total_cmp(&distance(&places[*b])));
            assert_eq!(nearest.unwrap() % 3, i % 3);
        }
        Ok(())
    }

    #[test]
    fn equal_rows_and_single_columns_are_placed_and_bad_arguments_refused() -> Result<()> {
        let config = |perplexity, iterations| TSneConfig {
            perplexity,
            iterations,
        };
        let same = Tensor::ones((12, 1), DType::F32, &Device::Cpu)?;
        let places = TSne::new(config(3.0, 60))?.fit(&same)?.to_vec2::<f64>()?;
        assert!(places.iter().flatten().all(|x| x.is_finite()));
        assert!(matches!(
            TSne::new(config(4.0, 1))?.fit(&same),
            Err(Error::InvalidParameter {
                name: "perplexity",
                ..
            })
        ));
        for config in [config(1.0, 1), config(f64::NAN, 1), config(5.0, 0)] {
            assert!(TSne::new(config).is_err());
        }
        assert!(TSne::default().fit(&(same / 0.0)?).is_err());
        Ok(())
    }
}
