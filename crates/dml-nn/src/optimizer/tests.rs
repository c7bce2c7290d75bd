use super::*;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::{CheckpointError, Error, Result};

/// p²·w + t·p·w, whose gradient is known: (2p + t) w.
fn gradients(p: &Var, t: usize) -> GradStore {
    let w = Tensor::new(&[1f64, 2., -3.], &Device::Cpu).unwrap();
    let w = w.to_dtype(p.dtype()).unwrap();
    let value = ((p.sqr().unwrap() * &w).unwrap()
        + ((p.as_tensor() * &w).unwrap() * t as f64).unwrap())
    .unwrap();
    value.sum_all().unwrap().backward().unwrap()
}

fn parameter(dtype: DType) -> Var {
    let p = Tensor::new(&[1f64, -2., 0.5], &Device::Cpu).unwrap();
    Var::from_tensor(&p.to_dtype(dtype).unwrap()).unwrap()
}

fn named(p: &Var) -> [(String, Var); 1] {
    [("p".to_owned(), p.clone())]
}

fn adam_config() -> AdamConfig {
    AdamConfig {
        lr: 0.1,
        betas: [0.8, 0.95],
        eps: 1e-3,
        weight_decay: 0.1,
    }
}

fn momentum_config() -> SgdConfig {
    SgdConfig {
        lr: 0.01,
        momentum: 0.9,
        dampening: 0.2,
        weight_decay: 0.1,
        nesterov: false,
    }
}

type Make = fn(&Var) -> Box<dyn Optimizer>;

/// Optimisers and where three steps lead: computed by torch.optim of PyTorch 2 in double precision.
fn cases() -> [(Make, [[f64; 3]; 3]); 5] {
    [
        (
            |p| Box::new(Adam::new(named(p), adam_config()).unwrap()),
            [
                [0.9000322476620445, -1.9000161264312208, 0.5999831961014955],
                [0.7997321605365181, -1.8048710165580806, 0.699338523659188],
                [0.6988287282821922, -1.7229070296509552, 0.7990600547861327],
            ],
        ),
        (
            |p| {
                let AdamConfig {
                    lr,
                    betas,
                    eps,
                    weight_decay,
                } = adam_config();
                let config = AdamWConfig {
                    lr,
                    betas,
                    eps,
                    weight_decay,
                };
                Box::new(AdamW::new(named(p), config).unwrap())
            },
            [
                [0.8900333222259247, -1.8800166638893518, 0.5949833361106482],
                [0.780839336237526, -1.7666728483316188, 0.6884214052614637],
                [0.6721354850933203, -1.6696899122892908, 0.7812983246221995],
            ],
        ),
        (
            |p| {
                let config = SgdConfig {
                    lr: 0.01,
                    weight_decay: 0.1,
                    ..SgdConfig::default()
                };
                Box::new(Sgd::new(named(p), config).unwrap())
            },
            [
                [0.969, -1.938, 0.5595],
                [0.928651, -1.898542, 0.6525105],
                [0.879149329, -1.880701778, 0.7810086195],
            ],
        ),
        (
            |p| Box::new(Sgd::new(named(p), momentum_config()).unwrap()),
            [
                [0.969, -1.938, 0.5595],
                [0.9088208, -1.8506336, 0.6874584],
                [0.81539133056, -1.75930305792, 0.90706899648],
            ],
        ),
        (
            |p| {
                let config = SgdConfig {
                    lr: 0.01,
                    momentum: 0.9,
                    nesterov: true,
                    ..SgdConfig::default()
                };
                Box::new(Sgd::new(named(p), config).unwrap())
            },
            [
                [0.943, -1.886, 0.614],
                [0.844866, -1.770064, 0.846596],
                [0.702414492, -1.677092736, 1.236288344],
            ],
        ),
    ]
}

