//! A running example for every public type of the crates that a user writes against.

use std::path::Path;

use super::Finding;

/// The trait core, evaluation, the losses and the trainers.
const CRATES: &[&str] = &[
    "crates/dml-core/src",
    "crates/dml-eval/src",
    "crates/dml-losses/src",
    "crates/dml-train/src",
];
/// Folders whose types no user names: they are private, or hidden from the documentation.
const INTERNAL: &[&str] = &["machinery", "autograd", "kernels"];

/// Finds public structs and traits without a code block that runs. A configuration's example is its component's; an item
/// hidden from the documentation needs none.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let is_internal = path
        .iter()
        .any(|part| INTERNAL.iter().any(|name| part == *name));
    if is_internal || !CRATES.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Whether the item that the attributes and comments so far belong to has an example, or is hidden.
    let (mut has_example, mut is_hidden) = (false, false);
    for (line, content) in (1..).zip(text.lines()) {
        // Items that a macro declares are indented once.
        let starts = ["///", "#[", "pub struct ", "pub trait "];
        let inner = content.strip_prefix("    ");
        let inner = inner.filter(|inner| starts.iter().any(|start| inner.starts_with(start)));
        let content = inner.unwrap_or(content);
        if let Some(comment) = content.strip_prefix("///") {
            has_example |= matches!(comment.trim(), "```" | "```no_run" | "```rust");
        } else if let Some(name) = declared(content) {
            let is_exempt = is_hidden || name.ends_with("Config") || name.ends_with("Error");
            if !has_example && !is_exempt {
                let sentence = format!("{name} has no example that runs.");
                found.push(Finding::violation(path, line, sentence));
            }
        }
        let is_attribute = content.starts_with("#[") || content.starts_with([' ', ')', ']']);
        let continues = content.starts_with("///") || is_attribute;
        has_example &= continues;
        is_hidden = continues && (is_hidden || content == "#[doc(hidden)]");
    }
    found
}

/// The name of a public type that a line declares.
fn declared(line: &str) -> Option<&str> {
    let kinds = ["pub struct ", "pub trait "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_an_example_is_found() {
        let text = "/// A.\n///\n/// ```\n/// let a = 1;\n/// ```\n#[derive(\n    Debug\n)]\npub struct A;\n/// B.\npub trait B {}\n\
                    /// C.\n/// ```text\n/// c\n/// ```\npub struct C<T> {}\n/// D.\npub struct DConfig {}\npub(crate) struct E;\n\
                    /// F.\n#[doc(hidden)]\n#[derive(Debug)]\npub struct F {\n    f: u8,\n}\n/// G.\npub struct G;\n\
                    declared! {\n    /// H.\n    pub struct H;\n}\n";
        let lines = |path: &str| -> Vec<usize> {
            let found = check(Path::new(path), text);
            found.iter().map(|finding| finding.line).collect()
        };
        assert_eq!(lines("crates/dml-core/src/a.rs"), [11, 27, 30]);
        assert!(lines("crates/dml-core/src/autograd/a.rs").is_empty());
        assert!(lines("crates/dml-data/src/a.rs").is_empty());
    }
}
