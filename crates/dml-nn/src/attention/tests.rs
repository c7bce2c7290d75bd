use candle_core::{DType, Device, IndexOp, Var};
use dml_core::SeedSequence;
use dml_core::autograd::without_kernels;

use super::*;
use crate::DropoutConfig;
use dml_core::Error;

/// Numbers without a pattern, in [−1, 1).
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| (dml_core::mix_seed(seed, i) >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
        .collect()
}

fn var(shape: &[usize], seed: u64) -> Var {
    let count = shape.iter().product();
    Var::from_vec(numbers(count, seed), shape, &Device::Cpu).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let difference = (a.to_dtype(DType::F64).unwrap() - b.to_dtype(DType::F64).unwrap()).unwrap();
    let largest = difference
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap();
    largest.to_scalar::<f64>().unwrap()
}

/// A loss whose gradient differs from element to element.
fn loss(output: &Tensor) -> Tensor {
    let weights = numbers(output.elem_count(), 99);
    let weights = Tensor::from_vec(weights, output.shape(), &Device::Cpu).unwrap();
    (output * weights).unwrap().sum_all().unwrap()
}

/// Fused and composite form give the same value and gradients.
fn agree(inputs: &[&Var], f: impl Fn() -> Result<Tensor>, tolerance: f64) -> Result<()> {
    let (fused, composite) = (f()?, without_kernels(&f)?);
    assert!(distance(&fused, &composite) < tolerance);
    let (first, second) = (loss(&fused).backward()?, loss(&composite).backward()?);
    for (i, input) in inputs.iter().enumerate() {
        let (a, b) = (first.get(input).unwrap(), second.get(input).unwrap());
        let distance = distance(a, b);
        assert!(distance < tolerance, "input {i}: {distance}");
    }
    Ok(())
}

// Second heads of output and gradients in the test below.
const Y: [f64; 12] = [
    -0.99177885,
    0.96379539,
    -0.91652155,
    0.85090352,
    -0.85761081,
    0.78758535,
    -0.70179637,
    0.60196094,
    -0.76446946,
    0.69220481,
    -0.60608569,
    0.50783575,
];
const Q: [f64; 12] = [
    0.0,
    0.0,
    0.0,
    0.0,
    -0.01510886,
    0.05510414,
    -0.03075397,
    -0.02950781,
    -0.03151889,
    -0.03054816,
    0.05694393,
    -0.01684591,
];
const K: [f64; 12] = [
    -0.03718417,
    -0.05977955,
    -0.02741388,
    0.03015598,
    0.01075644,
    0.03556023,
    0.02767011,
    -0.00565979,
    0.02642773,
    0.02421932,
    -0.00025623,
    -0.02449619,
];
const V: [f64; 12] = [
    0.66962327,
    0.51745862,
    -0.1104551,
    -0.63681691,
    -0.47929166,
    -0.29338916,
    0.16225397,
    0.46872156,
    0.10394493,
    -0.13951527,
    -0.25470578,
    -0.13572096,
];

#[test]
fn numbers_of_pytorch() -> Result<()> {
    // import torch; i = torch.arange(24, dtype=torch.float64).reshape(1, 2, 3, 4)
    // q, k, v = (torch.sin(i), torch.cos(2 * i), torch.sin(3 * i)); for x in (q, k, v): x.requires_grad_()
    // y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    // (y * torch.cos(i)).sum().backward(); print(y[0, 1], q.grad[0, 1], k.grad[0, 1], v.grad[0, 1])
    let leaf = |f: fn(f64) -> f64| {
        let values: Vec<f64> = (0..24).map(|i| f(f64::from(i))).collect();
        Var::from_vec(values, (1, 2, 3, 4), &Device::Cpu)
    };
    let (q, k, v) = (
        leaf(f64::sin)?,
        leaf(|i| (2.0 * i).cos())?,
        leaf(|i| (3.0 * i).sin())?,
    );
    let options = AttentionOptions {
        is_causal: true,
        ..AttentionOptions::default()
    };
    let y = scaled_dot_product_attention(&q, &k, &v, &options)?;
    let weights = Tensor::arange(0f64, 24., &Device::Cpu)?
        .cos()?
        .reshape((1, 2, 3, 4))?;
    let store = (&y * weights)?.sum_all()?.backward()?;
    let second = |x: &Tensor| -> Result<Vec<f64>> { Ok(x.i((0, 1))?.flatten_all()?.to_vec1()?) };
    let close = |got: Vec<f64>, want: &[f64]| {
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    };
    close(second(&y)?, &Y);
    close(second(store.get(&q).unwrap())?, &Q);
    close(second(store.get(&k).unwrap())?, &K);
    close(second(store.get(&v).unwrap())?, &V);
    Ok(())
}

