//! Configurations as data: PyTorch Metric Learning's argument names, its defaults, and nothing else.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

use crate::*;

fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

/// Nothing gives the defaults, what is written is read back, and an unknown name is refused.
fn holds<T: DeserializeOwned + Serialize + Default + PartialEq + Debug>(example: &str) {
    assert_eq!(read::<T>("{}").unwrap(), T::default());
    let config: T = read(example).unwrap();
    assert_ne!(config, T::default());
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(read::<T>(&written).unwrap(), config);
    assert!(read::<T>(r#"{"marign": 1}"#).is_err());
}

#[test]
fn every_configuration_is_read_by_name() {
    holds::<TripletMarginMinerConfig>(r#"{"margin": 0.1, "type_of_triplets": "semihard"}"#);
    holds::<PairMarginMinerConfig>(r#"{"pos_margin": 1, "neg_margin": 0}"#);
    holds::<MultiSimilarityMinerConfig>(r#"{"epsilon": 0.2}"#);
    holds::<AngularMinerConfig>(r#"{"angle": 45}"#);
    holds::<BatchEasyHardMinerConfig>(
        r#"{"pos_strategy": "all", "neg_strategy": "hard", "allowed_pos_range": null, "allowed_neg_range": [0.1, "inf"]}"#,
    );
    holds::<BatchHardMinerConfig>(r#"{"allowed_pos_range": [0, 1]}"#);
    holds::<HDCMinerConfig>(r#"{"filter_percentage": 0.25}"#);
    holds::<DistanceWeightedMinerConfig>(
        r#"{"cutoff": 0.4, "nonzero_loss_cutoff": 1.2, "seed": 3}"#,
    );
    holds::<UniformHistogramMinerConfig>(r#"{"num_bins": 5, "pos_per_bin": 2, "neg_per_bin": 1}"#);
    holds::<NHardTripletsMinerConfig>(r#"{"n_positive": 2, "skip_negative": 1}"#);
    holds::<HardNegativeMinerConfig>(
        r#"{"num_negatives": 5, "range_max": 50, "absolute_margin": 0.1, "sampling_strategy": "random"}"#,
    );
}

#[test]
fn a_range_may_be_open_and_a_strategy_must_exist() {
    let config: BatchEasyHardMinerConfig = read(r#"{"allowed_neg_range": [0.1, "inf"]}"#).unwrap();
    assert_eq!(config.allowed_neg_range, Some((0.1, f64::INFINITY)));
    assert!(read::<BatchEasyHardMinerConfig>(r#"{"pos_strategy": "hardest"}"#).is_err());
    assert!(read::<TripletMarginMinerConfig>(r#"{"type_of_triplets": "semi-hard"}"#).is_err());
}
