use super::*;
use rand::{Rng, SeedableRng};

fn draw(rng: &mut impl Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn conv(in_channels: usize, out_channels: usize, kernel: [usize; 2]) -> Convolution {
    Convolution {
        in_channels,
        out_channels,
        kernel,
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    }
}

fn pool(size: usize) -> Pooling {
    Pooling {
        kernel: [size; 2],
        stride: [size; 2],
        padding: [0, 0],
        dilation: [1, 1],
        ceil_mode: false,
    }
}

/// The definition, written as loops: returns the result and the convolution before ReLU and pooling.
fn by_definition(block: &Block, operands: &Operands<'_, f64>) -> Vec<f64> {
    let c = &block.convolution;
    let [h, w] = operands.image;
    let [oh, ow] = c.output(operands.image).unwrap();
    let batch = operands.input.len() / (c.in_channels * h * w);
    let (ci, co) = (c.group_inputs(), c.group_outputs());
    let mut out = Vec::new();
    for n in 0..batch {
        for o in 0..c.out_channels {
            let mut plane = Vec::new();
            for y in 0..oh {
                for x in 0..ow {
                    let mut sum = operands.filter.bias.get(o).copied().unwrap_or(0.0);
                    for i in 0..ci {
                        for a in 0..c.kernel[0] {
                            for b in 0..c.kernel[1] {
                                let row =
                                    (y * c.stride[0] + a * c.dilation[0]).checked_sub(c.padding[0]);
                                let column =
                                    (x * c.stride[1] + b * c.dilation[1]).checked_sub(c.padding[1]);
                                let (Some(row), Some(column)) = (row, column) else {
                                    continue;
                                };
                                if row < h && column < w {
                                    let channel = o / co * ci + i;
                                    sum += operands.input
                                        [((n * c.in_channels + channel) * h + row) * w + column]
                                        * operands.filter.weight
                                            [((o * ci + i) * c.kernel[0] + a) * c.kernel[1] + b];
                                }
                            }
                        }
                    }
                    plane.push(if block.relu { sum.max(0.0) } else { sum });
                }
            }
            if let Some(p) = &block.pooling {
                plane = p
                    .windows([oh, ow])
                    .iter()
                    .map(|w| {
                        let values = w.iter().map(|(_, pixel)| plane[*pixel as usize]);
                        values.fold(f64::NEG_INFINITY, f64::max)
                    })
                    .collect();
            }
            let scale = operands.scale.get(n * c.out_channels + o).unwrap_or(&1.0);
            out.extend(plane.iter().map(|v| v * scale));
        }
    }
    out
}

fn shapes() -> Vec<(Convolution, [usize; 2])> {
    let plain = conv(3, 5, [3, 3]);
    vec![
        (conv(1, 32, [3, 3]), [7, 9]),
        (conv(1, 1, [1, 1]), [3, 2]),
        (plain, [6, 5]),
        (conv(16, 70, [3, 3]), [6, 8]),
        (conv(32, 64, [3, 3]), [8, 8]),
        (conv(2, 20, [1, 5]), [4, 11]),
        (
            Convolution {
                padding: [1, 2],
                ..plain
            },
            [4, 5],
        ),
        (
            Convolution {
                stride: [2, 3],
                ..plain
            },
            [8, 10],
        ),
        (
            Convolution {
                dilation: [2, 3],
                ..plain
            },
            [9, 9],
        ),
        (
            Convolution {
                stride: [2, 1],
                padding: [2, 1],
                dilation: [1, 2],
                ..conv(4, 6, [3, 2])
            },
            [7, 6],
        ),
        (
            Convolution {
                stride: [3, 3],
                padding: [3, 0],
                dilation: [2, 2],
                groups: 2,
                ..conv(4, 6, [3, 3])
            },
            [9, 11],
        ),
        // A stride larger than the kernel: some pixels take part in nothing.
        (
            Convolution {
                stride: [4, 3],
                ..conv(2, 3, [2, 2])
            },
            [9, 8],
        ),
        // Every channel for itself.
        (
            Convolution {
                groups: 4,
                padding: [1, 1],
                ..conv(4, 8, [3, 3])
            },
            [5, 5],
        ),
    ]
}

fn blocks() -> Vec<(Block, [usize; 2])> {
    let mut blocks = Vec::new();
    let overlapping = Pooling {
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 1],
        dilation: [1, 1],
        ceil_mode: true,
    };
    for (convolution, image) in shapes() {
        for (relu, pooling) in [
            (false, None),
            (true, None),
            (false, Some(pool(2))),
            (true, Some(pool(2))),
            (true, Some(overlapping)),
        ] {
            let block = Block {
                first: None,
                convolution,
                relu,
                pooling,
            };
            if block.output(image).is_some_and(|[h, w]| h * w > 0) {
                blocks.push((block, image));
            }
        }
    }
    blocks
}

