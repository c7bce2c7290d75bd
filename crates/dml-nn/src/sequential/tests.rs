use super::*;
use crate::*;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::SeedSequence;
use rand::SeedableRng;

/// Layers that can be joined in every way, twice: as a [`Sequential`], and to be called one by one.
fn networks(dtype: DType) -> Vec<(Sequential, Vec<Box<dyn Layer>>)> {
    let conv = || {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let config = Conv2dConfig {
            padding: [1, 0],
            ..Conv2dConfig::new(16, 20, [3, 3])
        };
        Conv2d::new(config, &mut rng, dtype, &Device::Cpu).unwrap()
    };
    let pool = || MaxPool2d::new(MaxPool2dConfig::new([2, 2])).unwrap();
    let dropout = || Dropout2d::new(Dropout2dConfig { p: 0.3 }, SeedSequence::new(8)).unwrap();
    let boxed = |layers: Vec<Box<dyn Layer>>| {
        let mut network = Sequential::default();
        for (i, layer) in layers.into_iter().enumerate() {
            network = network.with(format!("{i}"), layer);
        }
        network
    };
    type Order = fn(Conv2d, MaxPool2d, Dropout2d) -> Vec<Box<dyn Layer>>;
    /// Behind a convolution `c`.
    fn norm(c: &Conv2d) -> BatchNorm {
        let config = BatchNormConfig::new(c.weight().dims()[0]);
        BatchNorm::new(config, c.weight().dtype(), &Device::Cpu).unwrap()
    }
    let all: [Order; 10] = [
        |c, _, _| vec![Box::new(c)],
        |c, _, _| vec![Box::new(c), Box::new(Relu)],
        |c, p, _| vec![Box::new(c), Box::new(p), Box::new(Relu)],
        |c, p, _| vec![Box::new(c), Box::new(Relu), Box::new(p)],
        |c, p, d| {
            vec![
                Box::new(c),
                Box::new(Relu),
                Box::new(p),
                Box::new(d),
                Box::new(Flatten),
            ]
        },
        |c, p, d| vec![Box::new(c), Box::new(d), Box::new(p)],
        |c, _, d| vec![Box::new(Relu), Box::new(c), Box::new(Relu), Box::new(d)],
        |c, p, _| {
            let norm = norm(&c);
            vec![Box::new(c), Box::new(norm), Box::new(p)]
        },
        |c, p, _| {
            let norm = norm(&c);
            vec![Box::new(c), Box::new(norm), Box::new(Relu), Box::new(p)]
        },
        |c, _, _| {
            let (first, second) = (norm(&c), norm(&c));
            let relu6 = Box::new(Activation::Relu6);
            let tanh = Box::new(Activation::Tanh);
            vec![Box::new(c), Box::new(first), relu6, Box::new(second), tanh]
        },
    ];
    all.into_iter()
        .map(|layers| {
            (
                boxed(layers(conv(), pool(), dropout())),
                layers(conv(), pool(), dropout()),
            )
        })
        .collect()
}

#[test]
fn joined_layers_agree_with_the_layers_one_by_one() -> Result<()> {
    let values: Vec<f64> = (0..3 * 16 * 10 * 9)
        .map(|i| f64::from(i * 29 % 83) / 41.0 - 1.0)
        .collect();
    let x = Var::from_vec(values, (3, 16, 10, 9), &Device::Cpu)?;
    for train in [false, true] {
        for (joined, layers) in networks(DType::F64) {
            let mut y = x.as_tensor().clone();
            for layer in &layers {
                y = layer.forward_t(&y, train)?;
            }
            let z = joined.forward_t(&x, train)?;
            assert_eq!(z.dims(), y.dims());
            let weights: Vec<f64> = (0..y.elem_count()).map(|i| (i as f64).cos()).collect();
            let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu)?;
            let difference = (&z - &y)?.abs()?.max_all()?.to_scalar::<f64>()?;
            assert!(difference < 1e-12, "{joined:?}: {difference}");
            let [a, b] = [&z, &y].map(|t| (t * &weights).unwrap().sum_all().unwrap().backward());
            let (a, b) = (a?, b?);
            let difference = (a.get(&x).unwrap() - b.get(&x).unwrap())?;
            assert!(
                difference.abs()?.max_all()?.to_scalar::<f64>()? < 1e-11,
                "{joined:?}"
            );
            let theirs = layers.iter().flat_map(Layer::parameters);
            for ((name, own), (_, var)) in joined.parameters().into_iter().zip(theirs) {
                let difference = (a.get(&own).unwrap() - b.get(&var).unwrap())?;
                let largest = difference.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(largest < 1e-10, "{joined:?}, {name}: {largest}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_cheap_first_convolution_is_joined_and_agrees() -> Result<()> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut conv = |inputs, outputs, bias| {
        let config = Conv2dConfig {
            bias,
            padding: [1, 1],
            ..Conv2dConfig::new(inputs, outputs, [3, 3])
        };
        Conv2d::new(config, &mut rng, DType::F64, &Device::Cpu).unwrap()
    };
    for bias in [true, false] {
        let (first, second) = (conv(2, 16, bias), conv(16, 7, bias));
        let pool = MaxPool2d::new(MaxPool2dConfig::new([2, 2]))?;
        let network = Sequential::default()
            .with("conv1", first.clone())
            .with("relu1", Relu)
            .with("conv2", second.clone())
            .with("relu2", Relu)
            .with("pool", pool);
        let values: Vec<f64> = (0..3 * 2 * 81)
            .map(|i| f64::from(i * 29 % 83) / 41.0 - 1.0)
            .collect();
        let x = Var::from_vec(values, (3, 2, 9, 9), &Device::Cpu)?;
        // Outside of the graph the first convolution is joined, inside it is not.
        for x in [x.as_tensor().detach(), x.as_tensor().clone()] {
            let joined = network.forward_t(&x, true)?;
            let y = Relu.forward(&first.forward(&x)?)?;
            let apart = pool.forward(&Relu.forward(&second.forward(&y)?)?)?;
            let difference = (&joined - &apart)?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f64>()? < 1e-12);
            let (a, b) = (
                joined.sqr()?.sum_all()?.backward()?,
                apart.sqr()?.sum_all()?.backward()?,
            );
            assert_eq!(a.get(&x).is_some(), x.track_op());
            for (name, var) in network.parameters().iter() {
                let difference = (a.get(var).unwrap() - b.get(var).unwrap())?;
                let largest = difference.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(largest < 1e-10, "{name}: {largest}");
            }
        }
        // One channel too many in front.
        let wide = Tensor::zeros((1, 3, 9, 9), DType::F64, &Device::Cpu)?;
        assert!(matches!(
            network.forward_t(&wide, true),
            Err(dml_core::Error::Shape { arg: "input", .. })
        ));
    }
    Ok(())
}

#[test]
fn half_precision_passes_through() -> Result<()> {
    let x = Tensor::ones((1, 16, 6, 6), DType::F16, &Device::Cpu)?;
    for (joined, _) in networks(DType::F16) {
        assert_eq!(joined.forward_t(&x, true)?.dtype(), DType::F16);
    }
    Ok(())
}

#[test]
fn a_sequence_is_a_layer_of_another_and_names_nest() {
    let (inner, _) = networks(DType::F32).swap_remove(0);
    let outer = Sequential::default()
        .with("trunk", inner)
        .with("relu", Relu);
    let names: Vec<String> = outer
        .parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["trunk.0.weight", "trunk.0.bias"]);
}
