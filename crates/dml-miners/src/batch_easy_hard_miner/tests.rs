//! The choices of each strategy by hand.

use candle_core::{Device, Tensor};

use super::*;
use crate::tests::example_distance::{DotProduct, Euclidean, pairs};

fn config(pos: &str, neg: &str) -> Result<BatchEasyHardMinerConfig> {
    Ok(BatchEasyHardMinerConfig {
        pos_strategy: pos.parse()?,
        neg_strategy: neg.parse()?,
        ..Default::default()
    })
}

/// The row chosen as positive and as negative for anchor 0.
fn first(config: BatchEasyHardMinerConfig) -> Result<Option<(u32, u32)>> {
    // Positives of row 0 at 1, 3 and 6; negatives at 2, 4 and 9.
    let embeddings = Tensor::new(&[[0f32], [1.], [3.], [6.], [2.], [4.], [9.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 0, 1, 2, 3])?;
    let miner = BatchEasyHardMiner::new(config, Euclidean)?;
    let (positive, negative) = pairs(&miner.mine(&batch)?, &batch)?;
    let p = positive.iter().find(|pair| pair[0] == 0);
    let n = negative.iter().find(|pair| pair[0] == 0);
    assert_eq!(p.is_some(), n.is_some());
    Ok(p.zip(n).map(|(p, n)| (p[1], n[1])))
}

#[test]
fn each_strategy_has_its_own_pair() -> Result<()> {
    for (pos, neg, chosen) in [
        ("hard", "hard", Some((3, 4))),
        ("easy", "easy", Some((1, 6))),
        ("easy", "hard", Some((1, 4))),
        ("hard", "easy", Some((3, 6))),
        // Beyond 1 the nearest negative is at 2, beyond 6 at 9; below 2 the farthest positive is at 1, below 9 at 6.
        ("easy", "semihard", Some((1, 4))),
        ("hard", "semihard", Some((3, 6))),
        ("semihard", "hard", Some((1, 4))),
        ("semihard", "easy", Some((3, 6))),
    ] {
        assert_eq!(first(config(pos, neg)?)?, chosen, "{pos} {neg}");
    }
    Ok(())
}

#[test]
fn ranges_include_their_ends_and_may_leave_an_anchor_empty() -> Result<()> {
    let ranged = |pos, neg| -> Result<_> {
        first(BatchEasyHardMinerConfig {
            allowed_pos_range: pos,
            allowed_neg_range: neg,
            ..config("hard", "hard")?
        })
    };
    assert_eq!(
        ranged(Some((1.0, 3.0)), Some((4.0, f64::INFINITY)))?,
        Some((2, 5))
    );
    assert_eq!(ranged(Some((1.5, 2.5)), None)?, None);
    Ok(())
}

#[test]
fn semihard_is_strict() -> Result<()> {
    let embeddings = Tensor::new(&[[0f32], [2.], [-2.], [2.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 1, 2])?;
    let miner = BatchEasyHardMiner::new(config("easy", "semihard")?, Euclidean)?;
    // Both negatives of row 0 are as near as its positive; of row 1 (positive at 2) row 2 is beyond it.
    let mined = miner.mine(&batch)?;
    assert_eq!(pairs(&mined, &batch)?, (vec![[1, 0]], vec![[1, 2]]));
    Ok(())
}

#[test]
fn all_on_one_side_leaves_the_other_with_one_each() -> Result<()> {
    let embeddings = Tensor::new(&[[0f32], [1.], [5.], [6.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 1])?;
    let mine = |pos, neg| -> Result<_> {
        let miner = BatchEasyHardMiner::new(config(pos, neg)?, Euclidean)?;
        pairs(&miner.mine(&batch)?, &batch)
    };
    let (positive, negative) = mine("all", "hard")?;
    assert_eq!(positive, [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]);
    // Row 3 has a nearest negative though it has no positive.
    assert_eq!(negative, [[0, 3], [1, 3], [2, 3], [3, 2]]);
    let (positive, negative) = mine("easy", "all")?;
    assert_eq!(positive, [[0, 1], [1, 0], [2, 1]]);
    assert_eq!(negative, [[0, 3], [1, 3], [2, 3], [3, 0], [3, 1], [3, 2]]);
    assert_eq!(mine("all", "all")?.0.len(), 6);
    Ok(())
}

#[test]
fn similarities_count_the_other_way_round() -> Result<()> {
    let embeddings = Tensor::new(&[[1f32], [2.], [5.], [3.], [4.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 1, 2])?;
    let miner = BatchEasyHardMiner::new(config("hard", "hard")?, DotProduct)?;
    let (positive, negative) = pairs(&miner.mine(&batch)?, &batch)?;
    // Of row 0 the least similar positive is 2, the most similar negative 4.
    assert_eq!((positive[0], negative[0]), ([0, 1], [0, 4]));
    Ok(())
}

#[test]
fn a_distance_that_is_no_number_is_chosen_before_all_others() -> Result<()> {
    /// No number between rows 0 and 1.
    #[derive(Debug)]
    struct Holed;
    impl dml_core::Distance for Holed {
        fn matrix(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
            let nan = f32::NAN;
            let matrix = [
                [0f32, nan, 3., 4.],
                [nan, 0., 1., 2.],
                [3., 1., 0., 1.],
                [4., 2., 1., 0.],
            ];
            Ok(Tensor::new(&matrix, &Device::Cpu)?)
        }
    }
    let embeddings = Tensor::new(&[[0f32], [1.], [3.], [4.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 1])?;
    for (near, far) in [
        ("hard", "hard"),
        ("easy", "hard"),
        ("hard", "easy"),
        ("hard", "semihard"),
        ("semihard", "easy"),
    ] {
        let miner = BatchEasyHardMiner::new(config(near, far)?, Holed)?;
        let (positive, negative) = pairs(&miner.mine(&batch)?, &batch)?;
        assert_eq!(positive[..2], [[0, 1], [1, 0]], "{near} {far}");
        assert_eq!(negative[..2], [[0, 3], [1, 3]], "{near} {far}");
    }
    Ok(())
}

#[test]
fn strategies_that_wait_for_each_other_are_refused() -> Result<()> {
    for (pos, neg) in [
        ("semihard", "semihard"),
        ("all", "semihard"),
        ("semihard", "all"),
    ] {
        assert!(matches!(
            BatchEasyHardMiner::new(config(pos, neg)?, Euclidean),
            Err(Error::Unsupported { .. })
        ));
    }
    assert!(config("hardest", "easy").is_err());
    let backwards = BatchEasyHardMinerConfig {
        allowed_neg_range: Some((2.0, 1.0)),
        ..Default::default()
    };
    assert!(matches!(
        BatchEasyHardMiner::new(backwards, Euclidean),
        Err(Error::InvalidParameter {
            name: "allowed_neg_range",
            ..
        })
    ));
    Ok(())
}
