//! Losses around losses hand on where the randomness inside comes from, or no checkpoint would hold it.

use std::sync::Arc;

use dml_core::{Distance, Loss, Objective, Result, SeedSequence};
use dml_distances::CosineSimilarity;
use dml_losses::{
    CrossBatchMemory, CrossBatchMemoryConfig, LearnedDistance, MultipleLosses, SelfSupervisedLoss,
    TripletMarginLoss, TripletMarginLossConfig, TripletsPerAnchor, WeightedObjective,
};
use dml_miners::{DistanceWeightedMiner, DistanceWeightedMinerConfig};
use dml_reducers::MeanReducer;

fn distance() -> Arc<dyn Distance> {
    Arc::new(CosineSimilarity::default())
}

/// A loss that draws triplets, under seed 11.
fn random() -> Result<Arc<dyn Loss>> {
    let config = TripletMarginLossConfig {
        triplets_per_anchor: TripletsPerAnchor::Random(2),
        seed: 11,
        ..Default::default()
    };
    Ok(Arc::new(TripletMarginLoss::new(config, distance())?))
}

fn objective() -> Result<Objective> {
    Ok(Objective::new(random()?, Arc::new(MeanReducer)))
}

#[test]
fn seeds_are_those_of_what_is_wrapped() -> Result<()> {
    let miner = DistanceWeightedMinerConfig {
        seed: 12,
        ..Default::default()
    };
    let miner = Arc::new(DistanceWeightedMiner::new(
        miner,
        Arc::new(dml_distances::LpDistance::default()),
    )?);
    let part = |objective| WeightedObjective {
        name: "a".to_owned(),
        objective,
        weight: 1.0,
    };
    let wrapped: [(Arc<dyn Loss>, &[u64]); 5] = [
        (Arc::new(random()?), &[11]),
        (Arc::new(LearnedDistance::new(random()?, distance())), &[11]),
        (
            Arc::new(SelfSupervisedLoss::new(objective()?, true)?),
            &[11],
        ),
        (
            Arc::new(CrossBatchMemory::new(
                CrossBatchMemoryConfig::new(4),
                objective()?.with_miner(miner.clone()),
            )?),
            &[11, 12],
        ),
        (
            Arc::new(MultipleLosses::new(vec![
                part(objective()?),
                part(objective()?.with_miner(miner)),
            ])?),
            &[11, 11, 12],
        ),
    ];
    for (loss, expected) in wrapped {
        let seeds = loss.seeds();
        let found: Vec<u64> = seeds.iter().map(SeedSequence::seed).collect();
        assert_eq!(found, expected, "{loss:?}");
        // Handles, not copies: who sets one back sets the loss back.
        seeds[0].resume(7);
        assert_eq!(loss.seeds()[0].calls(), 7, "{loss:?}");
    }
    Ok(())
}
