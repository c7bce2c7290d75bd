use super::*;
use crate::checked_layer::{assert_close, check, input, run};
use candle_core::{DType, Device};
use dml_core::Error;

fn layer(dim: usize, interleaved: bool) -> RotaryEmbedding {
    RotaryEmbedding::new(RotaryEmbeddingConfig {
        theta: 100.0,
        interleaved,
        max_positions: 64,
        ..RotaryEmbeddingConfig::new(dim)
    })
    .unwrap()
}

/// A layer that begins at position 3.
#[derive(Debug)]
struct Later(RotaryEmbedding);

impl Layer for Later {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        self.0.forward_from(input, 3)
    }
}

/// From PyTorch 2.15, with `num` of [`crate::checked_layer`], the formula of transformers' `apply_rotary_pos_emb` for the
/// first 4 of 5 coordinates at positions 3 and 4, and that of `RoFormer`:
///
/// ```text
/// inv = 100.0 ** (-torch.arange(0, 4, 2) / 4); a = torch.outer(torch.tensor([3., 4.]), inv)
/// e = torch.cat([a, a], -1); rot = torch.cat([-x[..., 2:4], x[..., :2]], -1)            # half-split
/// e = a.repeat_interleave(2, -1); rot = torch.stack([-x[..., 1:4:2], x[..., 0:4:2]], -1).flatten(-2)
/// y = torch.cat([x[..., :4] * e.cos() + rot * e.sin(), x[..., 4:]], -1)
/// ```
#[test]
fn numbers_are_those_of_both_conventions() -> Result<()> {
    let x = input(&[1, 2, 2, 5])?;
    #[rustfmt::skip]
    let wanted = [
        [vec![0.814453, -0.292532, -1.372574, -1.03512, -0.390244, -1.152048, -1.453692, -1.035351, 1.371433, -0.707317,
              0.086049, 1.969515, 0.603654, 0.813487, 2.414634, 2.383697, 0.520905, -1.38199, -0.229935, 0.585366],
         vec![0.093353, 1.747567, 0.727774, -0.540586, 2.121951, -1.428838, -0.019739, -2.039775, -0.547747, 0.390244,
              -2.597617, 0.490445, -0.961564, 2.988542, -0.317073, -0.344033, -2.181079, 0.734158, 1.981369, -2.487805]],
        [vec![1.072599, 0.438388, 1.455034, -0.494535, -0.390244, -1.613513, -0.636788, -0.89207, 1.608884, -0.707317,
              -0.29945, -2.100716, -0.640185, 0.006212, 2.414634, 0.630131, 0.13255, 2.65507, 0.672376, 0.585366],
         vec![0.451316, -1.783426, -0.675726, 0.209026, 2.121951, 0.250894, -0.589005, 2.024567, -1.412066, 0.390244,
              -2.738737, 0.028428, 1.445782, 2.693022, -0.317073, 1.594119, 2.408123, 0.177736, 0.984078, -2.487805]],
    ];
    for (interleaved, wanted) in [false, true].into_iter().zip(wanted) {
        assert_close(
            &run(&Later(layer(4, interleaved)), &x, true)?,
            &wanted,
            1e-6,
        );
    }
    Ok(())
}

#[test]
fn it_holds_in_every_form() -> Result<()> {
    for interleaved in [false, true] {
        for (shape, dim) in [
            (vec![1, 6], 6),
            (vec![2, 3, 5, 7], 4),
            (vec![3, 64, 34], 34),
        ] {
            check(|_| Ok(Box::new(layer(dim, interleaved))), &shape, true)?;
        }
    }
    Ok(())
}

#[test]
fn products_depend_on_the_distance_of_positions_alone() -> Result<()> {
    let rotary = layer(6, false);
    let q = Tensor::new(&[[1f64, 2., -3., 0.5, 1., -1.]], &Device::Cpu)?;
    let k = Tensor::new(&[[0.3f64, -2., 1., 2.5, 4., 1.]], &Device::Cpu)?;
    let product = |i, j| -> Result<f64> {
        let both = rotary.forward_from(&q, i)? * rotary.forward_from(&k, j)?;
        Ok(both?.sum_all()?.to_scalar()?)
    };
    assert!((product(2, 9)? - product(40, 47)?).abs() < 1e-12);
    assert!((product(2, 9)? - product(2, 10)?).abs() > 1e-3);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    for config in [
        RotaryEmbeddingConfig::new(0),
        RotaryEmbeddingConfig::new(3),
        RotaryEmbeddingConfig::new(1 << 20),
        RotaryEmbeddingConfig {
            theta: 0.0,
            ..RotaryEmbeddingConfig::new(4)
        },
        RotaryEmbeddingConfig {
            max_positions: 0,
            ..RotaryEmbeddingConfig::new(4)
        },
        RotaryEmbeddingConfig {
            max_positions: usize::MAX,
            ..RotaryEmbeddingConfig::new(4)
        },
        RotaryEmbeddingConfig {
            max_positions: 1 << 31,
            ..RotaryEmbeddingConfig::new(1 << 16)
        },
    ] {
        assert!(RotaryEmbedding::new(config).is_err());
    }
    let rotary = layer(4, false);
    for shape in [vec![4], vec![2, 3]] {
        let x = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        assert!(matches!(
            rotary.forward(&x),
            Err(Error::Shape { arg: "input", .. })
        ));
    }
    let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?;
    assert!(rotary.forward_from(&x, 62).is_ok());
    for first in [63, usize::MAX] {
        let refused = rotary.forward_from(&x, first);
        assert!(matches!(
            refused,
            Err(Error::Count {
                name: "positions",
                most: 64,
                ..
            })
        ));
    }
    let empty = rotary.forward(&Tensor::zeros((0, 3, 4), DType::F32, &Device::Cpu)?)?;
    assert_eq!(empty.dims(), [0, 3, 4]);
    Ok(())
}
