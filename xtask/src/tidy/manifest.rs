//! What every `Cargo.toml` says, line by line.

use std::path::Path;

use super::Finding;

/// Checks a manifest: lints and dependencies come from the workspace.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = switched_off(path, text);
    if path.starts_with("fuzz") {
        // A workspace of its own, of cargo-fuzz.
        return found;
    }
    let (mut section, mut has_lints) = ("", false);
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.starts_with('[') {
            section = content.trim_matches(['[', ']']);
            if let Some((_, name)) = dependency_table(section) {
                found.push(Finding::violation(
                    path,
                    line,
                    format!("write {name} as one line, `{name}.workspace = true`."),
                ));
            }
            continue;
        }
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if section == "lints" && content == "workspace = true" {
            has_lints = true;
        }
        let inherits =
            content.contains(".workspace = true") || content.contains("workspace = true");
        if is_dependencies(section) && section != "workspace.dependencies" && !inherits {
            let name = content.split(['=', '.', ' ']).next().unwrap_or(content);
            found.push(Finding::violation(
                path,
                line,
                format!("{name}: its version belongs in the workspace's manifest, and here `workspace = true`."),
            ));
        }
    }
    if !has_lints && text.contains("[package]") {
        let sentence = "no lints: add `[lints]` with `workspace = true`.";
        found.push(Finding::violation(path, 1, sentence));
    }
    found
}

/// Tests run in the profile `dev`, whose debug assertions and overflow checks are on unless somebody turns them off; a fuzz
/// target has to turn them on.
fn switched_off(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut section = "";
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.starts_with('[') {
            section = content.trim_matches(['[', ']']);
        }
        let tested = section.starts_with("profile.dev") || section.starts_with("profile.test");
        let setting = content
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()));
        if let Some((key @ ("debug-assertions" | "overflow-checks"), "false")) = setting
            && (tested || path.starts_with("fuzz"))
        {
            let sentence = format!("{key}: tests run with them, those of the kernels above all.");
            found.push(Finding::violation(path, line, sentence));
        }
    }
    found
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
        let text = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n# why\nrand.workspace = true\n\
                    serde = { workspace = true, optional = true }\n[target.'cfg(unix)'.dependencies]\nlibc.workspace = true\n";
        assert!(lines(text).is_empty());
        assert!(lines("[workspace.dependencies]\nrand = \"0.9\"\n").is_empty());
    }

    #[test]
    fn versions_of_ones_own_are_not() {
        let text = "[package]\n[lints]\nworkspace = true\n[dev-dependencies]\nrand = \"0.9\"\n[dependencies.tar]\nversion = \"1\"\n";
        let found = lines(text);
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [5, 6]
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
        assert_eq!(lines("[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(
            lines("[package]\n[lints.rust]\nunsafe_code = \"warn\"\n").len(),
            1
        );
    }
}
