use super::*;
use std::collections::BTreeMap;

fn package(name: &str, dependencies: &[&str]) -> Package {
    Package {
        id: name.to_owned(),
        name: name.to_owned(),
        description: Some("words".to_owned()),
        license: Some("MIT".to_owned()),
        readme: Some("README.md".to_owned()),
        rust_version: Some("1.89".to_owned()),
        manifest_path: format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR")).into(),
        dependencies: dependencies.iter().map(ToString::to_string).collect(),
        features: BTreeMap::new(),
        targets: Vec::new(),
        is_member: true,
        is_published: true,
    }
}

/// The sentences about a workspace of these crates, and a gemm that is as it should be.
fn sentences(mut members: Vec<Package>) -> Vec<String> {
    members.push(Package {
        is_member: false,
        ..package("gemm", &[])
    });
    let metadata = Metadata {
        packages: members,
        turned_on: BTreeMap::from([("gemm".to_owned(), vec!["x86-v4".to_owned()])]),
    };
    let found = check_metadata(&metadata, Path::new("nowhere"));
    found
        .into_iter()
        .map(|finding| finding.sentence)
        // No README.md lies beside the manifest that these packages share.
        .filter(|sentence| sentence != "no README.md.")
        .collect()
}

#[test]
fn a_role_crate_knows_the_core_and_no_sibling() {
    let core = || package("dml-core", &["dml-kernels", "rayon"]);
    let kernels = || package("dml-kernels", &[]);
    let miners = || package("dml-miners", &["dml-core"]);
    let distances = || package("dml-distances", &["dml-core"]);
    let dml = || package("dml", &["dml-core", "dml-miners"]);
    assert!(sentences(vec![core(), kernels(), miners(), distances(), dml()]).is_empty());
    // Backbones are made of layers, and know nothing else.
    let layers = || package("dml-nn", &["dml-core"]);
    let models = |other| package("dml-models", &["dml-core", "dml-nn", other]);
    assert!(sentences(vec![core(), kernels(), layers(), models("serde")]).is_empty());
    let wrong = sentences(vec![
        core(),
        kernels(),
        layers(),
        miners(),
        distances(),
        models("dml-miners"),
    ]);
    assert_eq!(wrong.len(), 1);

    for (package, sibling) in [
        ("dml-miners", "dml-distances"),
        ("dml-miners", "dml-kernels"),
        ("dml-core", "dml-distances"),
        ("dml-kernels", "dml-core"),
    ] {
        let mut members = vec![core(), kernels(), miners(), distances(), dml()];
        let wrong = members
            .iter_mut()
            .find(|member| member.name == package)
            .unwrap();
        wrong.dependencies.push(sibling.to_owned());
        let found = sentences(members);
        assert_eq!(found.len(), 1, "{package} {sibling}");
        assert!(found[0].starts_with(&format!("{package} may not depend on {sibling}")));
    }
}

#[test]
fn candle_features_are_handed_on_and_nothing_else() {
    let mut core = package("dml-core", &[]);
    for (name, values) in [
        ("cuda", vec!["candle-core/cuda"]),
        ("cudnn", vec!["cuda", "candle-core/cudnn"]),
    ] {
        let values = values.into_iter().map(str::to_owned).collect();
        core.features.insert(name.to_owned(), values);
    }
    core.features
        .insert("serde".to_owned(), vec!["dep:serde".to_owned()]);
    let mut wrong = package("dml-nn", &[]);
    wrong
        .features
        .insert("metal".to_owned(), vec!["dep:objc".to_owned()]);
    assert_eq!(
        sentences(vec![core, wrong]),
        ["feature metal may only forward, and turns on dep:objc."]
    );
}

#[test]
fn fields_must_be_there() {
    let mut bare = package("dml-nn", &[]);
    (bare.description, bare.license) = (None, None);
    assert_eq!(sentences(vec![bare]), ["no description.", "no license."]);
    let missing: Vec<String> = missing_fields(&package("dml-nn", &[])).collect();
    assert_eq!(missing, ["no README.md."]);
    assert_eq!(missing_fields(&package("xtask", &[])).count(), 0);
}

#[test]
fn there_is_one_gemm_and_it_is_fast() {
    let metadata = |versions: usize, features: &[&str]| Metadata {
        packages: (0..versions).map(|_| package("gemm", &[])).collect(),
        turned_on: BTreeMap::from([(
            "gemm".to_owned(),
            features.iter().map(|name| (*name).to_owned()).collect(),
        )]),
    };
    assert!(gemm(&metadata(1, &["std", "x86-v4"])).is_empty());
    assert_eq!(gemm(&metadata(1, &["std"])).len(), 1);
    assert_eq!(gemm(&metadata(2, &["x86-v4"])).len(), 1);
    assert_eq!(gemm(&metadata(0, &[])).len(), 1);
}

#[test]
fn a_dependency_that_needs_a_newer_compiler_is_found() {
    let of = |rust_version: &str| Package {
        is_member: false,
        rust_version: Some(rust_version.to_owned()),
        ..package("a", &[])
    };
    let packages = vec![package("dml-nn", &[]), of("1.89.0"), of("1.9"), of("1.90")];
    let turned_on = BTreeMap::new();
    let found = newer_compilers(&Metadata {
        packages,
        turned_on,
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].sentence.starts_with("a needs Rust 1.90,"));
}
