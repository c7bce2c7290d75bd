//! `cargo xtask tidy`: the shape of the workspace, which no compiler checks.
//!
//! Who depends on whom, and with what versions and features ([`graph`], [`manifest`], [`features`]), and what every source file
//! looks like ([`source`]). The same check runs as a test, so `cargo test` finds what `cargo xtask tidy` would.

mod examples;
mod features;
mod graph;
mod licenses;
mod manifest;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use xshell::Shell;

/// Prints every violation, and fails if there is one.
pub(crate) fn run() -> anyhow::Result<()> {
    let found = check(&crate::workspace_root())?;
    for finding in &found {
        println!("{finding}");
    }
    match found.iter().filter(|finding| !finding.is_advice).count() {
        0 => Ok(()),
        violations => bail!("{violations} violations"),
    }
}

/// Something that is not as it should be, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the workspace.
    file: PathBuf,
    line: usize,
    sentence: String,
    /// Worth knowing, but no reason to fail.
    is_advice: bool,
}

impl Finding {
    fn violation(file: impl Into<PathBuf>, line: usize, sentence: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            sentence: sentence.into(),
            is_advice: false,
        }
    }

    fn advice(file: impl Into<PathBuf>, line: usize, sentence: impl Into<String>) -> Self {
        Self {
            is_advice: true,
            ..Self::violation(file, line, sentence)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_advice { "note: " } else { "" };
        let (file, line, sentence) = (self.file.display(), self.line, &self.sentence);
        write!(f, "{file}:{line}: {kind}{sentence}")
    }
}

/// All findings, in the order of files and lines.
fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let mut found = graph::check(&sh, root)?;
    for path in tracked_files(&sh)? {
        let Ok(text) = sh.read_file(root.join(&path)) else {
            // Binary, or deleted and not yet committed.
            continue;
        };
        let file_name = path.file_name().and_then(|name| name.to_str());
        if file_name == Some("Cargo.toml") {
            found.extend(manifest::check(&path, &text));
        }
        if matches!(
            path.extension().and_then(|e| e.to_str()),
            Some("rs" | "md" | "toml")
        ) {
            found.extend(source::check(&path, &text));
            found.extend(examples::check(&path, &text));
        }
    }
    found.sort();
    Ok(found)
}

/// Everything under the workspace that is source: what git would commit.
fn tracked_files(sh: &Shell) -> anyhow::Result<Vec<PathBuf>> {
    let list = xshell::cmd!(sh, "git ls-files --cached --others --exclude-standard").read();
    match list {
        Ok(list) => Ok(list.lines().map(PathBuf::from).collect()),
        // Not a git checkout, such as an unpacked archive: everything that is not built.
        Err(_) => walk(&sh.current_dir(), Path::new("")),
    }
}

fn walk(root: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let (path, name) = (folder.join(entry.file_name()), entry.file_name());
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            files.extend(walk(root, &path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let found = check(&crate::workspace_root()).unwrap();
        let violations: Vec<String> = found
            .iter()
            .filter(|finding| !finding.is_advice)
            .map(ToString::to_string)
            .collect();
        assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    }

    #[test]
    fn findings_say_where_they_are() {
        let finding = Finding::violation("a/b.rs", 7, "no.");
        assert_eq!(finding.to_string(), "a/b.rs:7: no.");
        assert_eq!(
            Finding::advice("b.rs", 1, "hm.").to_string(),
            "b.rs:1: note: hm."
        );
    }

    #[test]
    fn without_git_the_folders_are_walked() {
        let root = crate::workspace_root();
        let files = walk(&root, Path::new("")).unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/main.rs")));
        assert!(!files.iter().any(|file| file.starts_with("target")));
    }
}
