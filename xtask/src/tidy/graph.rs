//! Who depends on whom, from `cargo metadata`.

use std::path::Path;

use xshell::Shell;

use super::{Finding, features, licenses};
use crate::metadata::{Metadata, Package};

/// Those that may see every crate.
const SEE_ALL: &[&str] = &[
    "dml",
    "dml-testing",
    "dml-conformance",
    "dml-bench",
    "dml-mnist",
    "dml-examples",
    "dml-cli",
];
/// The package without code that turns features on, for benches and for programs.
const FEATURES: &str = "dml-features";
/// Features that belong to Candle, and may only be handed on to it.
const FORWARDED: &[&str] = &["cuda", "cudnn", "metal", "accelerate", "mkl"];

pub(super) fn check(sh: &Shell, root: &Path) -> anyhow::Result<Vec<Finding>> {
    let metadata = Metadata::with_dependencies(sh)?;
    let mut found = check_metadata(&metadata, root);
    found.extend(features::check(sh, &metadata)?);
    let deny = sh.read_file(root.join("deny.toml"))?;
    let packages = metadata.packages.iter();
    found.extend(licenses::check(
        &deny,
        packages.map(|package| (package.name.as_str(), package.license.as_deref())),
    ));
    Ok(found)
}

fn check_metadata(metadata: &Metadata, root: &Path) -> Vec<Finding> {
    let members = metadata.members();
    let names: Vec<&str> = members.clone().map(|package| &*package.name).collect();
    let mut found = Vec::new();
    for package in members {
        let manifest = package.manifest_path.strip_prefix(root);
        let manifest = manifest.unwrap_or(&package.manifest_path);
        let own = &package.name;
        let dependencies = package.dependencies.iter();
        let siblings = dependencies.filter(|name| names.contains(&name.as_str()));
        let sentences = siblings
            .filter(|sibling| !may_depend(own, sibling))
            .map(|sibling| {
                format!(
                    "{own} may not depend on {sibling}: a role crate knows dml-core and no sibling."
                )
            })
            .chain(forwarding(package))
            .chain(missing_fields(package));
        found.extend(sentences.map(|sentence| Finding::violation(manifest, 1, sentence)));
    }
    found.extend(gemm(metadata));
    found.extend(newer_compilers(metadata));
    found
}

fn may_depend(package: &str, sibling: &str) -> bool {
    match package {
        _ if SEE_ALL.contains(&package) => true,
        "dml-program" => matches!(sibling, "dml-core" | FEATURES),
        "dml-kernels" => false,
        "dml-core" => sibling == "dml-kernels",
        // Backbones are made of layers; files of torch.save and of CIFAR are pickles.
        "dml-models" => matches!(sibling, "dml-core" | "dml-nn" | "dml-pickle"),
        "dml-data" => matches!(sibling, "dml-core" | "dml-pickle"),
        "dml-pickle" => false,
        // Layers describe themselves.
        "dml-onnx" => matches!(sibling, "dml-core" | "dml-nn"),
        // A collection is served, and its pictures are decoded as inputs of a network are.
        "dml-serve" => matches!(sibling, "dml-core" | "dml-data" | "dml-eval"),
        // Collections in formats of which data sets read some.
        "dml-exchange" => matches!(sibling, "dml-core" | "dml-data" | "dml-eval"),
        _ => sibling == "dml-core",
    }
}

fn forwarding(package: &Package) -> impl Iterator<Item = String> {
    let features = package.features.iter();
    let forwarded = features.filter(|(name, _)| FORWARDED.contains(&name.as_str()));
    forwarded.flat_map(|(name, values)| {
        let odd = values
            .iter()
            .filter(|value| !value.contains('/') && !FORWARDED.contains(&value.as_str()));
        odd.map(move |value| format!("feature {name} may only forward, and turns on {value}."))
    })
}

fn missing_fields(package: &Package) -> impl Iterator<Item = String> {
    let needs_readme = !matches!(
        package.name.as_str(),
        "dml-examples" | "dml-mnist" | "xtask"
    );
    let is_file = |readme| package.manifest_path.with_file_name(readme).is_file();
    let has_readme = package.readme.as_ref().is_some_and(is_file);
    [
        (package.description.is_none(), "no description."),
        (package.license.is_none(), "no license."),
        (needs_readme && !has_readme, "no README.md."),
    ]
    .into_iter()
    .filter(|(missing, _)| *missing)
    .map(|(_, sentence)| sentence.to_owned())
}

/// Dependencies that need a newer compiler than the oldest one that the workspace promises to work with.
fn newer_compilers(metadata: &Metadata) -> Vec<Finding> {
    // Major and minor: a patch changes nothing for a dependency.
    let number = |version: &str| {
        let mut parts = version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next(), parts.next())
    };
    let promised = metadata.members().flat_map(|package| &package.rust_version);
    let Some(oldest) = promised.map(|own| number(own)).min() else {
        return Vec::new();
    };
    let newer = metadata.packages.iter().filter_map(|package| {
        let version = package.rust_version.as_deref()?;
        let sentence = format!(
            "{} needs Rust {version}, newer than rust-version.",
            package.name
        );
        (!package.is_member && number(version) > oldest)
            .then(|| Finding::violation("Cargo.toml", 1, sentence))
    });
    newer.collect()
}

/// Candle's products run at half speed without `x86-v4`, and a second version would not get it from us.
fn gemm(metadata: &Metadata) -> Vec<Finding> {
    let packages = metadata.packages.iter();
    let versions: Vec<&Package> = packages.filter(|package| package.name == "gemm").collect();
    let mut found = Vec::new();
    let count = versions.len();
    if count != 1 {
        found.push(format!(
            "the graph has {count} versions of gemm, and must have one: Candle's."
        ));
    }
    for package in versions {
        let turned_on = metadata.turned_on.get(&package.id);
        if !turned_on.is_some_and(|features| features.iter().any(|feature| feature == "x86-v4")) {
            found.push("gemm is built without its feature x86-v4.".to_owned());
        }
    }
    let finding = |sentence| Finding::violation("Cargo.toml", 1, sentence);
    found.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests;