struct Data {
    input: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    scale: Vec<f64>,
    image: [usize; 2],
}

impl Data {
    fn new(block: &Block, image: [usize; 2], batch: usize, seed: u64) -> Self {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let c = &block.convolution;
        let mut scale = draw(&mut rng, batch * c.out_channels);
        // A dropped channel, as dropout makes it.
        scale[0] = 0.0;
        Self {
            input: draw(&mut rng, batch * c.in_channels * image[0] * image[1]),
            weight: draw(&mut rng, c.out_channels * c.window()),
            bias: draw(&mut rng, c.out_channels),
            scale,
            image,
        }
    }

    fn operands(&self) -> Operands<'_, f64> {
        Operands {
            image: self.image,
            input: &self.input,
            first: None,
            filter: Filter {
                weight: &self.weight,
                bias: &self.bias,
            },
            scale: &self.scale,
        }
    }
}

fn close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{what}, entry {i}: {a} {b}"
        );
    }
}

#[test]
fn one_window_by_hand() {
    let block = Block {
        first: None,
        convolution: conv(1, 1, [2, 2]),
        relu: false,
        pooling: None,
    };
    let operands = Operands {
        image: [2, 3],
        input: &[1f32, 2., 3., 4., 5., 6.],
        first: None,
        filter: Filter {
            weight: &[1., 10., 100., 1000.],
            bias: &[0.5],
        },
        scale: &[],
    };
    let result = forward(&block, &operands);
    assert_eq!(result.output, [5421.5, 6532.5]);
    let gradients = backward(&block, &operands, result.kept(), &[1., 2.], true);
    assert_eq!(gradients.filter.weight, [5., 8., 14., 17.]);
    assert_eq!(gradients.filter.bias, [3.]);
    assert_eq!(gradients.input, [1., 12., 20., 100., 1200., 2000.]);
}

#[test]
fn the_whole_gradient_goes_to_the_first_maximum_and_none_through_a_relu_at_zero() {
    let block = Block {
        first: None,
        convolution: conv(1, 1, [1, 1]),
        relu: true,
        pooling: Some(pool(2)),
    };
    // Three windows: one maximum, a four-way tie, nothing above zero.
    let operands = Operands {
        image: [2, 6],
        input: &[1f64, 3., 7., 7., 0., -1., 2., 0., 7., 7., -2., 0.],
        first: None,
        filter: Filter {
            weight: &[1.],
            bias: &[],
        },
        scale: &[],
    };
    let result = forward(&block, &operands);
    assert_eq!(result.output, [3., 7., 0.]);
    let gradients = backward(&block, &operands, result.kept(), &[10., 20., 30.], true);
    assert_eq!(
        gradients.input,
        [0., 10., 20., 0., 0., 0., 0., 0., 0., 0., 0., 0.]
    );
}

