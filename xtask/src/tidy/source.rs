//! What every source file looks like.

use std::path::Path;

use super::Finding;

/// Module names that say nothing of what is in them.
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];
/// Lines from which on a file is worth cutting.
const LONG: usize = 500;

/// Code that must not stay, and why. Written in pieces, so that this file does not find itself.
const LEFTOVERS: &[(&str, &str)] = &[
    (
        concat!("#[", "ignore"),
        "a test that does not run proves nothing.",
    ),
    (concat!("todo", "!("), "finish it."),
    (
        concat!("unimplemented", "!("),
        "finish it, or return a typed error.",
    ),
];
/// Folders of one machine.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wor", "k/"),
    concat!("/roo", "t/"),
    concat!("/tm", "p/"),
];

/// Checks a file of Rust, Markdown or TOML.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let mut found = Vec::new();
    if is_rust {
        found.extend(check_name(path));
        found.extend(check_module(path, text));
    }
    for (line, content) in (1..).zip(text.lines()) {
        let has = |word: &str| content.contains(word);
        let leftovers = LEFTOVERS.iter().filter(|(word, _)| is_rust && has(word));
        let leftovers = leftovers.map(|(word, why)| format!("`{word}`: {why}"));
        let folders = MACHINE_PATHS.iter().filter(|folder| has(folder));
        let folders = folders.map(|folder| format!("`{folder}` is a folder of one machine."));
        let sentences = leftovers.chain(folders);
        found.extend(sentences.map(|sentence| Finding::violation(path, line, sentence)));
    }
    found
}

fn check_name(path: &Path) -> Option<Finding> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let folders = folders.map(|part: std::path::Component<'_>| part.as_os_str());
    let mut names = folders.chain(path.file_stem());
    let name = names.find(|name| NAMELESS.iter().any(|nameless| name == nameless))?;
    Some(nameless(path, 1, &name.to_string_lossy()))
}

fn nameless(path: &Path, line: usize, name: &str) -> Finding {
    let sentence = format!("`{name}` names no concept: call it after what is in it.");
    Finding::violation(path, line, sentence)
}

fn check_module(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let first = text.trim_start();
    let is_documented = first.starts_with("//!") || first.starts_with("#![doc");
    // The tests of a module are described by their names; the lines before each example of a crate are part of a function.
    let needs_none = path.file_stem().is_none_or(|stem| stem == "tests")
        || path.iter().any(|part| part == "doctests" || part == "doc");
    if !is_documented && !needs_none {
        let sentence = "a module opens with `//!` and what it is.";
        found.push(Finding::violation(path, 1, sentence));
    }
    for (line, content) in (1..).zip(text.lines()) {
        let declared = content.trim_start().trim_start_matches("pub ");
        let declared = declared
            .trim_start_matches("pub(crate) ")
            .strip_prefix("mod ");
        let name = declared.map(|name| name.trim_end_matches([' ', ';', '{']));
        let name = name.filter(|name| NAMELESS.contains(name));
        found.extend(name.map(|name| nameless(path, line, name)));
    }
    let lines = text.lines().count();
    if lines > LONG {
        let sentence = format!("{lines} lines: more than {LONG} are hard to read in one go.");
        found.push(Finding::advice(path, lines, sentence));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let found = check(Path::new(path), text);
        found.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn modules_open_with_their_description() {
        assert!(lines("a/src/x.rs", "//! What it is.\nfn f() {}\n").is_empty());
        assert!(lines("a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n").is_empty());
        assert!(lines("a/src/x/tests.rs", "use super::*;\n").is_empty());
        assert_eq!(lines("a/src/x.rs", "\nuse std::fmt;\n"), [1]);
    }

    #[test]
    fn names_say_what_is_inside() {
        for path in [
            "a/src/utils.rs",
            "a/src/helpers/mod.rs",
            "crates/common/src/lib.rs",
        ] {
            assert_eq!(lines(path, "//! x\n"), [1], "{path}");
        }
        assert_eq!(
            lines("a/src/lib.rs", "//! x\npub mod misc;\nmod util {\n"),
            [2, 3]
        );
        assert!(lines("a/src/lib.rs", "//! x\npub mod miscible;\n").is_empty());
    }

    #[test]
    fn leftovers_are_found_even_in_tests() {
        for (leftover, _) in LEFTOVERS {
            let text = format!("//! x\n#[cfg(test)]\n    {leftover}\n");
            assert_eq!(lines("a/src/x.rs", &text), [3], "{leftover}");
        }
    }

    #[test]
    fn machine_paths_are_found_everywhere() {
        for folder in MACHINE_PATHS {
            let text = format!(
                "//! x\nconst A: &str = \"{folder}a\";\n#[cfg(test)]\nmod tests;\nconst B: &str = \"{folder}b\";\n"
            );
            for path in ["a/src/x.rs", "a/tests/it/main.rs"] {
                assert_eq!(lines(path, &text), [2, 5]);
            }
            assert_eq!(lines("README.md", &format!("cd {folder}x\n")), [1]);
        }
    }

    #[test]
    fn a_long_file_is_mentioned_and_no_violation() {
        let text = format!("//! x\n{}", "\n".repeat(LONG));
        let found = check(Path::new("a/src/x.rs"), &text);
        assert!(found.len() == 1 && found[0].is_advice);
    }
}
