//! Whether the licences of all dependencies are among those of `deny.toml`, which cargo-deny checks with the network.

use std::path::Path;

use super::Finding;

/// Checks `(package, licence expression)`; members of the workspace have the workspace's.
pub(super) fn check<'a>(
    deny: &str,
    packages: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Vec<Finding> {
    let allowed = allowed(deny);
    let refused = packages.filter(|(_, license)| {
        license.is_none_or(|license| !satisfied(license, &|name| allowed.contains(&name)))
    });
    let finding = |(package, license): (&str, Option<&str>)| {
        let license = license.unwrap_or("none");
        let sentence = format!("the licence of {package} is {license}, which is not allowed here.");
        Finding::violation(Path::new("deny.toml"), 1, sentence)
    };
    refused.map(finding).collect()
}

/// The quoted words of `allow = […]` under `[licenses]`.
fn allowed(deny: &str) -> Vec<&str> {
    let section = deny.split("\n[licenses]").nth(1).unwrap_or("");
    let list = section.split("\nallow = [").nth(1).unwrap_or("");
    let list = list.split("\n]").next().unwrap_or("");
    let entries = list.lines().map(|line| line.trim().trim_end_matches(','));
    let quoted = entries.filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.collect()
}

/// Whether one of the alternatives of an SPDX expression is allowed as a whole. `/` is an old way to write `OR`; parentheses
/// stand in one form only, `(A OR B) AND C`.
fn satisfied(license: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let group = license.strip_prefix('(');
    if let Some((first, rest)) = group.and_then(|rest| rest.split_once(')')) {
        let rest = rest.trim().strip_prefix("AND ").unwrap_or(rest);
        return satisfied(first, is_allowed) && (rest.is_empty() || satisfied(rest, is_allowed));
    }
    let alternatives = license.replace('/', " OR ");
    alternatives
        .split(" OR ")
        .any(|all| all.split(" AND ").all(|name| is_allowed(name.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str =
        "[advisories]\n[licenses]\nallow = [\n    \"MIT\",\n    # why\n    \"Zlib\",\n]\n";

    #[test]
    fn an_alternative_must_be_allowed_as_a_whole() {
        assert_eq!(allowed(DENY), ["MIT", "Zlib"]);
        let names = |licenses: &[(&'static str, Option<&'static str>)]| -> Vec<String> {
            let found = check(DENY, licenses.iter().copied());
            found.into_iter().map(|finding| finding.sentence).collect()
        };
        let fine = [
            ("a", Some("MIT OR Apache-2.0")),
            ("b", Some("Unlicense/MIT")),
            ("c", Some("(MIT OR Apache-2.0) AND Zlib")),
            ("d", Some("MIT AND Zlib")),
        ];
        assert!(names(&fine).is_empty());
        let wrong = [
            ("e", Some("Apache-2.0")),
            ("f", Some("MIT AND ISC")),
            ("g", Some("(MIT OR ISC) AND Unicode-3.0")),
            ("h", None),
        ];
        assert_eq!(names(&wrong).len(), wrong.len());
        assert!(names(&wrong)[1].contains("f is MIT AND ISC"));
    }
}
