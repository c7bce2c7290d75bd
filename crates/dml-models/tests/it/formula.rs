//! The formula that weights and images are drawn from (`generate/README.md`), and digests of tensors.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use dml_nn::Layer;

/// Elements of the tensor `name`, between two bounds.
pub(crate) fn draw(name: &str, count: usize, low: f64, high: f64) -> Vec<f64> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let element = |i: u64| {
        let step = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut z: u64 = u64::wrapping_add(hash, step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let u = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * u
    };
    (0..count as u64).map(element).collect()
}

/// A tensor of the formula.
pub(crate) fn tensor(name: &str, shape: &[usize], low: f64, high: f64) -> Tensor {
    let values = draw(name, shape.iter().product(), low, high);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn bounds(name: &str, shape: &[usize]) -> [f64; 2] {
    match name.rsplit('.').next().unwrap() {
        "layer_scale" => [-0.5, 0.5],
        "bias" | "running_mean" => [-0.1, 0.1],
        "running_var" => [0.5, 1.5],
        _ if shape.len() == 1 => [0.5, 1.5],
        _ => {
            let inputs = shape.iter().skip(1).product::<usize>() as f64;
            [-(6.0 / inputs).sqrt(), (6.0 / inputs).sqrt()]
        }
    }
}

/// Sets every parameter and buffer of a network to values of the formula.
pub(crate) fn fill(network: &dyn Layer) {
    let all = network.parameters().into_iter().chain(network.buffers());
    for (name, var) in all {
        let var: Var = var;
        let [low, high] = bounds(&name, var.dims());
        let values = tensor(&name, var.dims(), low, high);
        var.set(&values.to_dtype(var.dtype()).unwrap()).unwrap();
    }
}

/// Norm, product with the probe, first and last element.
pub(crate) fn digest(name: &str, tensor: &Tensor) -> [f64; 4] {
    let values = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    let values = values.to_vec1::<f64>().unwrap();
    let probe = draw(&format!("probe.{name}"), values.len(), -1.0, 1.0);
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let product = values.iter().zip(probe).map(|(x, p)| x * p).sum();
    [norm, product, values[0], values[values.len() - 1]]
}

/// Panics unless a digest is the expected one within `tolerance` times the norm, or times `least` where the norm is
/// smaller: a gradient that is 0 but for rounding has no digits to compare.
pub(crate) fn assert_digest(
    what: &str,
    got: [f64; 4],
    expected: [f64; 4],
    tolerance: f64,
    least: f64,
) {
    let bound = tolerance * expected[0].max(least);
    for (got_one, expected_one) in got.iter().zip(expected) {
        let difference = (got_one - expected_one).abs();
        assert!(
            difference <= bound,
            "{what}: expected {expected:?} within {tolerance} of the norm, got {got:?}"
        );
    }
}

/// Features of upstream: their digest, the first row, and digests of the gradients of all parameters by name, of the product
/// of features and probe.
#[derive(serde::Deserialize)]
pub(crate) struct Case {
    pub(crate) features: [f64; 4],
    first_row: Vec<f64>,
    gradients: BTreeMap<String, [f64; 4]>,
}

impl Case {
    /// Panics unless features, their first row and every gradient are upstream's within `tolerance` times their norm.
    pub(crate) fn assert(
        &self,
        what: &str,
        features: &Tensor,
        network: &dyn Layer,
        tolerance: f64,
    ) {
        let what = |tensor: &str| format!("{what}: {tensor}");
        let got = digest("features", features);
        assert_digest(&what("features"), got, self.features, tolerance, 0.0);
        let rows = features.reshape(((), features.dims()[features.rank() - 1]));
        let row = rows.unwrap().get(0).unwrap().to_vec1::<f64>().unwrap();
        for (got, expected) in row.iter().zip(&self.first_row) {
            let difference = (got - expected).abs();
            assert!(
                difference <= tolerance * self.features[0],
                "{}: {got} {expected}",
                what("first row")
            );
        }
        let probe = tensor("probe.features", features.dims(), -1.0, 1.0);
        let loss = (features * probe).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let norms = self.gradients.values().map(|digest| digest[0]);
        let least = 1e-6 * norms.fold(0.0, f64::max);
        let parameters = network.parameters();
        assert_eq!(parameters.len(), self.gradients.len());
        for (own, var) in parameters.iter() {
            let gradient = gradients.get(var);
            let gradient = gradient.unwrap_or_else(|| panic!("{}", what(own)));
            let expected = self.gradients.get(own);
            let expected = expected.unwrap_or_else(|| panic!("{}", what(own)));
            assert_digest(
                &what(own),
                digest(own, gradient),
                *expected,
                tolerance,
                least,
            );
        }
    }
}
