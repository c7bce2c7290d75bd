//! Who takes which tensor, with a runner that computes nothing; what the kernels compute is tested in dml-testing.

use std::sync::Mutex;

use candle_core::{Device, Var};

use super::*;
use crate::TensorExt;
use crate::autograd;

/// Remembers the kernels that it was asked for, and gives ones.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<String>>);

impl Runner for Recorder {
    fn run(&self, launch: &Launch, precision: Precision, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        assert_eq!(inputs.len(), launch.inputs.len());
        self.0.lock().unwrap().push(launch.name(precision));
        let outputs = launch.outputs.iter();
        let ones = outputs.map(|extent| Tensor::ones(extent.len, DType::F32, &Device::Cpu));
        Ok(ones.collect::<candle_core::Result<_>>()?)
    }
}

#[test]
fn a_runner_takes_what_has_a_kernel_and_only_while_it_is_there() -> Result<()> {
    let x = Var::new(&[[1f32, 2.], [3., 5.]], &Device::Cpu)?;
    let half = x.to_dtype(DType::F16)?;
    let none = Tensor::zeros((0, 2), DType::F32, &Device::Cpu)?;
    let recorder = Arc::new(Recorder::default());
    with_runner(recorder.clone(), || {
        assert!(has_kernel(&x) && !has_kernel(&half) && !has_kernel(&none));
        assert!(!autograd::has_kernel(&x));
        let distances = x.pairwise_lp(&x, 2.0)?;
        assert_eq!(distances.to_vec2::<f32>()?, [[1.0; 2]; 2]);
        // The gradient as a query and that as a reference.
        let store = distances.sum_all()?.backward()?;
        let gradient = store.get(x.as_tensor()).map(Tensor::to_vec2::<f32>);
        assert_eq!(gradient.transpose()?, Some(vec![vec![2.0; 2]; 2]));
        Ok::<(), Error>(())
    })?;
    let asked = [
        "euclidean_f32",
        "euclidean_backward_f32",
        "euclidean_backward_f32",
    ];
    assert_eq!(*recorder.0.lock().unwrap(), asked);
    assert!(!has_kernel(&x) && autograd::has_kernel(&x));
    assert_eq!(x.pairwise_lp(&x, 1.0)?.to_vec2::<f32>()?[0][1], 5.0);
    Ok(())
}
