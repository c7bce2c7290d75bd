//! Every component by name, with arguments that nobody means.

use dml::config::LossConfig;

#[test]
fn an_argument_of_another_type_is_an_error_that_names_it() {
    let text = r#"{"name": "TripletMarginLoss", "margin": [1]}"#;
    let error = LossConfig::from_json(text).unwrap_err().to_string();
    assert!(
        error.contains("margin") || error.contains("sequence"),
        "{error}"
    );
}
