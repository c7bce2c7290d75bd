use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use dml_core::with_frozen;

use super::*;
use crate::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Dropout, DropoutConfig, Linear, LinearConfig,
    Lora, LoraConfig, Relu, Sequential,
};

const DEVICE: &Device = &Device::Cpu;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Convolution, batch normalisation, activation and dropout.
fn block(seed: u64) -> Sequential {
    let config = Conv2dConfig {
        padding: [1, 1],
        ..Conv2dConfig::new(3, 3, [3, 3])
    };
    let conv = Conv2d::new(config, &mut rng(seed), DType::F32, DEVICE).unwrap();
    let norm = BatchNorm::new(BatchNormConfig::new(3), DType::F32, DEVICE).unwrap();
    let dropout = DropoutConfig { p: 0.4 };
    Sequential::default()
        .with("conv", conv)
        .with("norm", norm)
        .with("relu", Relu)
        .with(
            "dropout",
            Dropout::new(dropout, SeedSequence::new(seed)).unwrap(),
        )
}

fn network(checkpointed: bool) -> Sequential {
    (0..3).fold(Sequential::default(), |network, i| {
        let name = format!("block{i}");
        if checkpointed {
            network.with(name, ActivationCheckpoint::new(block(i)))
        } else {
            network.with(name, block(i))
        }
    })
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn gradients_statistics_and_masks_are_the_same_to_the_bit() -> Result<()> {
    // The larger images have gates, through which gradients take a way of their own.
    for size in [5, 40] {
        let [plain, checkpointed] = [network(false), network(true)];
        let values: Vec<f32> = (0..2 * 3 * size * size)
            .map(|i| (i * 31 % 97) as f32 / 48.0 - 1.0)
            .collect();
        let x = Var::from_vec(values, (2, 3, size, size), DEVICE)?;
        let x = x.as_tensor();
        for step in 0..2 {
            let run = |network: &Sequential| -> Result<Vec<Vec<u32>>> {
                let y = network.forward_t(x, true)?;
                let store = (y.sqr()? * 0.5)?.sum_all()?.backward()?;
                let mut all = vec![bits(&y), bits(store.get(x).unwrap())];
                for (_, var) in network.parameters().iter() {
                    all.push(bits(store.get(var).unwrap()));
                }
                for (_, var) in network.buffers().iter() {
                    all.push(bits(var));
                }
                Ok(all)
            };
            assert_eq!(run(&checkpointed)?, run(&plain)?, "{size} {step}");
            let calls = |network: &Sequential| -> Vec<u64> {
                network.seeds().iter().map(SeedSequence::calls).collect()
            };
            assert_eq!(calls(&checkpointed), [step + 1; 3]);
            assert_eq!(calls(&plain), [step + 1; 3]);
        }
        let names = |network: &Sequential| -> Vec<String> {
            network
                .parameters()
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names(&checkpointed), names(&plain));
    }
    Ok(())
}

/// Bytes that layers keep for their backward pass.
#[derive(Debug, Default)]
struct Kept {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Debug)]
struct Share(Arc<Kept>, usize);

