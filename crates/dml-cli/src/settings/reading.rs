//! From the tree to typed settings, with errors that name the line, what was found and what was meant.

use dml::config::arguments;
use serde::de::DeserializeOwned;

use super::document::{Content, Node};
use super::{Problem, nearest};

/// Reads the part of a tree at a path.
pub(super) fn read<T: DeserializeOwned>(node: &Node, path: &str) -> Result<T, Problem> {
    let error = match parse::<T>(node) {
        Ok(settings) => return Ok(settings),
        Err(error) => error,
    };
    let culprit = culprit::<T>(node, &error);
    let place = culprit.as_deref().and_then(|own| node.get(own));
    let field = match &culprit {
        Some(own) => format!("{path}.{own}"),
        None => path.to_owned(),
    };
    let component = component_of(node, culprit.as_deref());
    let sentence = sentence(from_phrase(&error), component.as_deref());
    let origin = place.unwrap_or(node);
    Err(Problem::of(Some(&origin.origin), &field, sentence))
}

fn parse<T: DeserializeOwned>(node: &Node) -> Result<T, String> {
    serde_json::from_value(node.to_json()).map_err(|error| error.to_string())
}

/// What serde says, without the names of the fields that components put before it.
fn from_phrase(message: &str) -> &str {
    const PHRASES: [&str; 5] = [
        "unknown field",
        "unknown variant",
        "missing field",
        "invalid type: ",
        "invalid value: ",
    ];
    let begins = PHRASES.iter().filter_map(|phrase| message.find(phrase));
    begins.min().map_or(message, |start| &message[start..])
}

/// The path of the value that an error is about: the deepest one without which the error is another or none.
///
/// Messages of serde name an unknown field, and of a wrong value only what it is: a search by leaving values out finds both,
/// at any depth and within components that are read by name.
fn culprit<T: DeserializeOwned>(node: &Node, error: &str) -> Option<String> {
    let own = from_phrase(error);
    // Without its name a component is another error, whatever is wrong with it: a name is looked for by what it says.
    let variant = own.starts_with("unknown variant").then(|| quoted(own));
    let variant = variant.and_then(|quoted| quoted.first().copied());
    let mut path: Option<String> = None;
    loop {
        let within = match &path {
            None => node,
            Some(path) => node.get(path)?,
        };
        let full = |name: &str| match &path {
            None => name.to_owned(),
            Some(path) => format!("{path}.{name}"),
        };
        let may_be = |name: &str| match variant {
            Some(variant) => within.get(name).is_some_and(|own| holds(own, variant)),
            None => true,
        };
        let changes = |name: &str| match parse::<T>(&node.without(&full(name))) {
            Ok(_) => true,
            // Without its name a component is always another error.
            Err(other) => other != error && (name != "name" || variant.is_some()),
        };
        let names = within.names();
        let found = names.iter().find(|name| may_be(name) && changes(name));
        match found {
            Some(name) => path = Some(full(name)),
            None => return path,
        }
    }
}

/// Whether a value is this text, or has a part that is.
fn holds(node: &Node, text: &str) -> bool {
    match &node.content {
        Content::Leaf(value) => value.as_str() == Some(text),
        Content::Table(_) | Content::List(_) => {
            let names = node.names();
            names
                .iter()
                .any(|name| node.get(name).is_some_and(|own| holds(own, text)))
        }
    }
}

/// The name of the component that a value is an argument of.
fn component_of(node: &Node, culprit: Option<&str>) -> Option<String> {
    let parent = match culprit.and_then(|own| own.rsplit_once('.')) {
        Some((parent, _)) => node.get(parent)?,
        None => node,
    };
    match &parent.get("name")?.content {
        Content::Leaf(name) => name.as_str().map(str::to_owned),
        _ => None,
    }
}

/// What serde says, in the words of a user.
fn sentence(message: &str, component: Option<&str>) -> String {
    let quoted = quoted(message);
    let (first, rest) = quoted.split_first().map_or(("", &[][..]), |(a, b)| (*a, b));
    let mut names: Vec<String> = rest.iter().map(|name| (*name).to_owned()).collect();
    if message.starts_with("unknown field") {
        // A component's message has its own arguments, and not its collaborators.
        let all = component.and_then(arguments).into_iter().flatten();
        names.extend(all.map(|own| own.name));
        names.retain(|name| name != "name");
    }
    names.sort_unstable();
    names.dedup();
    let meant = nearest(first, names.iter().map(String::as_str));
    let meant = meant.map_or(String::new(), |own| format!("did you mean {own}?"));
    let and = |mark: &str| match meant.is_empty() {
        true => String::new(),
        false => format!("{mark} {meant}"),
    };
    if message.starts_with("unknown field") {
        let whose = component.map_or("there is".to_owned(), |own| format!("{own} has"));
        let listed = match names.is_empty() {
            true => "it has none".to_owned(),
            false => format!("known: {}", names.join(", ")),
        };
        return format!("{whose} no field {first}{}; {listed}", and(":"));
    }
    if message.starts_with("unknown variant") {
        let names = names.join(", ");
        return format!("expected one of {names}, got {first}{}", and(";"));
    }
    if message.starts_with("missing field") {
        let whose = component.map_or(String::new(), |own| format!(" of {own}"));
        return match first {
            "name" => "expected the name of a component".to_owned(),
            field => format!("expected the field {field}{whose}, which has no default"),
        };
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = message.strip_prefix(kind)
            && let Some((got, expected)) = rest.rsplit_once(", expected ")
        {
            return format!("expected {}, got {}", in_words(expected), of_value(got));
        }
    }
    message.to_owned()
}

/// What stands in backquotes.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// A type of Rust in words.
fn in_words(expected: &str) -> String {
    match expected {
        "f64" | "f32" => "a number",
        "usize" | "u64" | "u32" | "u8" => "a whole number of at least 0",
        "i64" | "i32" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "path string" => "a path in quotes",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum") => {
            "a table"
        }
        other => return other.to_owned(),
    }
    .to_owned()
}

/// A value in serde's words, in ours.
fn of_value(got: &str) -> String {
    let bare = got.replace('`', "");
    for kind in ["string ", "integer ", "floating point ", "boolean "] {
        if let Some(rest) = bare.strip_prefix(kind) {
            return rest.to_owned();
        }
    }
    match bare.as_str() {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" => "nothing".to_owned(),
        _ => bare,
    }
}
