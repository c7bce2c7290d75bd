//! Losses around losses hand on where the randomness inside comes from, or no checkpoint would hold it.

use std::sync::Arc;

use dml_core::candle_core::{Device, Tensor};
use dml_core::{Batch, Distance, Error, Loss, Objective, Result, SeedSequence};
use dml_distances::CosineSimilarity;
use dml_losses::{
    ContrastiveLoss, ContrastiveLossConfig, CrossBatchMemory, CrossBatchMemoryConfig,
    LearnedDistance, MultipleLosses, SelfSupervisedLoss, TripletMarginLoss,
    TripletMarginLossConfig, TripletsPerAnchor, VICRegLoss, VICRegLossConfig, WeightedObjective,
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

/// Two views of four rows, and what VICReg makes of them.
fn two_views() -> Result<([Tensor; 2], Objective, f32)> {
    let first = [[1f32, 0.], [0.5, 2.], [-1., 1.], [0.25, -0.5]];
    let second = [[0.9f32, 0.1], [0.25, 2.], [-1., 0.5], [0., -0.5]];
    let views = [
        Tensor::new(&first, &Device::Cpu)?,
        Tensor::new(&second, &Device::Cpu)?,
    ];
    let vicreg = VICRegLoss::new(VICRegLossConfig::default())?;
    let objective = Objective::new(Arc::new(vicreg), Arc::new(MeanReducer));
    let batch = Batch::unlabeled(&views[0])?.with_unlabeled_reference(&views[1])?;
    let expected = objective.forward(&batch)?.to_scalar()?;
    Ok((views, objective, expected))
}

#[test]
fn a_loss_of_two_views_gets_them_without_labels() -> Result<()> {
    let (views, objective, expected) = two_views()?;
    for symmetric in [true, false] {
        let loss = SelfSupervisedLoss::new(objective.clone(), symmetric)?;
        assert_eq!(loss.forward(&views)?.to_scalar::<f32>()?, expected);
        let [first, second] = views.clone();
        let three = loss.forward(&[first.clone(), second.clone(), second.clone()]);
        assert!(matches!(three, Err(Error::Unsupported { .. })));
        let outer = Objective::new(Arc::new(loss), Arc::new(MeanReducer));
        let batch =
            Batch::new(&first, [0i64, 0, 1, 1])?.with_reference(&second, [0i64, 0, 1, 1])?;
        assert_eq!(outer.forward(&batch)?.to_scalar::<f32>()?, expected);
    }
    Ok(())
}

#[test]
fn a_loss_of_two_views_adds_to_one_of_classes() -> Result<()> {
    let ([first, second], vicreg, of_views) = two_views()?;
    let labels = [0i64, 0, 1, 1];
    let contrastive = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance())?;
    let contrastive = Objective::new(Arc::new(contrastive), Arc::new(MeanReducer));
    let part = |name: &str, objective: &Objective| WeightedObjective {
        name: name.to_owned(),
        objective: objective.clone(),
        weight: 0.5,
    };
    let both = vec![part("a", &contrastive), part("b", &vicreg)];
    let both = Objective::new(Arc::new(MultipleLosses::new(both)?), Arc::new(MeanReducer));
    assert!(both.loss().takes_reference() && both.loss().reads_relation());
    let batch = Batch::new(&first, labels)?.with_reference(&second, labels)?;
    let of_classes = contrastive.forward(&batch)?.to_scalar::<f32>()?;
    let sum = both.forward(&batch)?.to_scalar::<f32>()?;
    assert!((sum - (of_classes + of_views) / 2.0).abs() < 1e-5, "{sum}");
    // Without a second view the part has nothing to compare.
    let alone = both.forward(&Batch::new(&first, labels)?);
    assert!(matches!(
        alone,
        Err(Error::Missing {
            component: "MultipleLosses",
            ..
        })
    ));
    Ok(())
}
