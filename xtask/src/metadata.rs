//! What cargo knows of the workspace: `cargo metadata`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;
use xshell::{Shell, cmd};

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    /// `None` for the members alone.
    pub(crate) resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The registries that the package may be published to; `None` is all.
    pub(crate) publish: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) features: Vec<String>,
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
    pub(crate) fn members(sh: &Shell) -> anyhow::Result<Self> {
        Self::read(sh, &["--no-deps"])
    }

    fn read(sh: &Shell, args: &[&str]) -> anyhow::Result<Self> {
        let json = cmd!(sh, "cargo metadata --format-version 1 {args...}");
        Ok(serde_json::from_str(&json.quiet().read()?)?)
    }
}

impl Package {
    pub(crate) fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }
}
