use candle_core::{Device, Var};

use super::*;

/// Two texts of three tokens, the second with padding in front and one behind.
fn case() -> Result<(Var, Tensor)> {
    let device = &Device::Cpu;
    let states = Var::new(
        &[
            [[1f64, -1.], [2., -5.], [6., 0.], [4., 3.]],
            [[100., 100.], [5., -2.], [3., -1.], [100., 100.]],
        ],
        device,
    )?;
    Ok((
        states,
        Tensor::new(&[[9u32, 9, 9, 9], [0, 9, 8, 0]], device)?,
    ))
}

#[test]
fn every_pooling_by_hand() -> Result<()> {
    let (states, ids) = case()?;
    let root = 2f64.sqrt();
    for (pooling, expected) in [
        (Pooling::Mean, [[3.25, -0.75], [4., -1.5]]),
        (
            Pooling::MeanSqrtLenTokens,
            [[6.5, -1.5], [8. / root, -3. / root]],
        ),
        (Pooling::Cls, [[1., -1.], [5., -2.]]),
        (Pooling::LastToken, [[4., 3.], [3., -1.]]),
        (Pooling::Max, [[6., 3.], [5., -1.]]),
        (Pooling::WeightedMean, [[3.9, 0.1], [11. / 3., -4. / 3.]]),
    ] {
        let pooled = pooling.pool(&states, &ids, 0)?.to_vec2::<f64>()?;
        for (got, expected) in pooled.iter().flatten().zip(expected.as_flattened()) {
            assert!((got - expected).abs() < 1e-12, "{pooling:?}: {pooled:?}");
        }
    }
    Ok(())
}

#[test]
fn gradients_reach_the_tokens_that_count() -> Result<()> {
    let (states, ids) = case()?;
    let gradient = |pooling: Pooling| -> Result<Vec<f64>> {
        let loss = pooling.pool(&states, &ids, 0)?.sum_all()?;
        let store = loss.backward()?;
        Ok(store.get(&states).unwrap().flatten_all()?.to_vec1()?)
    };
    let mut max = vec![0.0; 16];
    for place in [4, 7, 10, 13] {
        max[place] = 1.0;
    }
    assert_eq!(gradient(Pooling::Max)?, max);
    let mut mean = vec![0.25; 16];
    mean[8..].copy_from_slice(&[0., 0., 0.5, 0.5, 0.5, 0.5, 0., 0.]);
    assert_eq!(gradient(Pooling::Mean)?, mean);
    Ok(())
}

#[test]
fn nan_stays_and_padding_alone_is_refused() -> Result<()> {
    let device = &Device::Cpu;
    let states = Tensor::new(&[[[1f32], [f32::NAN], [2.]]], device)?;
    let ids = Tensor::new(&[[1u32, 1, 1]], device)?;
    for pooling in [Pooling::Mean, Pooling::Max] {
        assert!(pooling.pool(&states, &ids, 0)?.to_vec2::<f32>()?[0][0].is_nan());
    }
    let error = Pooling::Mean.pool(&states, &ids, 1).unwrap_err();
    assert!(matches!(error, Error::Shape { arg: "ids", .. }), "{error}");
    let short = Tensor::new(&[[1u32, 1]], device)?;
    let error = Pooling::Mean.pool(&states, &short, 0).unwrap_err();
    assert!(
        matches!(error, Error::Shape { arg: "states", .. }),
        "{error}"
    );
    let floats = Tensor::new(&[[1f32, 1., 1.]], device)?;
    let error = Pooling::Mean.pool(&states, &floats, 0).unwrap_err();
    assert!(matches!(error, Error::DType { arg: "ids", .. }), "{error}");
    Ok(())
}
