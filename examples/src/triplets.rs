//! The loss of the examples that compare pictures by labels: semihard triplets by cosine.

use dml::Objective;
use dml::distances::CosineSimilarity;
use dml::losses::{TripletMarginLoss, TripletMarginLossConfig};
use dml::miners::{TripletMarginMiner, TripletMarginMinerConfig, TripletType};
use dml::reducers::AvgNonZeroReducer;

/// Of the loss and the miner.
const MARGIN: f64 = 0.2;

pub(crate) fn objective() -> dml::Result<Objective> {
    let distance = CosineSimilarity::default();
    let loss = TripletMarginLossConfig {
        margin: MARGIN,
        ..TripletMarginLossConfig::default()
    };
    let miner = TripletMarginMinerConfig {
        margin: MARGIN,
        type_of_triplets: TripletType::Semihard,
    };
    let loss = TripletMarginLoss::new(loss, distance.clone())?;
    let objective = Objective::new(loss, AvgNonZeroReducer::default());
    Ok(objective.with_miner(TripletMarginMiner::new(miner, distance)?))
}
