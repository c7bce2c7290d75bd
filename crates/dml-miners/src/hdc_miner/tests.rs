//! The cut by hand, over every form of tuples.

use candle_core::{Device, Tensor};
use dml_core::TupleCount;

use super::*;
use crate::tests::example_distance::{DotProduct, Euclidean, pairs};
use dml_core::Error;

fn miner(share: f64, distance: impl Distance + 'static) -> Result<HDCMiner> {
    let config = HDCMinerConfig {
        filter_percentage: share,
    };
    HDCMiner::new(config, distance)
}

fn batch() -> Result<Batch> {
    let embeddings = Tensor::new(&[[0f32], [1.], [3.], [7.], [12.]], &Device::Cpu)?;
    Batch::new(&embeddings, [0i64, 0, 0, 1, 1])
}

#[test]
fn the_share_is_rounded_up_and_the_first_of_equals_stay() -> Result<()> {
    let batch = batch()?;
    let (positive, negative) = pairs(&miner(0.4, Euclidean)?.mine(&batch)?, &batch)?;
    // Eight positive pairs, of lengths 5, 3, 2 and 1 both ways: ⌈3.2⌉ = 4 stay. Twelve negative ones, of lengths
    // 4, 6, 7, 9, 11 and 12: ⌈4.8⌉ = 5, so one of the two of length 7 is cut.
    assert_eq!(positive, [[0, 2], [2, 0], [3, 4], [4, 3]]);
    assert_eq!(negative, [[0, 3], [1, 3], [2, 3], [3, 1], [3, 2]]);
    Ok(())
}

#[test]
fn similarities_count_the_other_way_round() -> Result<()> {
    let embeddings = Tensor::new(&[[1f32], [2.], [3.], [4.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0, 1])?;
    let (positive, negative) = pairs(&miner(0.3, DotProduct)?.mine(&batch)?, &batch)?;
    assert_eq!(positive, [[0, 1], [1, 0]]);
    assert_eq!(negative, [[2, 3], [3, 2]]);
    Ok(())
}

#[test]
fn every_form_of_all_pairs_gives_the_same() -> Result<()> {
    let batch = batch()?;
    let miner = miner(0.35, Euclidean)?;
    let listed = Tuples::from(Tuples::all().pairs(&batch)?);
    let relation = batch.relation().unwrap();
    let mask = PairMask::select(5, 5, |q, p, n, sides: &mut Sides| {
        sides.of(relation, q);
        sides.positives.iter().for_each(|r| p.insert(*r as usize));
        sides.negatives.iter().for_each(|r| n.insert(*r as usize));
    });
    let of_all = pairs(&miner.filter(&batch, &Tuples::all())?, &batch)?;
    assert_eq!(pairs(&miner.filter(&batch, &listed)?, &batch)?, of_all);
    assert_eq!(
        pairs(&miner.filter(&batch, &Tuples::from_set(mask))?, &batch)?,
        of_all
    );
    Ok(())
}

#[test]
fn given_tuples_are_filtered_again_and_again_until_reset() -> Result<()> {
    let batch = batch()?;
    let miner = miner(0.5, Euclidean)?;
    let list = Pairs::new(vec![0, 0, 1, 3], vec![1, 2, 2, 4], vec![0, 1], vec![3, 3])?;
    miner.set_tuples(list.into());
    assert_eq!(
        pairs(&miner.mine(&batch)?, &batch)?,
        (vec![[0, 2], [3, 4]], vec![[1, 3]])
    );
    assert_eq!(
        pairs(&miner.clone().mine(&batch)?, &batch)?,
        (vec![[3, 4]], vec![[1, 3]])
    );
    assert_eq!(
        pairs(&miner.mine(&batch)?, &batch)?,
        (vec![[3, 4]], vec![[1, 3]])
    );
    miner.reset_tuples();
    assert_eq!(
        miner.mine(&batch)?.count(&batch)?,
        TupleCount::Pairs {
            positive: 4,
            negative: 6
        }
    );
    Ok(())
}

#[test]
fn nothing_stays_of_nothing_and_errors_name_their_cause() -> Result<()> {
    let batch = batch()?;
    for (share, positive) in [(0.0, 0), (1.0, 8)] {
        let mined = miner(share, Euclidean)?.mine(&batch)?;
        assert_eq!(pairs(&mined, &batch)?.0.len(), positive);
    }
    let empty = Tuples::from(Pairs::default());
    let kept = miner(0.5, Euclidean)?.filter(&batch, &empty)?;
    assert_eq!(kept.count(&batch)?.total(), 0);
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            miner(share, Euclidean),
            Err(Error::InvalidParameter {
                name: "filter_percentage",
                ..
            })
        ));
    }
    let outside = Tuples::from(Pairs::new(vec![0], vec![9], vec![], vec![])?);
    assert!(matches!(
        miner(0.5, Euclidean)?.filter(&batch, &outside),
        Err(Error::Index { .. })
    ));
    Ok(())
}