/// Sizes with several blocks and tiles, none of them even.
const LONG: [usize; 5] = [2, 3, 83, 701, 5];

#[test]
fn both_forms_agree_with_every_mask() -> Result<()> {
    for [batch, heads, queries, keys, width] in [[1, 1, 1, 1, 1], [2, 3, 7, 9, 5], LONG] {
        let q = var(&[batch, heads, queries, width], 1);
        let k = var(&[batch, heads, keys, width], 2);
        let v = var(&[batch, heads, keys, width + 2], 3);
        let ignored: Vec<u8> = (0..batch * keys)
            .map(|i| u8::from(i % 5 == 3 || i + 4 > keys))
            .collect();
        let ignored = Tensor::from_vec(ignored, (batch, keys), &Device::Cpu)?;
        let added = var(&[heads, 1, keys], 4).as_tensor().detach();
        let dropout = || Dropout::new(DropoutConfig { p: 0.3 }, SeedSequence::new(5));
        for (padding, mask, drops) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (false, false, true),
            (true, true, true),
        ] {
            for is_causal in [false, true] {
                let f = || {
                    let dropout = dropout()?;
                    let options = AttentionOptions {
                        scale: Some(1.5),
                        is_causal,
                        key_padding_mask: padding.then_some(&ignored),
                        attn_mask: mask.then_some(&added),
                        dropout: drops.then_some(&dropout),
                    };
                    scaled_dot_product_attention(&q, &k, &v, &options)
                };
                agree(&[&q, &k, &v], f, 1e-11)?;
            }
        }
    }
    Ok(())
}

#[test]
fn heads_side_by_side_are_the_same_heads() -> Result<()> {
    let (heads, width) = (2, 3);
    let qkv = var(&[2, 75, 3 * heads * width], 1);
    let options = AttentionOptions::default();
    let part = |i: usize| qkv.narrow(2, i * heads * width, heads * width);
    let split = |x: &Tensor| -> candle_core::Result<Tensor> {
        x.reshape((2, 75, heads, width))?.transpose(1, 2)
    };
    let packed = multi_head_attention_packed(&qkv, heads, &options)?;
    let joined = multi_head_attention(&part(0)?, &part(1)?, &part(2)?, heads, &options)?;
    let (q, k, v) = (split(&part(0)?)?, split(&part(1)?)?, split(&part(2)?)?);
    let separate = scaled_dot_product_attention(&q, &k, &v, &options)?;
    let separate = separate.transpose(1, 2)?;
    assert!(separate.is_contiguous());
    let separate = separate.reshape((2, 75, heads * width))?;
    let expected = loss(&packed).backward()?;
    for other in [joined, separate] {
        assert_eq!(distance(&packed, &other), 0.0);
        let store = loss(&other).backward()?;
        assert!(distance(store.get(&qkv).unwrap(), expected.get(&qkv).unwrap()) < 1e-15);
    }
    agree(
        &[&qkv],
        || multi_head_attention_packed(&qkv, heads, &options),
        1e-12,
    )?;
    let (q, k) = (var(&[2, 5, 6], 2), var(&[2, 7, 6], 3));
    let v = var(&[2, 7, 8], 4);
    agree(
        &[&q, &k, &v],
        || multi_head_attention(&q, &k, &v, heads, &options),
        1e-12,
    )
}