#[test]
fn every_block_agrees_with_its_definition() {
    for (i, (block, image)) in blocks().into_iter().enumerate() {
        let data = Data::new(&block, image, 3, i as u64);
        let expected = by_definition(&block, &data.operands());
        let result = forward(&block, &data.operands());
        close(&result.output, &expected, 1e-12, &format!("{block:?}"));
        let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (input, weight) = (narrow(&data.input), narrow(&data.weight));
        let (bias, scale) = (narrow(&data.bias), narrow(&data.scale));
        let single = Operands {
            image,
            input: &input,
            first: None,
            filter: Filter {
                weight: &weight,
                bias: &bias,
            },
            scale: &scale,
        };
        let output: Vec<f64> = forward(&block, &single)
            .output
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        close(&output, &expected, 1e-4, &format!("{block:?} in f32"));
    }
}

/// A list of numbers that the result depends on.
type Part = fn(&mut Data) -> &mut Vec<f64>;

#[test]
fn gradients_agree_with_central_differences() {
    for (i, (block, image)) in blocks().into_iter().enumerate() {
        let mut data = Data::new(&block, image, 2, 100 + i as u64);
        let result = forward(&block, &data.operands());
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(i as u64);
        let incoming = draw(&mut rng, result.output.len());
        let gradients = backward(&block, &data.operands(), result.kept(), &incoming, true);
        let without = backward(&block, &data.operands(), result.kept(), &incoming, false);
        assert!(without.input.is_empty());
        close(
            &without.filter.weight,
            &gradients.filter.weight,
            1e-12,
            "weights alone",
        );
        let value = |data: &Data| -> f64 {
            let output = forward(&block, &data.operands()).output;
            output.iter().zip(&incoming).map(|(a, b)| a * b).sum()
        };
        let parts: [(Part, &[f64], &str); 3] = [
            (|d| &mut d.input, &gradients.input, "input"),
            (|d| &mut d.weight, &gradients.filter.weight, "weight"),
            (|d| &mut d.bias, &gradients.filter.bias, "bias"),
        ];
        for (part, gradient, what) in parts {
            let count = part(&mut data).len();
            assert_eq!(count, gradient.len());
            // Some of them, spread over all.
            for k in (0..count).step_by(count.div_ceil(12)) {
                let step = 1e-6;
                part(&mut data)[k] += step;
                let up = value(&data);
                part(&mut data)[k] -= 2.0 * step;
                let down = value(&data);
                part(&mut data)[k] += step;
                let slope = (up - down) / (2.0 * step);
                assert!(
                    (slope - gradient[k]).abs() < 1e-6 * (1.0 + slope.abs()),
                    "{block:?}: {what} {k}: {slope} {}",
                    gradient[k]
                );
            }
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let block = Block {
        first: None,
        convolution: conv(16, 32, [3, 3]),
        relu: true,
        pooling: Some(pool(2)),
    };
    let data = Data::new(&block, [10, 10], 23, 7);
    let result = forward(&block, &data.operands());
    let gradient = vec![1.0; result.output.len()];
    let once = backward(&block, &data.operands(), result.kept(), &gradient, true);
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| {
            let result = forward(&block, &data.operands());
            backward(&block, &data.operands(), result.kept(), &gradient, true)
        });
    assert_eq!(once, alone);
}

#[test]
fn not_a_number_stays_one() {
    let block = Block {
        first: None,
        convolution: conv(1, 1, [1, 1]),
        relu: true,
        pooling: Some(pool(2)),
    };
    let operands = Operands {
        image: [2, 2],
        input: &[1f32, f32::NAN, 5., 2.],
        first: None,
        filter: Filter {
            weight: &[1.],
            bias: &[],
        },
        scale: &[],
    };
    assert!(forward(&block, &operands).output[0].is_nan());
}

#[test]
fn pooling_counts_windows_as_pytorch_does() {
    let mut pooling = pool(2);
    assert_eq!(pooling.output([5, 4]), Some([2, 2]));
    pooling.ceil_mode = true;
    assert_eq!(pooling.output([5, 4]), Some([3, 2]));
    pooling.stride = [3, 3];
    // 5 = 3 + 2, no rest; a third window would begin outside of 4 columns.
    assert_eq!(pooling.output([5, 4]), Some([2, 2]));
    assert_eq!(pool(3).output([2, 5]), None);
}

/// A convolution and ReLU computed alone, to be compared with the same as the first part of a block.
fn alone(convolution: Convolution) -> Block {
    Block {
        first: None,
        convolution,
        relu: true,
        pooling: None,
    }
}

#[test]
fn a_first_convolution_agrees_with_two_blocks() {
    for (first, then, image) in [
        (conv(1, 16, [3, 3]), conv(16, 20, [3, 3]), [12, 11]),
        (
            Convolution {
                padding: [1, 1],
                stride: [2, 1],
                ..conv(3, 5, [3, 2])
            },
            Convolution {
                padding: [1, 2],
                ..conv(5, 7, [3, 3])
            },
            [9, 8],
        ),
    ] {
        for pooling in [None, Some(pool(2))] {
            let both = Block {
                first: Some(first),
                convolution: then,
                relu: true,
                pooling,
            };
            let second = Block {
                first: None,
                ..both
            };
            let inner = first.output(image).unwrap();
            let (near, far) = (
                Data::new(&alone(first), image, 3, 5),
                Data::new(&second, inner, 3, 6),
            );
            let between = Operands {
                scale: &[],
                ..near.operands()
            };
            let middle = forward(&alone(first), &between);
            let apart = Operands {
                input: &middle.output,
                ..far.operands()
            };
            let joined = Operands {
                first: Some(between.filter),
                filter: apart.filter,
                scale: apart.scale,
                ..between
            };
            let (expected, got) = (forward(&second, &apart), forward(&both, &joined));
            close(&got.output, &expected.output, 1e-12, "value");
            let gradient: Vec<f64> = (0..got.output.len()).map(|i| (i as f64).sin()).collect();
            let late = backward(&second, &apart, expected.kept(), &gradient, true);
            let early = backward(&alone(first), &between, middle.kept(), &late.input, false);
            let together = backward(&both, &joined, got.kept(), &gradient, true);
            assert!(together.input.is_empty());
            for (a, b) in [
                (&together.filter, &late.filter),
                (&together.first, &early.filter),
            ] {
                close(&a.weight, &b.weight, 1e-10, "weights");
                close(&a.bias, &b.bias, 1e-10, "bias");
            }
        }
    }
}

#[test]
fn fewer_multiplications_give_the_same_numbers_in_single_precision() {
    // Odd and even sizes, channels that do not fill registers, padding.
    for (inputs, outputs, image, padding) in [
        (16, 16, [6, 6], 0),
        (32, 64, [11, 14], 0),
        (48, 50, [7, 9], 1),
        (16, 33, [20, 5], 1),
    ] {
        for pooling in [None, Some(pool(2))] {
            let block = Block {
                first: None,
                convolution: Convolution {
                    padding: [padding; 2],
                    ..conv(inputs, outputs, [3, 3])
                },
                relu: true,
                pooling,
            };
            let data = Data::new(&block, image, 2, 3);
            let expected = forward(&block, &data.operands());
            let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
            let parts = [&data.input, &data.weight, &data.bias, &data.scale].map(|x| narrow(x));
            let single = Operands {
                image,
                input: &parts[0],
                first: None,
                filter: Filter {
                    weight: &parts[1],
                    bias: &parts[2],
                },
                scale: &parts[3],
            };
            let got = forward(&block, &single);
            let output: Vec<f64> = got.output.iter().map(|x| f64::from(*x)).collect();
            close(&output, &expected.output, 2e-5, &format!("{block:?}"));
            let same = got
                .places
                .iter()
                .zip(&expected.places)
                .filter(|(a, b)| a == b)
                .count();
            // Values that differ by a rounding may change places.
            assert!(
                same * 1000 >= got.places.len() * 995,
                "{same} of {}",
                got.places.len()
            );
        }
    }
}
