use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

fn problem(conv: Convolution, batch: usize, image: [usize; 2]) -> Problem {
    Problem {
        output: conv.output(image).unwrap(),
        conv,
        batch,
        image,
    }
}

/// Convolutions, sizes of the batch and of images that reach every way of computing and every remainder.
fn problems() -> Vec<Problem> {
    let same = |c: Convolution| Convolution {
        padding: [c.kernel[0] / 2, c.kernel[1] / 2],
        ..c
    };
    let strided = |c: Convolution, stride: usize| Convolution {
        stride: [stride; 2],
        ..c
    };
    let grouped = |c: Convolution, groups: usize| Convolution { groups, ..c };
    let cases = [
        (conv(3, 5, [1, 1]), 2, [3, 4]),
        (conv(24, 7, [1, 1]), 3, [7, 7]),
        (conv(5, 40, [1, 1]), 2, [16, 16]),
        (strided(conv(6, 13, [1, 1]), 2), 3, [7, 8]),
        (strided(conv(6, 5, [1, 1]), 3), 1, [9, 8]),
        (same(conv(3, 8, [3, 3])), 2, [9, 16]),
        (conv(4, 6, [3, 3]), 5, [4, 4]),
        (strided(same(conv(3, 9, [7, 7])), 2), 2, [20, 17]),
        (strided(same(conv(40, 8, [3, 3])), 2), 17, [4, 4]),
        (same(conv(300, 3, [1, 1])), 2, [5, 5]),
        (same(conv(32, 32, [3, 3])), 2, [8, 8]),
        (conv(33, 40, [3, 3]), 9, [5, 7]),
        (same(conv(32, 45, [3, 3])), 1, [35, 33]),
        (
            Convolution {
                padding: [2, 2],
                ..conv(35, 32, [3, 3])
            },
            21,
            [3, 3],
        ),
        (
            Convolution {
                padding: [3, 4],
                ..conv(2, 3, [3, 3])
            },
            2,
            [3, 2],
        ),
        (
            Convolution {
                dilation: [2, 3],
                padding: [2, 1],
                ..conv(5, 4, [3, 3])
            },
            2,
            [9, 9],
        ),
        (
            Convolution {
                stride: [2, 3],
                dilation: [3, 2],
                padding: [1, 2],
                groups: 2,
                ..conv(4, 6, [2, 3])
            },
            2,
            [9, 11],
        ),
        (
            Convolution {
                stride: [4, 3],
                ..conv(2, 3, [2, 2])
            },
            2,
            [9, 10],
        ),
        (grouped(same(conv(12, 18, [3, 3])), 3), 2, [6, 6]),
        (grouped(same(conv(5, 5, [3, 3])), 5), 2, [9, 33]),
        (grouped(same(conv(4, 4, [5, 5])), 4), 3, [4, 4]),
        (grouped(same(conv(3, 6, [3, 3])), 3), 2, [5, 9]),
        (grouped(strided(same(conv(4, 4, [3, 3])), 2), 4), 2, [11, 8]),
        (
            Convolution {
                groups: 3,
                stride: [1, 3],
                dilation: [2, 1],
                padding: [3, 0],
                ..conv(3, 3, [2, 4])
            },
            2,
            [6, 19],
        ),
        (
            Convolution {
                groups: 2,
                padding: [2, 2],
                ..conv(2, 2, [1, 1])
            },
            1,
            [3, 3],
        ),
    ];
    cases
        .into_iter()
        .map(|(conv, batch, image)| problem(conv, batch, image))
        .collect()
}

fn draw(rng: &mut ChaCha8Rng, len: usize) -> Vec<f64> {
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

struct Numbers {
    input: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    gradient: Vec<f64>,
}

fn numbers(problem: &Problem) -> Numbers {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    let conv = &problem.conv;
    Numbers {
        input: draw(rng, problem.input_len()),
        weight: draw(rng, conv.out_channels * conv.window()),
        bias: draw(rng, conv.out_channels),
        gradient: draw(rng, problem.output_len()),
    }
}

/// Calls `f(input, weight, output)` with the indices of every product of the definition.
fn products(problem: &Problem, mut f: impl FnMut(usize, usize, usize)) {
    let c = &problem.conv;
    let ([h, w], [oh, ow]) = (problem.image, problem.output);
    for (n, o) in (0..problem.batch).flat_map(|n| (0..c.out_channels).map(move |o| (n, o))) {
        for (y, x) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
            for i in 0..c.group_inputs() {
                for (a, b) in (0..c.kernel[0]).flat_map(|a| (0..c.kernel[1]).map(move |b| (a, b))) {
                    let row = (y * c.stride[0] + a * c.dilation[0]).wrapping_sub(c.padding[0]);
                    let column = (x * c.stride[1] + b * c.dilation[1]).wrapping_sub(c.padding[1]);
                    if row < h && column < w {
                        let channel = o / c.group_outputs() * c.group_inputs() + i;
                        f(
                            ((n * c.in_channels + channel) * h + row) * w + column,
                            ((o * c.group_inputs() + i) * c.kernel[0] + a) * c.kernel[1] + b,
                            ((n * c.out_channels + o) * oh + y) * ow + x,
                        );
                    }
                }
            }
        }
    }
}

