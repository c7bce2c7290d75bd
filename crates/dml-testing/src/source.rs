//! Where cases come from: folders of safetensors files, and `.tar.gz` archives of such folders.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use tar::Archive;

use crate::Case;

const CASE: &str = ".safetensors";
const ARCHIVE: &str = ".tar.gz";

/// Every case of `path`, by name: a folder of case files and archives at any depth, one archive, or one case file.
/// Files of other kinds are passed over.
///
/// # Errors
/// If the path can't be read, holds no case, or a file that claims to be one is none.
pub fn cases(path: &Path) -> anyhow::Result<Vec<Case>> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    if found.is_empty() {
        bail!("{}: no case in it", path.display());
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The cases that come with this crate.
///
/// # Errors
/// As [`cases`].
pub fn packed_cases() -> anyhow::Result<Vec<Case>> {
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))
}

fn collect(path: &Path, found: &mut Vec<Case>) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    if path.is_dir() {
        let entries: Result<Vec<_>, _> = fs::read_dir(path).with_context(shown)?.collect();
        for entry in entries.with_context(shown)? {
            collect(&entry.path(), found)?;
        }
        return Ok(());
    }
    let name = path.to_string_lossy();
    if name.ends_with(ARCHIVE) {
        let file = File::open(path).with_context(shown)?;
        for entry in Archive::new(GzDecoder::new(file))
            .entries()
            .with_context(shown)?
        {
            let mut entry = entry.with_context(shown)?;
            let inside = entry.path()?.display().to_string();
            if inside.ends_with(CASE) {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).with_context(shown)?;
                found.push(Case::parse(&bytes).with_context(|| format!("{name}: {inside}"))?);
            }
        }
    } else if name.ends_with(CASE) {
        let bytes = fs::read(path).with_context(shown)?;
        found.push(Case::parse(&bytes).with_context(shown)?);
    } else if !path.exists() {
        bail!("{name}: no such folder or file");
    }
    Ok(())
}
