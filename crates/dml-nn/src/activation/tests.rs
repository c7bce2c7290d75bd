use super::*;
use crate::Layer;
use candle_core::{DType, Device, Var};
use dml_core::autograd::without_kernels;

fn all() -> [(&'static str, Box<dyn Layer>); 9] {
    [
        ("gelu", Box::new(Gelu::default())),
        ("gelu tanh", Box::new(Gelu::new(GeluForm::Tanh))),
        ("gelu quick", Box::new(Gelu::new(GeluForm::Quick))),
        ("silu", Box::new(Silu)),
        ("hardswish", Box::new(Hardswish)),
        ("hardsigmoid", Box::new(Hardsigmoid)),
        ("relu6", Box::new(Relu6)),
        ("sigmoid", Box::new(Sigmoid)),
        ("tanh", Box::new(Tanh)),
    ]
}

/// Values and derivatives.
fn both(layer: &dyn Layer, x: &[f64], dtype: DType) -> Result<[Vec<f64>; 2]> {
    let x = Tensor::new(x, &Device::Cpu)?.to_dtype(dtype)?;
    let x = Var::from_tensor(&x)?;
    let y = layer.forward(&x)?;
    assert_eq!(y.dtype(), dtype);
    let store = y.sum_all()?.backward()?;
    let list = |x: &Tensor| x.to_dtype(DType::F64)?.to_vec1();
    Ok([list(&y)?, list(store.get(&x).unwrap())?])
}

/// From PyTorch 2.15:
///
/// ```text
/// x = torch.tensor([-6., -3., -1., -.5, 0., .25, 1., 3., 6., 7.], dtype=torch.float64, requires_grad=True)
/// y = F.gelu(x); y.sum().backward(); y, x.grad
/// ```
#[test]
fn values_and_derivatives_are_those_of_pytorch() -> Result<()> {
    let x = [-6., -3., -1., -0.5, 0., 0.25, 1., 3., 6., 7.];
    #[rustfmt::skip]
    let wanted = [
        [[-6e-9, -0.004049694, -0.158655254, -0.154268769, 0., 0.149676581, 0.841344746, 2.995950306, 5.999999994, 7.],
         [-3.5e-8, -0.011945647, -0.083315471, 0.132504875, 0.5, 0.695373355, 1.083315471, 1.011945647, 1.000000035, 1.]],
        [[0., -0.003637392, -0.158808009, -0.15428599, 0., 0.149675351, 0.841191991, 2.996362608, 6., 7.],
         [-1e-9, -0.011584167, -0.082964084, 0.132630096, 0.5, 0.695354095, 1.082964084, 1.011584167, 1.000000001, 1.]],
        [[-0.000220354, -0.01807131, -0.154204234, -0.149611563, 0., 0.15119965, 0.845795766, 2.98192869, 5.999779646, 6.999953128],
         [-0.000338302, -0.024548324, -0.067779607, 0.120778088, 0.5, 0.706500441, 1.067779607, 1.024548324, 1.000338302, 1.000073079]],
        [[-0.014835739, -0.14227762, -0.268941421, -0.188770334, 0., 0.140544125, 0.731058579, 2.85772238, 5.985164261, 6.993622642],
         [-0.012326433, -0.088104106, 0.072329488, 0.260038813, 0.5, 0.623710022, 0.927670512, 1.088104106, 1.012326433, 1.005460497]],
        [[0., 0., -0.333333333, -0.208333333, 0., 0.135416667, 0.666666667, 3., 6., 7.],
         [0., 0., 0.166666667, 0.333333333, 0.5, 0.583333333, 0.833333333, 1., 1., 1.]],
        [[0., 0., 0.333333333, 0.416666667, 0.5, 0.541666667, 0.666666667, 1., 1., 1.],
         [0., 0., 0.166666667, 0.166666667, 0.166666667, 0.166666667, 0.166666667, 0., 0., 0.]],
        [[0., 0., 0., 0., 0., 0.25, 1., 3., 6., 6.], [0., 0., 0., 0., 0., 1., 1., 1., 0., 0.]],
        [[0.002472623, 0.047425873, 0.268941421, 0.377540669, 0.5, 0.562176501, 0.731058579, 0.952574127, 0.997527377, 0.999088949],
         [0.002466509, 0.04517666, 0.196611933, 0.235003712, 0.25, 0.246134083, 0.196611933, 0.04517666, 0.002466509, 0.000910221]],
        [[-0.999987712, -0.995054754, -0.761594156, -0.462117157, 0., 0.244918662, 0.761594156, 0.995054754, 0.999987712, 0.999998337],
         [2.4577e-05, 0.009866037, 0.419974342, 0.786447733, 1., 0.940014849, 0.419974342, 0.009866037, 2.4577e-05, 3.326e-06]],
    ];
    for ((name, layer), wanted) in all().iter().zip(wanted) {
        for (dtype, limit) in [(DType::F64, 1e-9), (DType::F32, 1e-6), (DType::F16, 4e-3)] {
            let fused = both(&**layer, &x, dtype)?;
            let composite = without_kernels(|| both(&**layer, &x, dtype))?;
            for got in [fused, composite] {
                for (got, wanted) in got.iter().flatten().zip(wanted.iter().flatten()) {
                    let limit = limit * wanted.abs().max(1.0);
                    assert!((got - wanted).abs() < limit, "{name}: {got}, {wanted}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn derivatives_are_those_of_the_values() -> Result<()> {
    // Away from the kinks at −3, 0, 3 and 6.
    let x: Vec<f64> = (-80..80).map(|i| f64::from(i) * 0.1 + 0.03).collect();
    let step = 1e-5;
    for (name, layer) in all() {
        let [_, derivatives] = both(&*layer, &x, DType::F64)?;
        let shifted = |by: f64| -> Result<Vec<f64>> {
            let x: Vec<f64> = x.iter().map(|x| x + by).collect();
            Ok(layer.forward(&Tensor::new(x, &Device::Cpu)?)?.to_vec1()?)
        };
        let (above, below) = (shifted(step)?, shifted(-step)?);
        for ((derivative, above), below) in derivatives.iter().zip(above).zip(below) {
            let difference = (above - below) / (2.0 * step);
            assert!(
                (derivative - difference).abs() < 1e-8,
                "{name}: {derivative}, {difference}"
            );
        }
    }
    Ok(())
}

#[test]
fn single_precision_keeps_nearly_all_digits() -> Result<()> {
    // Without the neighbourhoods of zeros of the derivatives, where relative errors mean little.
    let x: Vec<f64> = (-6000..6000).map(|i| f64::from(i as f32 * 2e-3)).collect();
    for (name, layer) in all() {
        let (single, double) = (
            both(&*layer, &x, DType::F32)?,
            both(&*layer, &x, DType::F64)?,
        );
        for (i, (single, double)) in single[0].iter().zip(&double[0]).enumerate() {
            // Far below 0 the rounding of an exponent such as 1.702 x counts as often as the exponent is large.
            let limit = 16.0 * f64::from(f32::EPSILON) * double.abs().max(1e-3);
            assert!(
                (single - double).abs() <= limit,
                "{name}({}): {single}, {double}",
                x[i]
            );
        }
        for (single, double) in single[1].iter().zip(&double[1]) {
            let limit = 8.0 * f64::from(f32::EPSILON) * double.abs().max(0.1);
            assert!(
                (single - double).abs() <= limit,
                "{name}: {single}, {double}"
            );
        }
    }
    Ok(())
}

#[test]
fn nan_stays_nan_and_far_out_nothing_overflows() -> Result<()> {
    for (name, layer) in all() {
        for dtype in [DType::F32, DType::F64] {
            let [values, derivatives] = both(&*layer, &[f64::NAN, 1e30, -1e30], dtype)?;
            assert!(values[0].is_nan() && derivatives[0].is_nan(), "{name}");
            assert!(
                values[1..].iter().all(|y| y.is_finite()),
                "{name}: {values:?}"
            );
            assert!(
                derivatives[1..].iter().all(|y| y.is_finite()),
                "{name}: {derivatives:?}"
            );
        }
        let [values, _] = both(&*layer, &[f64::INFINITY], DType::F32)?;
        assert!(!values[0].is_nan(), "{name}");
    }
    Ok(())
}

#[test]
fn views_and_empty_tensors_work_and_threads_change_no_bit() -> Result<()> {
    let numbers: Vec<f32> = (0..200_001)
        .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 100.0)
        .collect();
    let numbers = Tensor::from_vec(numbers, (3, 66_667), &Device::Cpu)?;
    for (_, layer) in all() {
        let x = Var::from_tensor(&numbers)?;
        let run = |x: &Tensor| -> Result<[Vec<f32>; 2]> {
            let y = layer.forward(x)?;
            let store = y.sqr()?.sum_all()?.backward()?;
            let flat = |x: &Tensor| x.flatten_all()?.to_vec1();
            Ok([flat(&y.t()?.contiguous()?)?, flat(store.get(x).unwrap())?])
        };
        let first = run(x.as_tensor())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(pool.install(|| run(x.as_tensor()))?, first);
        let turned = layer.forward(&x.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(turned, first[0]);
        let nothing = Tensor::zeros((0, 4), DType::F32, &Device::Cpu)?;
        assert_eq!(layer.forward(&nothing)?.dims(), [0, 4]);
    }
    Ok(())
}
