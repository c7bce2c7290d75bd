//! Names, defaults, collaborators and typing mistakes.

mod weighted_relations;

use dml_losses::weight_init::{Fan, Nonlinearity, WeightInit};

use super::*;

#[test]
fn a_bare_name_is_the_component_with_its_defaults() -> Result<(), ConfigError> {
    let bare = LossConfig::from_json("TripletMarginLoss")?;
    assert_eq!(
        bare,
        LossConfig::from_json(r#"{"name": "TripletMarginLoss"}"#)?
    );
    assert_eq!(bare.distance, None);
    Ok(())
}

#[test]
fn what_is_written_reads_back() -> Result<(), Box<dyn std::error::Error>> {
    let text = r#"{"name": "TripletMarginLoss", "margin": 0.2, "swap": true, "triplets_per_anchor": 3,
        "distance": {"name": "LpDistance", "p": "inf", "normalize_embeddings": false},
        "reducer": {"name": "PerAnchorReducer", "reducer": {"name": "ThresholdReducer", "low": 0.1}},
        "embedding_regularizer": {"name": "LpRegularizer", "distance": {"name": "CosineSimilarity"}},
        "embedding_reg_weight": 0.5}"#;
    let config = LossConfig::from_json(text)?;
    let written = serde_json::to_string(&config)?;
    assert_eq!(config, LossConfig::from_json(&written)?);
    assert!(written.contains(r#""p":"inf""#), "{written}");
    Ok(())
}

#[test]
fn null_is_the_default() -> Result<(), ConfigError> {
    let text = r#"{"name": "TripletMarginLoss", "distance": null, "embedding_regularizer": null}"#;
    assert_eq!(
        LossConfig::from_json(text)?,
        LossConfig::from_json("TripletMarginLoss")?
    );
    Ok(())
}

#[test]
fn typing_mistakes_are_errors_that_name_what_is_known() {
    let message = |text: &str| LossConfig::from_json(text).unwrap_err().to_string();
    let unknown_field = message(r#"{"name": "TripletMarginLoss", "marign": 0.2}"#);
    assert!(
        unknown_field.contains("marign") && unknown_field.contains("margin"),
        "{unknown_field}"
    );
    let unknown_name = message("TripletMarginLos");
    assert!(unknown_name.contains("TripletMarginLoss"), "{unknown_name}");
    let inner =
        message(r#"{"name": "TripletMarginLoss", "distance": {"name": "LpDistance", "q": 1}}"#);
    assert!(
        inner.contains("distance") && inner.contains("`q`"),
        "{inner}"
    );
    let surplus =
        message(r#"{"name": "TripletMarginLoss", "reducer": {"name": "MeanReducer", "low": 0}}"#);
    assert!(surplus.contains("low"), "{surplus}");
    assert!(LossConfig::from_json("{").is_err());
}

#[test]
fn arguments_outside_of_their_range_are_refused_when_the_component_is_built() {
    let distance = r#"{"name": "LpDistance", "p": 0.5}"#;
    let error = DistanceConfig::from_json(distance)
        .unwrap()
        .build()
        .unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Component(dml_core::Error::InvalidParameter { name: "p", .. })
    ));
}

#[test]
fn weights_are_drawn_by_a_function_of_pytorch_and_its_arguments() -> Result<(), ConfigError> {
    let read = |text: &str| from_text::<WeightInit>(text);
    let text = r#"{"name": "TorchInitWrapper", "init_func": "uniform_", "a": -0.25, "b": 0.5}"#;
    let uniform = WeightInit::Uniform { a: -0.25, b: 0.5 };
    assert_eq!(read(text)?, uniform);
    assert_eq!(
        read(&serde_json::to_string(&uniform)?)?,
        uniform,
        "what is written reads back"
    );
    let text = r#"{"name": "TorchInitWrapper", "init_func": "kaiming_normal_", "mode": "fan_out"}"#;
    let kaiming = WeightInit::KaimingNormal {
        a: 0.0,
        mode: Fan::FanOut,
        nonlinearity: Nonlinearity::LeakyRelu,
    };
    assert_eq!(read(text)?, kaiming);
    let message = |text: &str| read(text).unwrap_err().to_string();
    for (text, part) in [
        (
            r#"{"name": "TorchInitWrapper", "init_func": "ones_", "val": 1}"#,
            "val",
        ),
        (
            r#"{"name": "TorchInitWrapper", "init_func": "uniform"}"#,
            "uniform_",
        ),
        (r#"{"name": "TorchInitWrapper"}"#, "init_func"),
        (
            r#"{"name": "InitWrapper", "init_func": "ones_"}"#,
            "TorchInitWrapper",
        ),
    ] {
        assert!(message(text).contains(part), "{}", message(text));
    }
    Ok(())
}

#[test]
fn only_a_loss_that_learns_classes_has_weights_to_regularize() {
    let text = r#"{"name": "TripletMarginLoss", "weight_regularizer": {"name": "LpRegularizer"}}"#;
    let message = LossConfig::from_json(text).unwrap_err().to_string();
    assert!(message.contains("weight_regularizer"), "{message}");
}

#[test]
fn every_name_is_known_in_one_role_only() {
    let names = [
        DistanceConfig::NAMES,
        ReducerConfig::NAMES,
        RegularizerKind::NAMES,
        MinerKind::NAMES,
        LossKind::NAMES,
        SamplerConfig::NAMES,
    ]
    .concat();
    assert!(names.iter().all(|name| is_known(name)));
    assert!(!is_known("Nothing"));
    let unique: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn what_the_distance_of_a_loss_learns_is_learned_with_the_loss() -> Result<(), ConfigError> {
    use candle_core::{DType, Device};
    use dml_losses::SeededVars;

    let text = r#"{"name": "ContrastiveLoss", "distance": {"name": "MahalanobisDistance", "embedding_size": 3, "rank": 2}}"#;
    let config = LossConfig::from_json(text)?;
    let vars = SeededVars::new(0);
    let objective = config.build_with(&vars.builder(DType::F64, &Device::Cpu))?;
    let learned = objective.loss().parameters();
    assert_eq!(learned[0].0, "distance.factor");
    let rows = |var: &candle_core::Var| var.to_vec2::<f64>().unwrap();
    assert_eq!(rows(&learned[0].1), [[1., 0., 0.], [0., 1., 0.]]);
    // What is there already is kept, and it is the same variable.
    learned[0]
        .1
        .set(&(learned[0].1.as_tensor() * 2.0).unwrap())
        .unwrap();
    let again = config.build_with(&vars.builder(DType::F64, &Device::Cpu))?;
    assert_eq!(rows(&again.loss().parameters()[0].1)[1], [0., 2., 0.]);
    Ok(())
}

#[test]
fn a_distance_that_learns_is_refused_where_nobody_would_train_it() -> Result<(), ConfigError> {
    let text = r#"{"name": "BatchHardMiner", "distance": {"name": "MahalanobisDistance", "embedding_size": 3}}"#;
    let refused = MinerConfig::from_json(text)?.build().unwrap_err();
    assert!(refused.to_string().contains("it learns"), "{refused}");
    Ok(())
}
