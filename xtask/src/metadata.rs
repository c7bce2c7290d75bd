//! What cargo knows of the workspace: `cargo metadata`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;
use xshell::{Shell, cmd};

#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    /// The features that are turned on in each package, by its id; empty for the members alone.
    pub(crate) turned_on: BTreeMap<String, Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_member: bool,
    pub(crate) is_published: bool,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) readme: Option<String>,
    /// The oldest compiler that the package promises to work with, such as `1.89`.
    pub(crate) rust_version: Option<String>,
    pub(crate) manifest_path: PathBuf,
    /// The names of its dependencies but for those of its tests.
    pub(crate) dependencies: Vec<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The kinds of its targets: `lib`, `bin`, `bench` and others.
    pub(crate) targets: Vec<String>,
}

impl Metadata {
    /// The members and all their dependencies on this machine; those of other platforms need not be downloaded.
    pub(crate) fn with_dependencies(sh: &Shell) -> anyhow::Result<Self> {
        let version = cmd!(sh, "rustc -vV").quiet().read()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc -vV names no host")?;
        Self::read(sh, &["--filter-platform", host])
    }

    /// The members alone.
    pub(crate) fn without_dependencies(sh: &Shell) -> anyhow::Result<Self> {
        Self::read(sh, &["--no-deps"])
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> + Clone {
        self.packages.iter().filter(|package| package.is_member)
    }

    fn read(sh: &Shell, args: &[&str]) -> anyhow::Result<Self> {
        let json = cmd!(sh, "cargo metadata --format-version 1 {args...}").quiet();
        let json: Value = serde_json::from_str(&json.read()?)?;
        let members = texts(&json["workspace_members"]);
        let packages = list(&json["packages"]).iter();
        let nodes = list(&json["resolve"]["nodes"]).iter();
        let turned_on = nodes.map(|node| (text(&node["id"]), texts(&node["features"])));
        Ok(Self {
            packages: packages.map(|json| Package::new(json, &members)).collect(),
            turned_on: turned_on.collect(),
        })
    }
}

impl Package {
    fn new(json: &Value, members: &[String]) -> Self {
        let optional = |key: &str| json[key].as_str().map(str::to_owned);
        let dependencies = list(&json["dependencies"]).iter();
        let dependencies = dependencies.filter(|dependency| dependency["kind"] != "dev");
        let targets = list(&json["targets"]).iter();
        let features = json["features"].as_object().into_iter().flatten();
        let id = text(&json["id"]);
        Self {
            is_member: members.contains(&id),
            id,
            name: text(&json["name"]),
            // `publish = false` is an empty list of registries.
            is_published: json["publish"]
                .as_array()
                .is_none_or(|list| !list.is_empty()),
            description: optional("description"),
            license: optional("license"),
            readme: optional("readme"),
            rust_version: optional("rust_version"),
            manifest_path: text(&json["manifest_path"]).into(),
            dependencies: dependencies.map(|json| text(&json["name"])).collect(),
            features: features
                .map(|(name, on)| (name.clone(), texts(on)))
                .collect(),
            targets: targets.map(|json| text(&json["kind"][0])).collect(),
        }
    }
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn texts(json: &Value) -> Vec<String> {
    list(json).iter().map(text).collect()
}
