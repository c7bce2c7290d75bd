//! Runs a case: builds the component from its configuration, calls it, and compares.

use std::fmt;

use dml::config::ConfigError;
use serde_json::Value;

use crate::answer::Answer;
use crate::compare::{Tolerance, compare};
use crate::zero_rows::without_division;
use crate::{Case, CaseResult, deviations, kinds};

/// What the case asks for does not exist.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

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
    match (kinds::answer(case), case.expects_error()) {
        (Err(error), _) if error.is::<Unsupported>() => {
            CaseResult::Unsupported(format!("{error:#}"))
        }
        (answer, false) => judge_answer(case, answer),
        (answer, true) => judge_refusal(case, answer),
    }
}

fn judge_answer(case: &Case, answer: anyhow::Result<Answer>) -> CaseResult {
    let deviation = deviations::reason(case);
    match answer {
        Ok(answer) => match compare_all(case, &answer) {
            Ok(()) => CaseResult::Passed,
            Err(_) if deviation.is_some() && answer.is_finite() => CaseResult::Passed,
            Err(why) => CaseResult::Failed(why),
        },
        Err(error) if deviation.is_some() && is_typed(&error) => CaseResult::Passed,
        Err(error) => CaseResult::Failed(format!("{error:#}")),
    }
}

/// A call that must fail has to fail with an error of ours; a corrected case has to give the corrected answer.
fn judge_refusal(case: &Case, answer: anyhow::Result<Answer>) -> CaseResult {
    match answer {
        Err(error) if deviations::is_built(case) && is_typed(&error) => {
            CaseResult::Failed(format!("listed as built, and refused: {error:#}"))
        }
        Err(_) if deviations::is_built(case) => CaseResult::Passed,
        Err(error) if !is_typed(&error) => CaseResult::Failed(format!("{error:#}")),
        Err(_) if !case.has_correction() => CaseResult::Passed,
        Err(error) => CaseResult::Failed(format!("expected the corrected answer, got: {error:#}")),
        Ok(answer) if case.has_correction() => match compare_all(case, &answer) {
            Ok(()) => CaseResult::Passed,
            Err(why) => CaseResult::Failed(why),
        },
        Ok(answer) if deviations::reason(case).is_some() && answer.is_finite() => {
            CaseResult::Passed
        }
        Ok(_) => CaseResult::Failed(format!(
            "expected an error ({})",
            case.meta("error").unwrap_or("no reason given")
        )),
    }
}

fn is_typed(error: &anyhow::Error) -> bool {
    error.is::<dml::Error>() || error.is::<ConfigError>() || error.is::<dml::candle_core::Error>()
}

fn compare_all(case: &Case, answer: &Answer) -> Result<(), String> {
    for (name, want) in case.expected() {
        let got = answer
            .get(&name)
            .ok_or_else(|| format!("{name}: no answer"))?;
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
