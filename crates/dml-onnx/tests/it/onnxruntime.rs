//! ONNX Runtime through Python, where there is one.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor};
use dml_nn::Layer;
use dml_onnx::{OnnxConfig, save};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest difference, relative to the largest magnitude of an embedding.
const TOLERANCE: f64 = 1e-4;

const SCRIPT: &str = include_str!("onnxruntime.py");

/// A Python that has ONNX Runtime. One that is asked for by `DML_PYTHON` must have it.
static PYTHON: LazyLock<Option<String>> = LazyLock::new(|| {
    let asked = std::env::var("DML_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let needed = "import numpy, onnx, onnxruntime, safetensors";
    let tried = Command::new(&python).args(["-c", needed]).output();
    let has_runtime = tried.is_ok_and(|tried| tried.status.success());
    assert!(
        has_runtime || asked.is_none(),
        "DML_PYTHON: expected a Python that can `{needed}`, got {python}"
    );
    if !has_runtime {
        // Straight to the terminal, and not by `eprintln!`: the harness keeps what a passing test prints to itself.
        let sentence = "SKIPPED: no Python with onnxruntime (set DML_PYTHON); files are checked by their structure alone";
        #[allow(clippy::explicit_write)]
        writeln!(std::io::stderr(), "{sentence}").unwrap();
    }
    has_runtime.then_some(python)
});

#[derive(serde::Deserialize)]
struct Answer {
    difference: f64,
    magnitude: f64,
    shape: (String, usize),
}

/// Sets parameters and buffers to random numbers, under which the numbers of a network neither vanish nor explode.
pub(crate) fn fill(network: &dyn Layer) {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    for (name, var) in network.parameters().into_iter().chain(network.buffers()) {
        let shape = var.dims();
        let bounds = match name.rsplit('.').next().unwrap() {
            "bias" | "running_mean" | "layer_scale" => -0.3..0.3,
            _ if shape.len() == 1 => 0.5..1.5,
            _ => {
                let inputs = shape[1..].iter().product::<usize>() as f64;
                -(6.0 / inputs).sqrt()..(6.0 / inputs).sqrt()
            }
        };
        let values: Vec<f64> = (0..var.elem_count())
            .map(|_| rng.random_range(bounds.clone()))
            .collect();
        let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        var.set(&values.to_dtype(var.dtype()).unwrap()).unwrap();
    }
}

/// Random images or other numbers in single precision.
pub(crate) fn numbers(shape: &[usize]) -> Tensor {
    let rng = &mut ChaCha8Rng::seed_from_u64(9);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-2.0..2.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Exports a network with the first input as the example, and compares the embeddings of all of them.
pub(crate) fn check(name: &str, network: &dyn Layer, config: &OnnxConfig, inputs: &[Tensor]) {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["model.onnx", "cases.safetensors"].map(|name| folder.path().join(name));
    save(network, &inputs[0], config, &paths[0]).unwrap();
    let Some(python) = &*PYTHON else { return };
    let mut cases = HashMap::new();
    let mut embedding_dim = 0;
    for (number, input) in inputs.iter().enumerate() {
        let output = network.forward(input).unwrap();
        embedding_dim = output.dims()[1];
        let dtype = if input.dtype().is_float() {
            DType::F32
        } else {
            DType::I64
        };
        cases.insert(format!("{number}.input"), input.to_dtype(dtype).unwrap());
        cases.insert(
            format!("{number}.output"),
            output.to_dtype(DType::F32).unwrap(),
        );
    }
    candle_core::safetensors::save(&cases, &paths[1]).unwrap();
    let run = Command::new(python)
        .args(["-c", SCRIPT])
        .args(&paths)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{name}: {said}");
    let answer: Answer = serde_json::from_slice(&run.stdout).unwrap();
    #[allow(clippy::print_stdout)] // `--nocapture` shows it.
    {
        println!("{name}: {:e} of {:e}", answer.difference, answer.magnitude);
    }
    assert_eq!(answer.shape, ("batch".to_owned(), embedding_dim), "{name}");
    assert!(answer.magnitude > 1e-3, "{name}: all embeddings are near 0");
    let share = answer.difference / answer.magnitude;
    assert!(share < TOLERANCE, "{name}: {share:e}");
}
