//! Primitives of tensors.

use dml::TensorExt;
use dml::candle_core::{DType, Device, Tensor};

use super::{assert_alike, draw, var};

#[test]
fn distances_and_their_gradients() {
    for dtype in [DType::F32, DType::F64] {
        for (rows, others, dim) in [(1, 1, 1), (5, 70, 3), (65, 64, 17), (130, 3, 66)] {
            let x = var(&draw(1, rows, dim), &[rows, dim], dtype);
            let r = var(&draw(2, others, dim), &[others, dim], dtype);
            let what = format!("{rows} × {others} × {dim}, {dtype:?}");
            assert_alike(&what, &[&x, &r], &|| x.pairwise_lp(&r, 2.0));
            assert_alike(&what, &[&x, &r], &|| x.pairwise_lp(&r, 1.0));
            assert_alike(&what, &[&x, &r], &|| x.pairwise_squared(&r));
            assert_alike(&what, &[&x], &|| x.pairwise_lp(&x, 2.0));
            assert_alike(&what, &[&x], &|| x.pairwise_squared(&x));
        }
        // Equal rows: distance and gradient 0.
        let x = var(&[1.0, 2.0, 1.0, 2.0, 3.0, -1.0], &[3, 2], dtype);
        assert_alike("equal rows", &[&x], &|| x.pairwise_lp(&x, 2.0));
        assert_alike("equal rows", &[&x], &|| x.pairwise_lp(&x, 1.0));
    }
}

#[test]
fn sums_of_exponentials_and_their_gradients() {
    for dtype in [DType::F32, DType::F64] {
        for (rows, width) in [(1, 1), (3, 7), (2, 300), (4, 1000)] {
            let values: Vec<f64> = draw(3, rows, width).iter().map(|x| x * 20.0).collect();
            let x = var(&values, &[rows, width], dtype);
            // The first row keeps nothing.
            let keep: Vec<u8> = (0..rows * width)
                .map(|i| u8::from(i >= width && i % 3 != 1))
                .collect();
            let keep = Tensor::from_vec(keep, (rows, width), &Device::Cpu).unwrap();
            for add_one in [false, true] {
                let what = format!("{rows} × {width}, add_one {add_one}, {dtype:?}");
                assert_alike(&what, &[&x], &|| x.masked_logsumexp(None, add_one));
                assert_alike(&what, &[&x], &|| x.masked_logsumexp(Some(&keep), add_one));
            }
        }
        let odd = var(
            &[f64::INFINITY, 1.0, f64::NEG_INFINITY, f64::NEG_INFINITY],
            &[2, 2],
            dtype,
        );
        assert_alike("infinities", &[&odd], &|| odd.masked_logsumexp(None, false));
    }
}