#[test]
fn three_steps_lead_where_pytorch_leads() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-6), (DType::F16, 5e-3)] {
        for (make, expected) in cases() {
            let p = parameter(dtype);
            let mut optimizer = make(&p);
            for (t, expected) in expected.iter().enumerate() {
                optimizer.step(&gradients(&p, t + 1))?;
                let got = p.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                for (got, expected) in got.iter().zip(expected) {
                    assert!(
                        (got - expected).abs() < tolerance,
                        "{optimizer:?} in {dtype:?}, step {t}: {got} {expected}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_saved_optimizer_goes_on_with_the_same_bits()
-> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("optimizer.safetensors");
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        for (make, _) in cases() {
            let p = parameter(dtype);
            let mut optimizer = make(&p);
            for t in 0..2 {
                optimizer.step(&gradients(&p, t))?;
            }
            optimizer.set_learning_rate(0.03);
            optimizer.save(&path)?;
            let q = Var::from_tensor(&p.as_tensor().copy()?)?;
            let mut resumed = make(&q);
            resumed.load(&path)?;
            assert_eq!(resumed.learning_rate(), 0.03);
            for t in 0..3 {
                optimizer.step(&gradients(&p, t))?;
                resumed.step(&gradients(&q, t))?;
            }
            let values = |v: &Var| v.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(values(&p), values(&q), "{optimizer:?}");
        }
    }
    Ok(())
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() -> std::result::Result<(), Box<dyn std::error::Error>>
{
    let p = parameter(DType::F32);
    let mut adam = Adam::new(named(&p), adam_config())?;
    adam.step(&gradients(&p, 1))?;
    let before = adam.state()?;
    let mut state = before.clone();
    state.remove("p.exp_avg");
    assert!(matches!(
        adam.load_state(&state),
        Err(CheckpointError::Missing { .. })
    ));
    state.insert(
        "p.exp_avg".to_owned(),
        Tensor::zeros(2, DType::F32, &Device::Cpu)?,
    );
    assert!(matches!(
        adam.load_state(&state),
        Err(CheckpointError::Shape { .. })
    ));
    for (name, tensor) in adam.state()? {
        let same = tensor
            .eq(&before[&name])?
            .flatten_all()?
            .min(0)?
            .to_scalar::<u8>()?;
        assert_eq!(same, 1, "{name}");
    }
    Ok(())
}

#[test]
fn a_parameter_without_gradient_stays_and_its_steps_are_not_counted() -> Result<()> {
    let (p, q) = (parameter(DType::F64), parameter(DType::F64));
    let both = [("p".to_owned(), p.clone()), ("q".to_owned(), q.clone())];
    let mut adam = Adam::new(both, adam_config())?;
    adam.step(&gradients(&p, 1))?;
    assert_eq!(q.to_vec1::<f64>()?, [1., -2., 0.5]);
    let steps = |adam: &Adam, name: &str| Ok::<_, Error>(adam.state()?[name].to_scalar::<i64>()?);
    assert_eq!((steps(&adam, "p.step")?, steps(&adam, "q.step")?), (1, 0));
    adam.step(&gradients(&q, 1))?;
    // The first step of q is that of a fresh parameter.
    assert_eq!(q.to_vec1::<f64>()?, p.to_vec1::<f64>()?);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() {
    let p = parameter(DType::F32);
    let refused = |name: &str, config: AdamConfig| {
        let error = Adam::new(named(&p), config).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidParameter { name: got, .. } if *got == name),
            "{error}"
        );
    };
    refused(
        "lr",
        AdamConfig {
            lr: -1.0,
            ..adam_config()
        },
    );
    refused(
        "betas",
        AdamConfig {
            betas: [0.9, 1.0],
            ..adam_config()
        },
    );
    refused(
        "eps",
        AdamConfig {
            eps: f64::NAN,
            ..adam_config()
        },
    );
    refused(
        "weight_decay",
        AdamConfig {
            weight_decay: -0.1,
            ..adam_config()
        },
    );
    for config in [
        SgdConfig {
            momentum: -0.1,
            ..SgdConfig::default()
        },
        SgdConfig {
            nesterov: true,
            ..SgdConfig::default()
        },
        SgdConfig {
            nesterov: true,
            ..momentum_config()
        },
    ] {
        assert!(matches!(
            Sgd::new(named(&p), config),
            Err(Error::InvalidParameter { .. })
        ));
    }
    let twice = [("p".to_owned(), p.clone()), ("p".to_owned(), p)];
    assert!(matches!(
        Adam::new(twice, adam_config()),
        Err(Error::Unsupported { .. })
    ));
    let whole = Var::zeros(2, DType::I64, &Device::Cpu).unwrap();
    assert!(matches!(
        Adam::new(named(&whole), adam_config()),
        Err(Error::DType { .. })
    ));
}
