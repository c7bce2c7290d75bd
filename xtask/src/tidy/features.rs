//! One set of features for all packages, so that no dependency is compiled twice.
//!
//! Cargo compiles a package once for each set of features that a build turns on in it, and so everything that depends on it.
//! Compared are `cargo xtask mnist`, which is most people's first build, the other programs, `cargo build` of the default
//! members, and the benches of each crate.

use std::collections::{BTreeMap, BTreeSet};

use xshell::{Shell, cmd};

use super::Finding;
use crate::metadata::Metadata;

/// The package that all others are compared with.
const FIRST: &str = "dml-mnist";
/// The packages that are built on their own: xtask has no procedural macros, the kernels no tensors; the command, the service and
/// the exchange of collections are no default members, because tables, archives and HTTP would delay every other build.
const APART: &[&str] = &[
    "xtask",
    "dml-kernels",
    "dml-cli",
    "dml-exchange",
    "dml-serve",
];

/// The features that a build turns on, by package and version. A package that runs at build time and in the program has
/// two sets.
type TurnedOn = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(sh: &Shell, metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let first = turned_on(sh, &["-p", FIRST, "-e", "normal,build"])?;
    let members = metadata.members();
    let names: Vec<&str> = members.clone().map(|package| &*package.name).collect();
    let mut found = Vec::new();
    let whole = turned_on(sh, &["-e", "normal,build"])?;
    found.extend(differences("cargo build", &whole, &first, &[]));
    let images = "-p dml-examples --features images -e normal,build,dev";
    let images = turned_on(sh, &images.split(' ').collect::<Vec<_>>())?;
    found.extend(differences("image_folder", &images, &first, &names));
    for package in members.filter(|package| !APART.contains(&package.name.as_str())) {
        let name = package.name.as_str();
        let has = |kind| package.targets.iter().any(|target| target == kind);
        // Of our own crates, one that is benched alone has no feature that it does not need.
        let except: &[&str] = if package.is_published { &names } else { &[] };
        let edges = match () {
            () if has("bench") || has("example") => "normal,build,dev",
            () if has("bin") => "normal,build",
            () => continue,
        };
        let build = turned_on(sh, &["-p", name, "-e", edges])?;
        found.extend(differences(name, &build, &first, except));
    }
    let finding = |sentence| Finding::violation("Cargo.toml", 1, sentence);
    Ok(found.into_iter().map(finding).collect())
}

/// What `cargo tree` says of a build.
fn turned_on(sh: &Shell, args: &[&str]) -> anyhow::Result<TurnedOn> {
    let format = "{p}|{f}";
    let tree = cmd!(
        sh,
        "cargo tree {args...} --prefix none --no-dedupe -f {format}"
    )
    .quiet();
    Ok(parsed(&tree.read()?))
}

/// Lines such as `serde v1.0.0 (proc-macro)|default,derive`.
fn parsed(tree: &str) -> TurnedOn {
    let mut all = TurnedOn::new();
    for line in tree.lines() {
        if let Some((package, features)) = line.split_once('|') {
            let package: Vec<&str> = package.split(' ').take(2).collect();
            let features = features.trim_end_matches(" (*)").to_owned();
            all.entry(package.join(" ")).or_default().insert(features);
        }
    }
    all
}

/// The packages that both builds have, and that the second build compiles again.
fn differences(name: &str, build: &TurnedOn, first: &TurnedOn, except: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (package, own) in build {
        let is_excepted = except
            .iter()
            .any(|name| package.split(' ').next() == Some(name));
        let Some(theirs) = first.get(package).filter(|_| !is_excepted) else {
            continue;
        };
        // One of the two may be without the build-time set, or without the program's.
        if !own.is_subset(theirs) && !theirs.is_subset(own) {
            found.push(format!(
                "{name} compiles {package} again, with the features {own:?} instead of {theirs:?}: turn them on in \
                 [workspace.dependencies] or in dml-features."
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_other_features_is_compiled_again() {
        let first =
            parsed("a v1.0.0|std\nb v2.0.0 (proc-macro)|default,full\nc v1.0.0|\nc v1.0.0|std (*)");
        let same = parsed("a v1.0.0|std (*)\nc v1.0.0|\nd v1.0.0|x\na v2.0.0|");
        assert!(differences("x", &same, &first, &[]).is_empty());
        let other = parsed("a v1.0.0|alloc,std\nb v2.0.0|default");
        let found = differences("x", &other, &first, &["b"]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("x compiles a v1.0.0 again"),
            "{found:?}"
        );
    }
}
