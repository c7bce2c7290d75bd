//! Settings as TOML: everything resolved, or a commented beginning.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    BackboneSettings, DataSettings, EvaluateSettings, FIELDS, HeadSettings, SECTIONS,
    SearchSettings, Settings, TrainSettings,
};

impl Settings {
    /// The configuration with all fields, as a file that gives the same settings. `comments` adds what each field is.
    #[must_use]
    pub fn to_toml(&self, comments: bool) -> String {
        let mut text = String::new();
        for (section, about) in SECTIONS {
            let fields = self.fields_of(section);
            if fields.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            if comments {
                line(&mut text, &format!("# {about}"));
            }
            line(&mut text, &format!("[{section}]"));
            for (name, value) in ordered(section, &fields) {
                let Some(shown) = inline(value) else {
                    continue;
                };
                let help = super::help(&format!("{section}.{name}")).filter(|_| comments);
                match help {
                    Some(help) => line(&mut text, &format!("{} = {shown}  # {help}", key(name))),
                    None => line(&mut text, &format!("{} = {shown}", key(name))),
                }
            }
        }
        text
    }

    /// The fields of a section in the order of the documentation, for tables and comparisons.
    #[must_use]
    pub fn ordered_fields_of(&self, section: &str) -> Vec<(String, Value)> {
        let fields = self.fields_of(section);
        let own = |(name, value): (&str, &Value)| (name.to_owned(), value.clone());
        ordered(section, &fields).into_iter().map(own).collect()
    }

    /// The fields of a section as data.
    #[must_use]
    pub fn fields_of(&self, section: &str) -> Map<String, Value> {
        match section {
            "data" => fields(&self.data),
            "backbone" => fields(&self.backbone),
            "head" => fields(&self.head),
            "loss" => self.loss.clone(),
            "miner" => fields(&self.miner),
            "sampler" => self.sampler.clone(),
            "optimizer" => fields(&self.optimizer),
            "schedule" => fields(&self.schedule),
            "train" => fields(&self.train),
            "evaluate" => fields(&self.evaluate),
            "search" => fields(&self.search),
            _ => Map::new(),
        }
    }
}

fn fields(section: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(section) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The default of a field; `None` for the arguments of components.
pub(super) fn default_of(section: &str, name: &str) -> Option<Value> {
    let mut fields = match section {
        "data" => fields(&DataSettings::default()),
        "backbone" => fields(&BackboneSettings::default()),
        "head" => fields(&HeadSettings::default()),
        "train" => fields(&TrainSettings::default()),
        "evaluate" => fields(&EvaluateSettings::default()),
        "search" => fields(&SearchSettings::default()),
        _ => Map::new(),
    };
    fields.remove(name)
}

/// Fields in the order of the documentation; of a component, its name and then its arguments.
fn ordered<'a>(section: &str, fields: &'a Map<String, Value>) -> Vec<(&'a str, &'a Value)> {
    let place = |name: &str| {
        let path = format!("{section}.{name}");
        FIELDS.iter().position(|own| own.path == path)
    };
    let mut ordered: Vec<(&str, &Value)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    ordered.sort_by_key(|(name, _)| match *name {
        "name" => (0, 0),
        name => (1, place(name).unwrap_or(usize::MAX)),
    });
    ordered
}

/// A value on one line; `None` for nothing.
pub(super) fn inline(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name != "name");
            let parts = fields
                .iter()
                .filter_map(|(name, value)| Some(format!("{} = {}", key(name), inline(value)?)));
            let parts: Vec<String> = parts.collect();
            match parts.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", parts.join(", ")),
            }
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(real)) if real != 0.0 && real.abs() < 1e-4 => format!("{real:e}"),
            (None, Some(real)) => toml::Value::from(real).to_string(),
            (None, None) => number.to_string(),
        },
    })
}

/// A key, in quotes where it needs them.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => toml::Value::from(name).to_string(),
    }
}

fn line(text: &mut String, content: &str) {
    // A string takes whatever is written to it.
    let _ = writeln!(text, "{content}");
}
