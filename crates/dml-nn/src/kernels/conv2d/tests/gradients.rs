//! Gradients, beside central differences and beside parts computed apart.

use super::*;

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
