//! What holds for every miner: rows in another order give the same choice, nothing is matched with itself, and a pair
//! that the relation ignores never appears.

use std::sync::Arc;

use dml_core::{Batch, Distance, Miner, Result, TupleCount, Tuples};
use dml_distances::LpDistance;
use dml_miners::{
    AngularMiner, AngularMinerConfig, BatchEasyHardMiner, BatchHardMiner, DistanceWeightedMiner,
    DistanceWeightedMinerConfig, HDCMiner, HDCMinerConfig, MultiSimilarityMiner,
    NHardTripletsMiner, NHardTripletsMinerConfig, PairMarginMiner, TripletMarginMiner,
    TripletMarginMinerConfig, TripletType, UniformHistogramMiner, UniformHistogramMinerConfig,
};
use rand::seq::SliceRandom;

use crate::batches::{PairLists, Recipe, for_batches, is_negative, is_positive, pairs, triplets};

fn deterministic(distance: &Arc<dyn Distance>) -> Result<Vec<Arc<dyn Miner>>> {
    let d = || distance.clone();
    let semihard = TripletMarginMinerConfig {
        margin: 0.5,
        type_of_triplets: TripletType::Semihard,
    };
    let few = NHardTripletsMinerConfig {
        n_positive: 2,
        n_negative: 3,
        ..Default::default()
    };
    Ok(vec![
        Arc::new(TripletMarginMiner::new(semihard, d())?),
        Arc::new(PairMarginMiner::new(Default::default(), d())?),
        Arc::new(MultiSimilarityMiner::new(Default::default(), d())?),
        Arc::new(BatchEasyHardMiner::new(Default::default(), d())?),
        Arc::new(BatchHardMiner::new(Default::default(), d())?),
        Arc::new(NHardTripletsMiner::new(few, d())?),
        Arc::new(AngularMiner::new(
            AngularMinerConfig::default(),
            LpDistance::default(),
        )?),
    ])
}

fn random(distance: &Arc<dyn Distance>) -> Result<Vec<Arc<dyn Miner>>> {
    let unit = Arc::new(LpDistance::default());
    let few = UniformHistogramMinerConfig {
        num_bins: 4,
        pos_per_bin: 3,
        neg_per_bin: 3,
        seed: 1,
    };
    let near = DistanceWeightedMinerConfig {
        nonzero_loss_cutoff: 1.9,
        ..Default::default()
    };
    Ok(vec![
        Arc::new(UniformHistogramMiner::new(few, distance.clone())?),
        Arc::new(DistanceWeightedMiner::new(near, unit)?),
    ])
}

/// The tuples with every row number replaced, as sorted lists of triplets and of pairs.
fn renamed(
    tuples: &Tuples,
    batch: &Batch,
    of_query: &[usize],
    of_reference: &[usize],
) -> Result<(Vec<[u32; 3]>, PairLists)> {
    let (q, r) = (
        |row: u32| of_query[row as usize] as u32,
        |row: u32| of_reference[row as usize] as u32,
    );
    if matches!(tuples.count(batch)?, TupleCount::Triplets(_)) {
        let mut list: Vec<[u32; 3]> = triplets(tuples, batch)?
            .iter()
            .map(|t| [q(t[0]), r(t[1]), r(t[2])])
            .collect();
        list.sort_unstable();
        return Ok((list, PairLists::default()));
    }
    let (positive, negative) = pairs(tuples, batch)?;
    let rename = |list: Vec<[u32; 2]>| {
        let mut list: Vec<[u32; 2]> = list.iter().map(|t| [q(t[0]), r(t[1])]).collect();
        list.sort_unstable();
        list
    };
    Ok((vec![], (rename(positive), rename(negative))))
}

#[test]
fn rows_in_another_order_give_the_same_choice() -> Result<()> {
    let mut tested = 0;
    for_batches(300, |recipe, batch, distance, rng| {
        // Where distances are equal, the order decides which of them counts as harder.
        let mut all: Vec<f32> = batch.distances(&distance)?.flatten_all()?.to_vec1()?;
        all.sort_unstable_by(f32::total_cmp);
        let same_set = recipe.reference.is_none();
        if !same_set
            && all
                .windows(2)
                .any(|pair| pair[0].total_cmp(&pair[1]).is_eq())
        {
            return Ok(());
        }
        if recipe.query.iter().flatten().all(|x| x.fract() == 0.0) {
            return Ok(());
        }
        let mut of_query: Vec<usize> = (0..batch.queries()).collect();
        of_query.shuffle(rng);
        let mut of_reference: Vec<usize> = (0..batch.references()).collect();
        of_reference.shuffle(rng);
        if same_set {
            of_reference.clone_from(&of_query);
        }
        let permuted: Recipe = recipe.permuted(&of_query, &of_reference);
        let shuffled = permuted.batch()?;
        let unmoved: Vec<usize> = (0..20).collect();
        for miner in deterministic(&distance)? {
            let want = renamed(&miner.mine(batch)?, batch, &unmoved, &unmoved)?;
            let got = renamed(&miner.mine(&shuffled)?, &shuffled, &of_query, &of_reference)?;
            assert_eq!(got, want, "{miner:?}");
            tested += 1;
        }
        Ok(())
    })?;
    assert!(tested > 1000, "{tested}");
    Ok(())
}

#[test]
fn the_cascade_keeps_as_many_in_any_order() -> Result<()> {
    for_batches(300, |recipe, batch, distance, rng| {
        let mut of_query: Vec<usize> = (0..batch.queries()).collect();
        of_query.shuffle(rng);
        let of_reference = if recipe.reference.is_none() {
            of_query.clone()
        } else {
            (0..batch.references()).collect()
        };
        let shuffled = recipe.permuted(&of_query, &of_reference).batch()?;
        let miner = HDCMiner::new(HDCMinerConfig::default(), distance)?;
        assert_eq!(
            miner.mine(batch)?.count(batch)?,
            miner.mine(&shuffled)?.count(&shuffled)?
        );
        Ok(())
    })
}

#[test]
fn nothing_is_matched_with_itself_or_against_the_relation() -> Result<()> {
    for_batches(300, |_, batch, distance, _| {
        let mut miners = deterministic(&distance)?;
        miners.extend(random(&distance)?);
        miners.push(Arc::new(HDCMiner::new(Default::default(), distance)?));
        for miner in miners {
            let (positive, negative) = pairs(&miner.mine(batch)?, batch)?;
            for [a, p] in positive {
                assert!(is_positive(batch, a as usize, p as usize), "{miner:?}");
            }
            for [a, n] in negative {
                assert!(is_negative(batch, a as usize, n as usize), "{miner:?}");
            }
        }
        Ok(())
    })
}