impl Share {
    fn new(kept: &Arc<Kept>, bytes: usize) -> Self {
        let now = kept.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        kept.most.fetch_max(now, Ordering::Relaxed);
        Self(kept.clone(), bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.now.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// Doubles its input, which it keeps.
#[derive(Debug)]
struct Double(Arc<Kept>);

impl Layer for Double {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let share = Share::new(&self.0, input.elem_count() * size_of::<f32>());
        let value = (input.detach() * 2.0)?;
        node("double", [input], value, move |_, _, gradient| {
            let _ = &share;
            Ok([Some((gradient * 2.0)?)])
        })
    }
}

#[test]
fn one_block_is_in_memory_at_a_time() -> Result<()> {
    const BLOCKS: usize = 4;
    const LAYERS: usize = 5;
    let x = Var::ones(100, DType::F32, DEVICE)?;
    let run = |checkpointed: bool| -> Result<[usize; 2]> {
        let kept = Arc::new(Kept::default());
        let mut network = Sequential::default();
        for i in 0..BLOCKS {
            let block = (0..LAYERS).fold(Sequential::default(), |block, i| {
                block.with(i.to_string(), Double(kept.clone()))
            });
            network = match checkpointed {
                true => network.with(i.to_string(), ActivationCheckpoint::new(block)),
                false => network.with(i.to_string(), block),
            };
        }
        let y = network.forward_t(&x, true)?;
        let after_forward = kept.now.load(Ordering::Relaxed);
        let store = y.sum_all()?.backward()?;
        let gradient = store.get(&x).unwrap().to_vec1::<f32>()?;
        assert_eq!(gradient, vec![2f32.powi((BLOCKS * LAYERS) as i32); 100]);
        drop(y);
        assert_eq!(kept.now.load(Ordering::Relaxed), 0);
        Ok([after_forward, kept.most.load(Ordering::Relaxed)])
    };
    assert_eq!(run(false)?, [BLOCKS * LAYERS * 400; 2]);
    assert_eq!(run(true)?, [0, LAYERS * 400]);
    Ok(())
}

#[test]
fn adapters_inside_learn() -> Result<()> {
    let linear = Linear::new(LinearConfig::new(4, 4), &mut rng(1), DType::F64, DEVICE)?;
    let block = Sequential::default().with("fc", linear).with("relu", Relu);
    let lora = Lora::new(
        ActivationCheckpoint::new(block),
        LoraConfig::default(),
        &mut rng(2),
    )?;
    let x = Tensor::ones((3, 4), DType::F64, DEVICE)?;
    let store = Layer::forward_t(&lora, &x, true)?
        .sqr()?
        .sum_all()?
        .backward()?;
    // B is 0, so that the gradient of A is.
    for (name, var) in lora.parameters().iter() {
        let gradient = store
            .get(var)
            .unwrap()
            .abs()?
            .max_all()?
            .to_scalar::<f64>()?;
        assert_eq!(gradient > 0.0, name.ends_with("lora_B.weight"), "{name}");
    }
    Ok(())
}

#[test]
fn inputs_without_gradient_and_outputs_without_parameters() -> Result<()> {
    // Token ids have no gradient.
    let config = crate::EmbeddingConfig::new(5, 3);
    let table = crate::Embedding::new(config, &mut rng(1), DType::F32, DEVICE)?;
    let table = ActivationCheckpoint::new(table);
    let y = table.forward(&Tensor::new(&[[1u32, 4, 1]], DEVICE)?)?;
    let store = y.sum_all()?.backward()?;
    let gradient = store
        .get(table.parameters().get("weight").unwrap())
        .unwrap();
    assert_eq!(gradient.sum(1)?.to_vec1::<f32>()?, [0., 6., 0., 0., 3.]);
    let relu = ActivationCheckpoint::new(Relu);
    let x = Tensor::new(&[1f32, -1.], DEVICE)?;
    assert!(!relu.forward(&x)?.track_op());
    let x = Var::from_tensor(&x)?;
    let store = relu.forward(&x)?.sum_all()?.backward()?;
    assert_eq!(store.get(&x).unwrap().to_vec1::<f32>()?, [1., 0.]);
    Ok(())
}

/// A view of its input.
#[derive(Debug)]
struct View;

impl Layer for View {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        Ok(input.t()?.narrow(0, 1, 2)?)
    }
}

#[test]
fn outputs_that_are_views_are_values() -> Result<()> {
    let x = Var::new(&[[1f32, 2., 3.], [4., 5., 6.]], DEVICE)?;
    let y = ActivationCheckpoint::new(View).forward(&x)?;
    assert_eq!(y.to_vec2::<f32>()?, [[2., 5.], [3., 6.]]);
    let factors = Tensor::new(&[[1f32, 10.], [100., 1000.]], DEVICE)?;
    let store = (y * factors)?.sum_all()?.backward()?;
    let gradient = store.get(&x).unwrap().to_vec2::<f32>()?;
    assert_eq!(gradient, [[0., 1., 100.], [0., 10., 1000.]]);
    Ok(())
}

#[test]
fn several_inputs_get_their_gradients_and_frozen_variables_none() -> Result<()> {
    let config = LinearConfig::new(3, 2);
    let linear = Arc::new(Linear::new(config, &mut rng(1), DType::F64, DEVICE)?);
    let x = Var::new(&[[1f64, 2., 3.], [4., 5., 6.]], DEVICE)?;
    let factor = Var::new(&[[3f64], [7.]], DEVICE)?;
    let mask = Tensor::new(&[1u8, 0], DEVICE)?;
    let forward = |linear: &Linear, inputs: &[Tensor]| -> Result<Tensor> {
        let y = linear.forward(&inputs[1])?.broadcast_mul(&inputs[2])?;
        Ok(y.broadcast_mul(&inputs[0].to_dtype(DType::F64)?)?)
    };
    let (x, factor) = (x.as_tensor(), factor.as_tensor());
    let inputs = [&mask, x, factor];
    let [weight, bias] = [linear.weight(), linear.bias().unwrap()];
    let frozen = [weight].into_iter().collect();
    let both = with_frozen(&frozen, || -> Result<_> {
        let plain = forward(&linear, &inputs.map(Tensor::clone))?;
        Ok([plain, checkpoint_activations(&linear, &inputs, forward)?])
    })?;
    let [plain, again] = both.map(|y| y.sqr().unwrap().sum_all().unwrap().backward().unwrap());
    for leaf in [x, factor, bias] {
        let [plain, again] = [&plain, &again].map(|store| store.get(leaf).unwrap());
        let [plain, again] = [plain, again].map(|own| own.flatten_all()?.to_vec1::<f64>());
        assert_eq!(plain?, again?);
    }
    assert!(plain.get(weight).is_none() && again.get(weight).is_none());
    let constant = no_grad(|| checkpoint_activations(&linear, &inputs, forward))?;
    assert!(!constant.track_op());
    Ok(())
}

#[test]
fn a_switch_is_read_at_every_pass() -> Result<()> {
    let (kept, switch) = (Arc::new(Kept::default()), CheckpointSwitch::default());
    let layer = ActivationCheckpoint::with_switch(Double(kept.clone()), &switch);
    let x = Var::ones(100, DType::F32, DEVICE)?;
    for on in [false, true, false] {
        switch.set(on);
        let y = layer.forward_t(&x, true)?;
        let expected = if on { 0 } else { 400 };
        assert_eq!(kept.now.load(Ordering::Relaxed), expected);
        drop(y);
    }
    Ok(())
}
