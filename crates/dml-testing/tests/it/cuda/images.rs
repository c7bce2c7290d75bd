//! Convolution and pooling.

use dml::candle_core::{DType, Var};
use dml::nn::{Conv2d, Conv2dConfig, Layer, MaxPool2d, MaxPool2dConfig};

use super::{assert_alike, draw, var};

fn convolutions() -> Vec<Conv2dConfig> {
    let plain = Conv2dConfig::new(4, 6, [3, 2]);
    vec![
        plain.clone(),
        Conv2dConfig {
            stride: [2, 3],
            padding: [1, 2],
            ..plain.clone()
        },
        Conv2dConfig {
            dilation: [2, 1],
            padding: [0, 1],
            groups: 2,
            bias: false,
            ..plain
        },
    ]
}

#[test]
fn convolutions_and_their_gradients() {
    for dtype in [DType::F32, DType::F64] {
        for config in convolutions() {
            let x = var(&draw(4, 3 * 4, 7 * 8), &[3, 4, 7, 8], dtype);
            let [height, width] = config.kernel_size;
            let shape = [6, 4 / config.groups, height, width];
            let weight = var(&draw(5, 6, shape[1..].iter().product()), &shape, dtype);
            let bias = config.bias.then(|| var(&draw(6, 6, 1), &[6], dtype));
            let mut vars: Vec<&Var> = vec![&x, &weight];
            vars.extend(&bias);
            let layer =
                Conv2d::from_parameters(config.clone(), weight.clone(), bias.clone()).unwrap();
            assert_alike(&format!("{config:?}, {dtype:?}"), &vars, &|| {
                layer.forward(&x)
            });
        }
    }
}

#[test]
fn pooling_and_its_gradient() {
    for dtype in [DType::F32, DType::F64] {
        // Whole numbers tie: the first one has all of the gradient.
        let values: Vec<f64> = draw(7, 2 * 3, 9 * 6).iter().map(|x| x.round()).collect();
        let x = var(&values, &[2, 3, 9, 6], dtype);
        let plain = MaxPool2dConfig::new([2, 2]);
        for config in [
            plain.clone(),
            MaxPool2dConfig {
                kernel_size: [3, 2],
                stride: Some([1, 2]),
                padding: [1, 1],
                ceil_mode: true,
                ..plain.clone()
            },
            MaxPool2dConfig {
                dilation: [2, 3],
                stride: Some([2, 1]),
                ..plain
            },
        ] {
            let layer = MaxPool2d::new(config.clone()).unwrap();
            assert_alike(&format!("{config:?}, {dtype:?}"), &[&x], &|| {
                layer.forward(&x)
            });
        }
    }
}
