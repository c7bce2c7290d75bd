//! The settings of every `Cargo.toml`, line by line.

use std::path::Path;

use super::Finding;

/// Checks a manifest: lints and dependencies come from the workspace, and only benches are benched.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = switched_off(path, text);
    if path.starts_with("fuzz") {
        // A workspace of its own, of cargo-fuzz.
        return found;
    }
    found.extend(benched(path, text));
    let mut has_lints = false;
    for (line, section, content) in settings(text) {
        let mut add = |sentence| found.push(Finding::violation(path, line, sentence));
        if content.starts_with('[') {
            if let Some((_, name)) = dependency_table(section) {
                add(format!(
                    "write {name} as one line, `{name}.workspace = true`."
                ));
            }
            continue;
        }
        has_lints |= section == "lints" && content == "workspace = true";
        let inherits = content.contains("workspace = true");
        if is_dependencies(section) && section != "workspace.dependencies" && !inherits {
            let name = content.split(['=', '.', ' ']).next().unwrap_or(content);
            add(format!(
                "{name}: its version belongs in the workspace's manifest, and here `workspace = true`."
            ));
        }
    }
    if !has_lints && text.contains("[package]") {
        let sentence = "no lints: add `[lints]` with `workspace = true`.";
        found.push(Finding::violation(path, 1, sentence));
    }
    found
}

/// Libraries and programs that `cargo bench` would run beside the benches. Their test harness refuses criterion's arguments.
fn benched(path: &Path, text: &str) -> Vec<Finding> {
    // The line of each header, the section, and whether it switches benches off.
    let mut sections: Vec<(usize, &str, bool)> = Vec::new();
    for (line, section, content) in settings(text) {
        if content.starts_with('[') {
            sections.push((line, section, false));
        } else if let Some((_, _, is_off)) = sections.last_mut() {
            *is_off |= content == "bench = false";
        }
    }
    let has = |name| sections.iter().any(|section| section.1 == name);
    let mut found = Vec::new();
    for (line, name, is_off) in &sections {
        if matches!(*name, "lib" | "bin") && !is_off {
            let sentence = format!("{name}: add `bench = false`.");
            found.push(Finding::violation(path, *line, sentence));
        }
    }
    if has("package") && !has("lib") && !has("bin") {
        let sentence = "no `[lib]` with `bench = false`.";
        found.push(Finding::violation(path, 1, sentence));
    }
    found
}

/// Tests run in the profile `dev`, whose debug assertions and overflow checks are on unless somebody turns them off; a fuzz
/// target has to turn them on.
fn switched_off(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, section, content) in settings(text) {
        let tested = section.starts_with("profile.dev") || section.starts_with("profile.test");
        let setting = content.split_once('=');
        let setting = setting.map(|(key, value)| (key.trim(), value.trim()));
        if let Some((key @ ("debug-assertions" | "overflow-checks"), "false")) = setting
            && (tested || path.starts_with("fuzz"))
        {
            let sentence = format!("{key}: tests run with them, those of the kernels above all.");
            found.push(Finding::violation(path, line, sentence));
        }
    }
    found
}

/// Every line that is neither empty nor a comment: its number, its section, and what it says. A header is part of the section
/// that it begins.
fn settings(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, content)| !content.is_empty() && !content.starts_with('#'));
    lines.map(move |(line, content)| {
        if content.starts_with('[') {
            section = content.trim_matches(['[', ']']);
        }
        (line, section, content)
    })
}

fn is_dependencies(section: &str) -> bool {
    section == "dependencies"
        || section.ends_with("-dependencies")
        || section.ends_with(".dependencies")
}

/// `dependencies.name` and its like.
fn dependency_table(section: &str) -> Option<(&str, &str)> {
    section
        .rsplit_once('.')
        .filter(|(table, _)| is_dependencies(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, String)> {
        let found = check(Path::new("Cargo.toml"), text);
        found
            .into_iter()
            .map(|finding| (finding.line, finding.sentence))
            .collect()
    }

    #[test]
    fn inherited_lints_and_versions_are_right() {
        let text = "[package]\nname = \"a\"\n\n[lib]\nbench = false\n\n[lints]\nworkspace = true\n\n[dependencies]\n# why\nrand.workspace = true\n\
                    serde = { workspace = true, optional = true }\n[target.'cfg(unix)'.dependencies]\nlibc.workspace = true\n";
        assert!(lines(text).is_empty());
        assert!(lines("[workspace.dependencies]\nrand = \"0.9\"\n").is_empty());
    }

    #[test]
    fn versions_of_ones_own_are_not() {
        let text = "[package]\n[lib]\nbench = false\n[lints]\nworkspace = true\n[dev-dependencies]\nrand = \"0.9\"\n[dependencies.tar]\nversion = \"1\"\n";
        let found = lines(text);
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [7, 8]
        );
        assert!(found[0].1.starts_with("rand:"));
        assert!(found[1].1.contains("tar.workspace = true"));
    }

    #[test]
    fn tests_keep_their_assertions_and_overflow_checks() {
        let text = "[profile.dev]\nopt-level = 1\noverflow-checks = false\n[profile.release]\ndebug-assertions = false\n\
                    [profile.test.package.dml-kernels]\ndebug-assertions = false\n";
        let found = lines(text);
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [3, 7]
        );
        assert!(found[0].1.starts_with("overflow-checks:"));
    }

    #[test]
    fn lints_must_be_inherited() {
        assert_eq!(lines("[package]\n[lib]\nbench = false\n").len(), 1);
        assert_eq!(
            lines("[package]\n[lib]\nbench = false\n[lints.rust]\nunsafe_code = \"warn\"\n").len(),
            1
        );
    }

    #[test]
    fn only_benches_are_benched() {
        let text =
            "[package]\n[lib]\nbench = false\n[[bin]]\nname = \"a\"\n[lints]\nworkspace = true\n";
        let found = lines(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], (4, "bin: add `bench = false`.".to_owned()));
        assert_eq!(lines("[package]\n[lints]\nworkspace = true\n").len(), 1);
    }
}