/// Output and gradients of input and weight.
fn by_definition(problem: &Problem, numbers: &Numbers) -> [Vec<f64>; 3] {
    let area = problem.output_area();
    let mut output: Vec<f64> = (0..problem.output_len())
        .map(|i| numbers.bias[i / area % problem.conv.out_channels])
        .collect();
    let mut input = vec![0.0; numbers.input.len()];
    let mut weight = vec![0.0; numbers.weight.len()];
    products(problem, |i, w, o| {
        output[o] += numbers.input[i] * numbers.weight[w];
        input[i] += numbers.gradient[o] * numbers.weight[w];
        weight[w] += numbers.gradient[o] * numbers.input[i];
    });
    [output, input, weight]
}

fn computed<T: SimdReal>(problem: &Problem, numbers: &Numbers) -> [Vec<f64>; 3] {
    let narrow = |x: &[f64]| -> Vec<T> { x.iter().map(|x| T::from_f64(*x)).collect() };
    let [input, weight, bias, gradient] = [
        &numbers.input,
        &numbers.weight,
        &numbers.bias,
        &numbers.gradient,
    ]
    .map(|x| narrow(x));
    [
        forward(problem, &input, &weight, &bias),
        input_gradient(problem, &weight, &gradient),
        weight_gradient(problem, &input, &gradient),
    ]
    .map(|x| x.iter().map(|x| x.to_f64()).collect())
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

#[test]
fn every_way_of_computing_agrees_with_the_definition() {
    for problem in problems() {
        let numbers = numbers(&problem);
        let expected = by_definition(&problem, &numbers);
        let double = computed::<f64>(&problem, &numbers);
        let single = computed::<f32>(&problem, &numbers);
        for (i, name) in ["output", "input", "weight"].into_iter().enumerate() {
            let terms = problem.conv.window() + problem.output_area() * problem.batch;
            let bound = (terms as f64).sqrt();
            let difference = largest_difference(&double[i], &expected[i]);
            assert!(
                difference < 1e-15 * 8.0 * bound,
                "{name} {difference} {problem:?}"
            );
            let difference = largest_difference(&single[i], &expected[i]);
            assert!(
                difference < 6e-8 * 16.0 * bound,
                "{name} {difference} {problem:?}"
            );
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for problem in problems() {
        let numbers = numbers(&problem);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap()
                .install(|| computed::<f32>(&problem, &numbers))
        };
        let one = with(1);
        assert!(one == with(2) && one == with(5), "{problem:?}");
    }
}

#[test]
fn the_gradient_of_the_bias_is_the_sum_of_each_channel() {
    let problem = problem(conv(1, 2, [1, 1]), 2, [1, 3]);
    let gradient = [1f32, 2., 3., 10., 20., 30., 4., 5., 6., 40., 50., 60.];
    assert_eq!(bias_gradient(&problem, &gradient), [21., 210.]);
}

#[test]
fn empty_batches_give_zeros() {
    let problem = problem(conv(2, 3, [3, 3]), 0, [5, 5]);
    let weight = [1f32; 54];
    assert!(forward(&problem, &[], &weight, &[]).is_empty());
    assert!(input_gradient(&problem, &weight, &[]).is_empty());
    assert_eq!(weight_gradient::<f32>(&problem, &[], &[]), [0.; 54]);
}

#[test]
fn what_is_not_a_number_stays_so() {
    for problem in problems() {
        let mut numbers = numbers(&problem);
        numbers.weight.fill(f64::NAN);
        let [output, input, _] = computed::<f32>(&problem, &numbers);
        assert!(output.iter().any(|x| x.is_nan()));
        assert!(input.iter().any(|x| x.is_nan()));
        numbers.gradient.fill(f64::NAN);
        let [_, _, weight] = computed::<f32>(&problem, &numbers);
        assert!(weight.iter().any(|x| x.is_nan()), "{problem:?}");
    }
}
