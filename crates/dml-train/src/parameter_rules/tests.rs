use candle_core::{DType, Device};

use super::*;
use dml_core::Error;

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    model: String,
    /// Name, shape, rate factor, weight decay.
    parameters: Vec<(String, Vec<usize>, f64, f64)>,
}

fn var(name: &str, shape: &[usize]) -> (String, Var) {
    // A rule reads the number of dimensions alone.
    let ones = vec![1; shape.len()];
    let var = Var::zeros(ones, DType::F32, &Device::Cpu).unwrap();
    (name.to_owned(), var)
}

fn resnet() -> Vec<(String, Var)> {
    [
        ("conv1.weight", 4),
        ("bn1.weight", 1),
        ("layer1.0.conv1.weight", 4),
        ("layer1.0.bn1.bias", 1),
        ("layer2.0.conv1.weight", 4),
        ("fc.weight", 2),
        ("fc.bias", 1),
    ]
    .map(|(name, rank)| var(name, &vec![1; rank]))
    .into()
}

fn plan(config: ParameterRulesConfig, parameters: &[(String, Var)]) -> Result<ParameterPlan> {
    ParameterRules::new(config)?.plan(parameters)
}

#[test]
fn factors_and_decays_are_those_of_timm() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/layer_decay.json"))?;
    assert_eq!(golden.cases.len(), 4);
    let config = ParameterRulesConfig {
        no_weight_decay_1d: true,
        layer_decay: 0.75,
        ..Default::default()
    };
    for case in golden.cases {
        let parameters = case.parameters.iter();
        let parameters: Vec<_> = parameters
            .map(|(name, shape, ..)| var(name, shape))
            .collect();
        let plan = plan(config.clone(), &parameters)?;
        for (own, (name, _, factor, decay)) in plan.parameters().iter().zip(&case.parameters) {
            let setting = own.setting;
            let what = format!("{} {name}: {setting:?}, expected {factor}", case.model);
            assert!((setting.rate_factor - factor).abs() < 1e-12, "{what}");
            assert_eq!(setting.weight_decay.unwrap_or(0.05), *decay, "{what}");
        }
    }
    Ok(())
}

#[test]
fn the_first_rule_that_matches_holds() -> Result<()> {
    let config = ParameterRulesConfig {
        rules: vec![
            ParameterRule {
                rate_factor: 10.0,
                weight_decay: Some(0.3),
                ..ParameterRule::new("fc.*")
            },
            ParameterRule {
                learns: Learns::Never,
                ..ParameterRule::new("*.bias")
            },
        ],
        no_weight_decay_1d: true,
        layer_decay: 0.5,
        layers_above: 1,
        freeze_below: 2,
        unfreeze_at: Some(4),
    };
    let plan = plan(config, &resnet())?;
    let settings: Vec<_> = plan
        .parameters()
        .iter()
        .map(|own| {
            let setting = own.setting;
            (
                own.depth,
                setting.rate_factor,
                setting.weight_decay,
                setting.learns,
            )
        })
        .collect();
    let from = Learns::FromEpoch(4);
    assert_eq!(
        settings,
        [
            (0, 0.0625, None, from),
            (0, 0.0625, Some(0.0), from),
            (1, 0.125, None, from),
            // Its rule says that it never learns.
            (1, 0.125, Some(0.0), Learns::Never),
            (2, 0.25, None, Learns::Always),
            (3, 5.0, Some(0.3), Learns::Always),
            (3, 5.0, Some(0.3), Learns::Always),
        ]
    );
    let groups: Vec<_> = plan.groups().iter().map(|(_, own)| own.clone()).collect();
    assert_eq!(
        groups,
        [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5, 6]]
    );
    let report = plan.to_string();
    assert!(
        report.starts_with(
            "group 0: rate × 0.0625, weight decay of the optimiser, learns from epoch 4\n  conv1"
        ),
        "{report}"
    );
    assert_eq!(report.lines().count(), 6 + 7);
    Ok(())
}

#[test]
fn what_selects_nothing_is_refused() {
    let config = |pattern: &str| ParameterRulesConfig {
        rules: vec![ParameterRule::new(pattern)],
        ..Default::default()
    };
    assert!(plan(config("layer?.*"), &resnet()).is_ok());
    let error = plan(config("layers?.*.bias"), &resnet()).unwrap_err();
    let Error::NoMatch { pattern, closest } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (pattern.as_str(), closest[0].as_str()),
        ("layers?.*.bias", "layer1.0.bn1.bias")
    );
    let head = [var("weight", &[2, 2])];
    for config in [
        ParameterRulesConfig {
            layer_decay: 0.9,
            ..Default::default()
        },
        ParameterRulesConfig {
            freeze_below: 1,
            ..Default::default()
        },
    ] {
        let error = plan(config, &head).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    assert!(plan(ParameterRulesConfig::default(), &[]).is_ok());
}

#[test]
fn numbers_out_of_range_are_refused() {
    for layer_decay in [0.0, 1.1, f64::NAN] {
        let config = ParameterRulesConfig {
            layer_decay,
            ..Default::default()
        };
        assert!(ParameterRules::new(config).is_err(), "{layer_decay}");
    }
    for rate_factor in [-0.1, f64::INFINITY] {
        let rule = ParameterRule {
            rate_factor,
            ..ParameterRule::new("*")
        };
        let config = ParameterRulesConfig {
            rules: vec![rule],
            ..Default::default()
        };
        assert!(ParameterRules::new(config).is_err(), "{rate_factor}");
    }
}

#[test]
fn rules_are_read_from_a_file() -> std::result::Result<(), serde_json::Error> {
    let text =
        r#"{"rules": [{"pattern": "stem.*", "learns": {"FromEpoch": 3}}], "layer_decay": 0.8}"#;
    let config: ParameterRulesConfig = serde_json::from_str(text)?;
    assert_eq!(config.rules[0].learns, Learns::FromEpoch(3));
    assert_eq!(
        (config.rules[0].rate_factor, config.layer_decay),
        (1.0, 0.8)
    );
    Ok(())
}
