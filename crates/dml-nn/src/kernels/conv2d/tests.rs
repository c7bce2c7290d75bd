use super::*;
use rand::{Rng, SeedableRng};

mod gradients;
mod precision;

impl<T> Forward<T> {
    /// What the backward pass reads.
    fn kept(&self) -> Kept<'_, T> {
        Kept {
            output: &self.output,
            places: &self.places,
        }
    }
}

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
