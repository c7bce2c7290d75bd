//! Pairs out of Rust sources: the name of a public function, and the first sentence of its documentation.
//!
//! Every Rust programmer has thousands of them in `~/.cargo/registry/src`; an encoder that learns them finds functions by
//! what they do.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Words that a sentence has at least: fewer say no more than the name.
const WORDS: usize = 4;

/// The pairs of all Rust files below a folder, in an order that a seed draws. No name and no sentence comes twice: as a
/// negative, the second would be as right as the first.
pub(super) fn pairs(folder: &Path, seed: u64) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    rust_files(folder, &mut files)?;
    files.sort();
    let (mut names, mut sentences) = (HashSet::new(), HashSet::new());
    let mut pairs = Vec::new();
    for path in files {
        let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        for (name, sentence) in documented_functions(&String::from_utf8_lossy(&bytes)) {
            if !names.contains(&name) && sentences.insert(sentence.clone()) {
                names.insert(name.clone());
                pairs.push((name, sentence));
            }
        }
    }
    pairs.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    Ok(pairs)
}

/// All files `*.rs` below a folder.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("can't read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(unreadable)?);
        if kind.is_dir() {
            rust_files(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The public functions of a file that have a sentence: names as words, beside the sentences.
fn documented_functions(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push(text.trim());
        } else if !line.starts_with("#[") {
            // Attributes stand between the documentation and what it is of.
            if let (Some(name), Some(sentence)) = (function(line), first_sentence(&docs)) {
                found.push((name, sentence));
            }
            docs.clear();
        }
    }
    found
}

/// The name of the public function that a line starts, its words apart: `pub const fn as_bytes(` → `as bytes`.
fn function(line: &str) -> Option<String> {
    let (before, after) = line.strip_prefix("pub ")?.split_once("fn ")?;
    let qualifiers = ["const", "unsafe", "async", "extern", "\"C\""];
    if !before
        .split(' ')
        .all(|word| word.is_empty() || qualifiers.contains(&word))
    {
        return None;
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let words: Vec<&str> = after[..end]
        .split('_')
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Up to the first full stop or empty line, without the marks of links and code.
fn first_sentence(docs: &[&str]) -> Option<String> {
    let paragraph: Vec<&str> = docs
        .iter()
        .copied()
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ").replace(['`', '[', ']', '*'], "");
    let sentence = paragraph
        .split_once(". ")
        .map_or(paragraph.as_str(), |(first, _)| first);
    let sentence = sentence.trim().trim_end_matches('.');
    (sentence.split_whitespace().count() >= WORDS).then(|| sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
/// Shortens the vector, keeping the first `len` elements. Nothing else.
///
/// More of it.
#[inline]
pub const fn truncate_to(&mut self) {}

/// Number of things
/// that were [counted](Counter).
    pub(crate) fn hidden() {}

/// Returns the raw
/// bytes of the string.
pub unsafe extern "C" fn as_bytes<T>() {}

/// Too short a one.
struct NotAFunction;
pub fn without_docs() {}

/// Has three words.
pub fn short() {}
"#;

    #[test]
    fn public_functions_come_with_their_first_sentence() {
        let pair = |name: &str, sentence: &str| (name.to_owned(), sentence.to_owned());
        assert_eq!(
            documented_functions(SOURCE),
            [
                pair(
                    "truncate to",
                    "Shortens the vector, keeping the first len elements"
                ),
                pair("as bytes", "Returns the raw bytes of the string"),
            ]
        );
    }

    #[test]
    fn files_of_all_folders_give_each_name_and_sentence_once() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let deep = folder.path().join("a/src");
        fs::create_dir_all(&deep)?;
        fs::write(deep.join("lib.rs"), SOURCE)?;
        fs::write(
            deep.join("notes.md"),
            SOURCE.replace("as_bytes", "of_no_code"),
        )?;
        let again = SOURCE
            .replace("as_bytes", "to_bytes")
            .replace("Shortens", "Cuts");
        fs::write(folder.path().join("main.rs"), again)?;
        let mut found = pairs(folder.path(), 0)?;
        assert_eq!(found, pairs(folder.path(), 0)?);
        found.sort();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        // The second file's sentence of bytes is the first one's, and its name `truncate to` as well.
        assert_eq!(names, ["as bytes", "truncate to"]);
        assert!(pairs(&folder.path().join("nowhere"), 0).is_err());
        Ok(())
    }
}
