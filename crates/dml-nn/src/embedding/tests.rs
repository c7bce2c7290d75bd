use super::*;
use dml_core::autograd::without_kernels;
use rand::SeedableRng;

fn table(padding: Option<usize>, dtype: DType) -> Result<Embedding> {
    let numbers: Vec<f64> = (0..15).map(f64::from).collect();
    let table = Tensor::from_vec(numbers, (5, 3), &Device::Cpu)?.to_dtype(dtype)?;
    Embedding::from_parameters(Var::from_tensor(&table)?, padding)
}

#[test]
fn gradients_of_a_row_add_up_and_padding_gets_none() -> Result<()> {
    let ids = Tensor::new(&[[3u32, 0], [3, 1]], &Device::Cpu)?;
    let factors = Tensor::new(&[[[1f64], [2.]], [[4.], [8.]]], &Device::Cpu)?;
    let run = |embedding: &Embedding| -> Result<Vec<Vec<f64>>> {
        let y = embedding.forward(&ids)?;
        assert_eq!(y.dims(), [2, 2, 3]);
        assert_eq!(y.to_vec3::<f64>()?[1], [[9., 10., 11.], [3., 4., 5.]]);
        let store = y.broadcast_mul(&factors)?.sum_all()?.backward()?;
        Ok(store.get(embedding.weight()).unwrap().to_vec2()?)
    };
    for (padding, first) in [(None, 2.0), (Some(0), 0.0)] {
        let embedding = table(padding, DType::F64)?;
        let wanted = [[first; 3], [8.; 3], [0.; 3], [5.; 3], [0.; 3]];
        assert_eq!(run(&embedding)?, wanted);
        assert_eq!(without_kernels(|| run(&embedding))?, wanted);
    }
    Ok(())
}

#[test]
fn any_whole_numbers_in_any_layout_are_ids() -> Result<()> {
    let embedding = table(None, DType::F32)?;
    let ids = Tensor::new(&[[4u32, 0, 1], [2, 2, 3]], &Device::Cpu)?;
    let wanted = embedding.forward(&ids)?.to_vec3::<f32>()?;
    for dtype in [DType::U8, DType::I64] {
        let got = embedding.forward(&ids.to_dtype(dtype)?)?;
        assert_eq!(got.to_vec3::<f32>()?, wanted);
    }
    let turned = embedding.forward(&ids.t()?)?;
    assert_eq!(turned.dims(), [3, 2, 3]);
    assert_eq!(turned.transpose(0, 1)?.to_vec3::<f32>()?, wanted);
    let one = embedding.forward(&Tensor::new(4i64, &Device::Cpu)?)?;
    assert_eq!(one.to_vec1::<f32>()?, [12., 13., 14.]);
    let none = embedding.forward(&Tensor::zeros((0, 2), DType::U32, &Device::Cpu)?)?;
    assert_eq!(none.dims(), [0, 2, 3]);
    Ok(())
}

#[test]
fn gradients_of_half_precision_are_added_in_double() -> Result<()> {
    let embedding = table(None, DType::F16)?;
    // 4,096 times 1: half precision alone would stop at 2,048.
    let ids = Tensor::zeros(4_096, DType::U32, &Device::Cpu)?;
    let y = embedding.forward(&ids)?;
    assert_eq!(y.dtype(), DType::F16);
    let store = y.to_dtype(DType::F32)?.sum_all()?.backward()?;
    let gradient = store
        .get(embedding.weight())
        .unwrap()
        .to_dtype(DType::F32)?;
    assert_eq!(gradient.to_vec2::<f32>()?[0], [4_096.; 3]);
    Ok(())
}

#[test]
fn threads_change_no_bit() -> Result<()> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let config = EmbeddingConfig {
        padding_idx: Some(7),
        ..EmbeddingConfig::new(3_000, 40)
    };
    let embedding = Embedding::new(config, &mut rng, DType::F32, &Device::Cpu)?;
    let weight = embedding.weight().to_vec2::<f32>()?;
    assert_eq!(weight[7], [0.; 40]);
    let squares: f32 = weight.iter().flatten().map(|x| x * x).sum();
    // 119,960 draws: the mean square is within 5 standard deviations, 0.02, of 1.
    assert!((squares / 119_960.0 - 1.0).abs() < 0.02, "{squares}");
    let ids: Vec<u32> = (0..5_000u32).map(|i| i * i % 3_000).collect();
    let ids = Tensor::new(ids, &Device::Cpu)?;
    let run = || -> Result<Vec<Vec<f32>>> {
        let y = embedding.forward(&ids)?;
        let store = (y.sqr()? * 0.37)?.sum_all()?.backward()?;
        Ok(store.get(embedding.weight()).unwrap().to_vec2()?)
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let (many, one) = (run()?, pool.install(run)?);
    assert_eq!(many, one);
    assert_eq!(many[7], [0.; 40]);
    let composite = without_kernels(run)?;
    for (a, b) in many.iter().flatten().zip(composite.iter().flatten()) {
        assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{a} {b}");
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let embedding = table(None, DType::F32)?;
    let refused = embedding.forward(&Tensor::new(&[[0i64, 4], [5, 0]], &Device::Cpu)?);
    let error = refused.unwrap_err();
    assert_eq!(
        error.to_string(),
        "input[2]: expected an index below 5, got 5"
    );
    let refused = embedding.forward(&Tensor::new(&[0i64, -1], &Device::Cpu)?);
    assert!(matches!(refused, Err(Error::Index { got: -1, .. })));
    let refused = embedding.forward(&Tensor::new(&[0f32], &Device::Cpu)?);
    assert!(matches!(refused, Err(Error::DType { arg: "input", .. })));
    let refused = table(Some(5), DType::F32);
    assert!(matches!(
        refused,
        Err(Error::Index {
            arg: "padding_idx",
            ..
        })
    ));
    let flat = Var::zeros(3, DType::F32, &Device::Cpu)?;
    let refused = Embedding::from_parameters(flat, None);
    assert!(matches!(refused, Err(Error::Shape { arg: "weight", .. })));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    for config in [
        EmbeddingConfig::new(0, 3),
        EmbeddingConfig::new(3, 0),
        EmbeddingConfig::new(1 << 31, 1 << 31),
    ] {
        assert!(Embedding::new(config, &mut rng, DType::F32, &Device::Cpu).is_err());
    }
    Ok(())
}
