//! Runs a case: builds the component from its configuration, calls it, and compares.

use std::collections::BTreeMap;

use dml::candle_core::Tensor;
use dml::config::{ConfigError, LossConfig};
use serde_json::Value;

use crate::answer::Answer;
use crate::case::Case;
use crate::case_result::CaseResult;
use crate::compare::{Tolerance, compare};
use crate::corrections::{Correction, correction};
use crate::kinds;
use crate::unsupported::Unsupported;
use crate::zero_rows::without_division;

/// Runs one case.
#[must_use]
pub fn run(case: &Case) -> CaseResult {
    if let Some(name) = case
        .config()
        .ok()
        .and_then(|config| unknown_component(&config))
    {
        return CaseResult::Unsupported(format!("no component {name}"));
    }
    match held(case) {
        Ok(()) => CaseResult::Passed,
        Err(error) if error.is::<Unsupported>() => CaseResult::Unsupported(format!("{error:#}")),
        Err(error) => CaseResult::Failed(format!("{error:#}")),
    }
}

/// Holds the component's answer to the one that is right.
fn held(case: &Case) -> anyhow::Result<()> {
    match correction(case)? {
        Some(Correction::Component) => {
            dml::config::from_value::<LossConfig>(case.config()?)?.build()?;
            Ok(())
        }
        Some(Correction::Error(text)) => ensure_refused(case, kinds::answer(case), text),
        Some(Correction::Values(values)) => {
            let mut expected = case.expected();
            expected.extend(values);
            compare_all(case, &kinds::answer(case)?, expected)
        }
        None if case.expects_error() && !case.has_correction() => {
            ensure_refused(case, kinds::answer(case), "")
        }
        None => compare_all(case, &kinds::answer(case)?, case.expected()),
    }
}

/// A call that must fail has to fail with an error of ours, whose message contains `text`.
fn ensure_refused(case: &Case, answer: anyhow::Result<Answer>, text: &str) -> anyhow::Result<()> {
    match answer {
        Err(error) if is_typed(&error) && error.to_string().contains(text) => Ok(()),
        Err(error) if error.is::<Unsupported>() => Err(error),
        Err(error) => Err(error.context("expected an error that names the argument")),
        Ok(_) => anyhow::bail!(
            "expected an error ({})",
            case.meta("error").unwrap_or("no reason given")
        ),
    }
}

/// Whether a component refused its arguments, as opposed to an operation of Candle that failed somewhere below it.
fn is_typed(error: &anyhow::Error) -> bool {
    let own = match error.downcast_ref::<ConfigError>() {
        Some(ConfigError::Component(own)) => Some(own),
        Some(_) => return true,
        None => error.downcast_ref::<dml::Error>(),
    };
    own.is_some_and(|own| !matches!(own, dml::Error::Tensor(_)))
}

fn compare_all(
    case: &Case,
    answer: &Answer,
    expected: BTreeMap<String, Tensor>,
) -> anyhow::Result<()> {
    for (name, want) in expected {
        let Some(got) = answer.get(&name) else {
            anyhow::bail!("{name}: no answer");
        };
        let want = without_division(case, &name, got, want)?;
        compare(&name, got, &want, Tolerance::of(case, &name))?;
    }
    Ok(())
}

/// The first name in a configuration that is no component of the library.
fn unknown_component(config: &Value) -> Option<String> {
    match config {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("name")
                && !dml::config::is_known(name)
                && name != "pipeline"
                && !kinds::is_function(name)
            {
                return Some(name.clone());
            }
            map.values().find_map(unknown_component)
        }
        Value::Array(list) => list.iter().find_map(unknown_component),
        _ => None,
    }
}
