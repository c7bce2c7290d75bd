//! Single precision, and bits that do not depend on threads.

use super::*;

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