#[test]
fn central_differences() -> Result<()> {
    let inputs = [
        var(&[1, 2, 4, 3], 1),
        var(&[1, 2, 5, 3], 2),
        var(&[1, 2, 5, 2], 3),
    ];
    let options = AttentionOptions {
        is_causal: true,
        ..AttentionOptions::default()
    };
    let value = |inputs: &[Var; 3]| -> Result<Tensor> {
        let [q, k, v] = inputs;
        Ok(loss(&scaled_dot_product_attention(q, k, v, &options)?))
    };
    let store = value(&inputs)?.backward()?;
    for (which, input) in inputs.iter().enumerate() {
        let gradient = store.get(input).unwrap().flatten_all()?.to_vec1::<f64>()?;
        for (place, gradient) in gradient.iter().enumerate() {
            let moved = |step: f64| -> Result<f64> {
                let mut values = input.flatten_all()?.to_vec1::<f64>()?;
                values[place] += step;
                let mut inputs = inputs.clone();
                inputs[which] = Var::from_vec(values, input.shape(), &Device::Cpu)?;
                Ok(value(&inputs)?.to_scalar()?)
            };
            let slope = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
            assert!(
                (slope - gradient).abs() < 1e-8,
                "{which} {place}: {slope} {gradient}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_query_that_sees_nothing_is_zero_and_passes_nothing() -> Result<()> {
    let (q, k, v) = (
        var(&[2, 1, 3, 4], 1),
        var(&[2, 1, 3, 4], 2),
        var(&[2, 1, 3, 4], 3),
    );
    let ignored = Tensor::new(&[[1u8, 1, 1], [1, 0, 0]], &Device::Cpu)?;
    let infinite = f64::NEG_INFINITY;
    let added = Tensor::new(
        &[[0f64, 0., 0.], [0., infinite, infinite], [0., 0., 0.]],
        &Device::Cpu,
    )?;
    let options = AttentionOptions {
        key_padding_mask: Some(&ignored),
        attn_mask: Some(&added),
        ..AttentionOptions::default()
    };
    for kernels in [true, false] {
        let f = || scaled_dot_product_attention(&q, &k, &v, &options);
        let y = if kernels { f()? } else { without_kernels(f)? };
        let store = loss(&y).backward()?;
        let rows = |x: &Tensor| -> Result<Vec<bool>> {
            let sums = x.abs()?.sum(3)?.flatten_all()?.to_vec1::<f64>()?;
            assert!(sums.iter().all(|x| x.is_finite()));
            Ok(sums.iter().map(|x| *x != 0.0).collect())
        };
        let seeing = [false, false, false, true, false, true];
        assert_eq!(rows(&y)?, seeing);
        assert_eq!(rows(store.get(&q).unwrap())?, seeing);
        let seen = [false, false, false, false, true, true];
        assert_eq!(rows(store.get(&k).unwrap())?, seen);
        assert_eq!(rows(store.get(&v).unwrap())?, seen);
    }
    agree(
        &[&q, &k, &v],
        || scaled_dot_product_attention(&q, &k, &v, &options),
        1e-12,
    )
}

#[test]
fn a_mask_that_learns_gets_its_gradient() -> Result<()> {
    let (q, k, v) = (
        var(&[1, 2, 3, 4], 1),
        var(&[1, 2, 3, 4], 2),
        var(&[1, 2, 3, 4], 3),
    );
    let bias = var(&[2, 3, 3], 4);
    let options = AttentionOptions {
        attn_mask: Some(&bias),
        ..AttentionOptions::default()
    };
    let y = scaled_dot_product_attention(&q, &k, &v, &options)?;
    let gradient = loss(&y).backward()?;
    let gradient = gradient
        .get(&bias)
        .unwrap()
        .sum(2)?
        .abs()?
        .max(1)?
        .to_vec1::<f64>()?;
    // A softmax does not depend on what is added to the whole row.
    assert!(gradient.iter().all(|x| *x < 1e-15));
    let detached = bias.as_tensor().detach();
    let options = AttentionOptions {
        attn_mask: Some(&detached),
        ..AttentionOptions::default()
    };
    let fixed = scaled_dot_product_attention(&q, &k, &v, &options)?;
    assert!(distance(&y, &fixed) < 1e-14);
    Ok(())
}

#[test]
fn nan_and_infinity_show_where_they_count() -> Result<()> {
    for hostile in [f64::NAN, f64::INFINITY] {
        let q = Tensor::new(&[[[[1f64], [2.]]]], &Device::Cpu)?;
        let k = Tensor::new(&[[[[1f64], [hostile]]]], &Device::Cpu)?;
        let options = AttentionOptions {
            is_causal: true,
            ..AttentionOptions::default()
        };
        let y = scaled_dot_product_attention(&q, &k, &q, &options)?;
        let y = y.flatten_all()?.to_vec1::<f64>()?;
        assert!(y[0] == 1.0 && y[1].is_nan(), "{y:?}");
        let all = scaled_dot_product_attention(&k, &q, &q, &AttentionOptions::default())?;
        assert!(all.flatten_all()?.to_vec1::<f64>()?[1].is_nan());
    }
    // Scores of 1e4 do not overflow.
    let q = Tensor::new(&[[[[100f32], [-100.]]]], &Device::Cpu)?;
    let y = scaled_dot_product_attention(&q, &q, &q, &AttentionOptions::default())?;
    assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [100., -100.]);
    Ok(())
}

#[test]
fn half_precision_is_computed_in_single() -> Result<()> {
    let x = var(&[1, 2, 5, 4], 1).as_tensor().to_dtype(DType::F16)?;
    let y = scaled_dot_product_attention(&x, &x, &x, &AttentionOptions::default())?;
    assert_eq!(y.dtype(), DType::F16);
    let wide = x.to_dtype(DType::F32)?;
    let wide = scaled_dot_product_attention(&wide, &wide, &wide, &AttentionOptions::default())?;
    assert!(distance(&y, &wide) < 1e-3);
    Ok(())
}

#[test]
fn single_precision_is_close_to_double() -> Result<()> {
    let qkv = var(&[1, 197, 3 * 64], 7);
    let single = Var::from_tensor(&qkv.to_dtype(DType::F32)?)?;
    let options = AttentionOptions::default();
    let wide = multi_head_attention_packed(&qkv, 1, &options)?;
    let narrow = multi_head_attention_packed(&single, 1, &options)?;
    assert!(distance(&wide, &narrow) < 1e-6);
    let (wide, narrow) = (
        wide.sqr()?.sum_all()?.backward()?,
        narrow.sqr()?.sum_all()?.backward()?,
    );
    assert!(distance(wide.get(&qkv).unwrap(), narrow.get(&single).unwrap()) < 1e-6);
    Ok(())
}

#[test]
fn any_number_of_threads_gives_the_same_bits() -> Result<()> {
    let qkv = Var::from_tensor(&var(&[3, 100, 3 * 4 * 8], 1).to_dtype(DType::F32)?)?;
    let run = || -> Result<[Vec<f32>; 2]> {
        let y = multi_head_attention_packed(&qkv, 4, &AttentionOptions::default())?;
        let store = y.sqr()?.sum_all()?.backward()?;
        let gradient = store.get(&qkv).unwrap();
        Ok([
            y.flatten_all()?.to_vec1()?,
            gradient.flatten_all()?.to_vec1()?,
        ])
    };
    let here = run()?;
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert_eq!(pool.install(run)?, here);
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let x = Tensor::zeros((2, 3, 4, 5), DType::F32, &Device::Cpu)?;
    let other = Tensor::zeros((2, 3, 4, 6), DType::F32, &Device::Cpu)?;
    let none = AttentionOptions::default();
    let shape = |result: Result<Tensor>, name: &str| {
        assert!(
            matches!(result, Err(Error::Shape { arg, .. }) if arg == name),
            "{name}"
        );
    };
    shape(scaled_dot_product_attention(&x, &other, &x, &none), "key");
    shape(
        scaled_dot_product_attention(&x, &x, &x.narrow(2, 0, 3)?, &none),
        "value",
    );
    shape(
        scaled_dot_product_attention(&x.narrow(0, 0, 1)?.squeeze(0)?, &x, &x, &none),
        "query",
    );
    let joined = x.reshape((2, 4, 15))?;
    shape(multi_head_attention_packed(&joined, 2, &none), "qkv");
    shape(
        multi_head_attention(&joined, &joined, &x, 3, &none),
        "value",
    );
    let mask = Tensor::zeros((2, 5), DType::U8, &Device::Cpu)?;
    let padding = AttentionOptions {
        key_padding_mask: Some(&mask),
        ..none
    };
    shape(
        scaled_dot_product_attention(&x, &x, &x, &padding),
        "key_padding_mask",
    );
    let mask = Tensor::zeros((4, 5), DType::F32, &Device::Cpu)?;
    let added = AttentionOptions {
        attn_mask: Some(&mask),
        ..none
    };
    shape(
        scaled_dot_product_attention(&x, &x, &x, &added),
        "attn_mask",
    );
    let wrong = x.to_dtype(DType::F64)?;
    let mixed = scaled_dot_product_attention(&x, &wrong, &x, &none);
    assert!(matches!(mixed, Err(Error::DType { .. })));
    let scale = AttentionOptions {
        scale: Some(f64::NAN),
        ..none
    };
    let result = scaled_dot_product_attention(&x, &x, &x, &scale);
    assert!(matches!(
        result,
        Err(Error::InvalidParameter { name: "scale", .. })
    ));
    assert!(multi_head_attention_packed(&joined, 0, &none).is_err());
    Ok(())
}
