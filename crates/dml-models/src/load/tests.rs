use super::*;
use candle_core::{Device, Result as CandleResult};
use dml_nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Sequential};
use rand::SeedableRng;

fn network(dtype: DType) -> Sequential {
    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let linear = Linear::new(LinearConfig::new(2, 3), rng, dtype, &Device::Cpu).unwrap();
    let norm = BatchNorm::new(BatchNormConfig::new(3), dtype, &Device::Cpu).unwrap();
    Sequential::default().with("fc", linear).with("bn", norm)
}

/// Tensors for the network, each filled with a number of its own, and what PyTorch has beside.
fn tensors(prefix: &str) -> HashMap<String, Tensor> {
    let filled = |value: f32, shape: &[usize]| -> CandleResult<Tensor> {
        Tensor::full(value, shape, &Device::Cpu)
    };
    let mut tensors = HashMap::new();
    for (name, value, shape) in [
        ("fc.weight", 1.0, &[3, 2][..]),
        ("fc.bias", 2.0, &[3]),
        ("bn.weight", 3.0, &[3]),
        ("bn.bias", 4.0, &[3]),
        ("bn.running_mean", 5.0, &[3]),
        ("bn.running_var", 6.0, &[3]),
        ("head.weight", 7.0, &[5, 3]),
    ] {
        tensors.insert(format!("{prefix}{name}"), filled(value, shape).unwrap());
    }
    let counter = Tensor::new(9i64, &Device::Cpu).unwrap();
    tensors.insert(format!("{prefix}bn.num_batches_tracked"), counter);
    tensors
}

fn first(network: &Sequential, name: &str) -> f32 {
    let all = network.parameters().into_iter().chain(network.buffers());
    let var = all.into_iter().find(|(own, _)| own == name).unwrap().1;
    let values = var.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
    values.to_vec1::<f32>().unwrap()[0]
}

fn refused(tensors: HashMap<String, Tensor>, names: &Names) -> ModelError {
    let network = network(DType::F32);
    let before: Vec<f32> = ["fc.weight", "bn.running_var"]
        .map(|name| first(&network, name))
        .into();
    let weights = Weights::from_tensors(tensors).unwrap();
    let error = load(&network, &weights, names).unwrap_err();
    let after: Vec<f32> = ["fc.weight", "bn.running_var"]
        .map(|name| first(&network, name))
        .into();
    assert_eq!(before, after, "nothing is set");
    error
}

#[test]
fn parameters_and_buffers_are_set_and_the_report_says_what_was_not() -> Result<()> {
    let names = Names::default().leave_out("head");
    for (prefix, dtype) in [("", DType::F32), ("module._orig_mod.", DType::BF16)] {
        let network = network(dtype);
        let weights = Weights::from_tensors(tensors(prefix))?;
        let report = load(&network, &weights, &names)?;
        assert_eq!((report.loaded, report.batches_tracked), (6, 1));
        assert_eq!(report.prefix, prefix);
        assert_eq!(report.left_out, [format!("{prefix}head.weight")]);
        // Running statistics of half precision are kept in single.
        assert_eq!(report.converted, if dtype == DType::BF16 { 4 } else { 0 });
        for (name, value) in [
            ("fc.weight", 1.0),
            ("bn.bias", 4.0),
            ("bn.running_var", 6.0),
        ] {
            assert_eq!(first(&network, name), value, "{name}");
        }
    }
    Ok(())
}

#[test]
fn all_misfits_are_named_in_one_message() {
    let mut tensors = tensors("");
    tensors.remove("fc.bias");
    tensors.remove("bn.running_mean");
    let narrow = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    tensors.insert("bn.weight".to_owned(), narrow);
    let error = refused(tensors, &Names::default());
    let expected = "the weights do not fit the network: missing: fc.bias, bn.running_mean; surplus: head.weight; \
                    of another shape: bn.weight (expected [3], got [2])";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn kept_parameters_may_be_missing_and_parts_are_taken_out() -> Result<()> {
    let mut all = tensors("encoder.");
    all.remove("encoder.fc.bias");
    all.insert("decoder.x".to_owned(), all["encoder.fc.weight"].clone());
    let names = Names::default()
        .part("encoder")
        .keep("fc.bias")
        .leave_out("head");
    let report = load(&network(DType::F32), &Weights::from_tensors(all)?, &names)?;
    assert_eq!(report.kept, ["fc.bias"]);
    assert_eq!(report.left_out, ["decoder.x", "encoder.head.weight"]);
    assert_eq!(report.prefix, "encoder.");
    let text = "5 tensors loaded; prefix encoder. removed; 1 num_batches_tracked skipped; left out: decoder.x, \
                encoder.head.weight; not in the file: fc.bias";
    assert_eq!(report.to_string(), text);
    Ok(())
}

#[test]
fn two_tensors_for_one_place_are_refused() {
    let mut all = tensors("");
    let gamma = all["bn.weight"].clone();
    all.insert("bn.gamma".to_owned(), gamma);
    let names = Names::default().rename("gamma", "weight").leave_out("head");
    let error = refused(all, &names).to_string();
    assert!(error.ends_with("surplus: bn.weight"), "{error}");
}

#[test]
fn numbers_that_are_none_or_too_large_are_refused() -> Result<()> {
    for value in [f32::NAN, f32::INFINITY] {
        let mut all = tensors("");
        let bad = Tensor::new(&[0f32, 1.0, value], &Device::Cpu)?;
        all.insert("fc.bias".to_owned(), bad);
        let error = refused(all, &Names::default().leave_out("head"));
        assert!(
            error
                .to_string()
                .starts_with("fc.bias: expected finite numbers in F32"),
            "{error}"
        );
        assert!(error.to_string().ends_with("at position 2"), "{error}");
    }
    let mut all = tensors("");
    all.insert("fc.bias".to_owned(), Tensor::full(1e6f32, 3, &Device::Cpu)?);
    let weights = Weights::from_tensors(all)?;
    let names = Names::default().leave_out("head");
    let error = load(&network(DType::F16), &weights, &names).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::NotFinite {
                dtype: DType::F16,
                ..
            }
        ),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_network_may_be_loaded_from_its_own_variables() -> Result<()> {
    let network = network(DType::F32);
    let all = network.parameters().into_iter().chain(network.buffers());
    let own = all
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    let report = load(&network, &Weights::from_tensors(own)?, &Names::default())?;
    assert_eq!(report.loaded, 6);
    Ok(())
}
