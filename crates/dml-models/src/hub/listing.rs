//! The files of a repository at a commit, and which of them a model takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::names;
use crate::weights::IN_FOLDER;

/// Most files of a repository.
pub(super) const MOST_FILES: usize = 1 << 20;
/// Most modules of `modules.json`.
const MOST_MODULES: usize = 100;
/// Most shards of an index.
const MOST_SHARDS: usize = 10_000;
/// Most bytes of `modules.json` and of an index.
const MOST_JSON: u64 = 1 << 26;

/// Files beside weights that readers of this crate, of sentence-transformers and of transformers look for.
const SETTINGS: [&str; 15] = [
    "config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "unigram.json",
];

/// What the hub says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Details {
    /// Number of bytes.
    pub(super) size: u64,
    /// Hash of the file in git.
    pub(super) blob_id: String,
    /// SHA-256 of a large file.
    pub(super) sha256: Option<String>,
}

/// The files of a repository at a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    files: BTreeMap<String, Option<Details>>,
}

/// The hub's description of a repository.
#[derive(serde::Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(serde::Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(serde::Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Listing {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let files = names.into_iter().map(|name| (name, None));
        Self {
            files: files.collect(),
        }
    }

    /// The commit and the files of the hub's answer; what is wrong with another answer, in words.
    pub(super) fn of_answer(text: &str) -> Result<(String, Self), String> {
        let answer: Answer = serde_json::from_str(text)
            .map_err(|error| format!("expected a list of files, got {error}"))?;
        if !names::is_commit(&answer.sha) {
            let got: String = answer.sha.chars().take(100).collect();
            return Err(format!("expected a commit of 40 digits, got {got:?}"));
        }
        if answer.siblings.len() > MOST_FILES {
            let got = answer.siblings.len();
            return Err(format!("expected at most {MOST_FILES} files, got {got}"));
        }
        let siblings = answer.siblings.into_iter();
        // A name that is no path within the repository is one that nothing asks for.
        let siblings = siblings.filter(|file| names::is_path(&file.rfilename));
        let files = siblings.map(|file| {
            let details = file.size.zip(file.blob_id).map(|(size, blob_id)| Details {
                size,
                blob_id,
                sha256: file.lfs.and_then(|lfs| lfs.sha256),
            });
            (file.rfilename, details)
        });
        let files = files.collect();
        Ok((answer.sha, Self { files }))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&Details>)> {
        let files = self.files.iter();
        files.map(|(name, details)| (name.as_str(), details.as_ref()))
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Files that may be weights under other names.
    pub(super) fn other_weights(&self) -> Vec<String> {
        let ends = [".safetensors", ".bin", ".pth", ".pt", ".index.json"];
        let names = self.files.keys();
        names
            .filter(|name| ends.iter().any(|end| name.ends_with(end)))
            .cloned()
            .collect()
    }

    /// Gets the files that a model takes by `get`, which returns where a file is. Returns whether there are weights among
    /// them.
    ///
    /// These are the settings and one set of weights of the repository's folder and of the folders of `modules.json`; of
    /// an index also the shards.
    pub(super) fn get<E>(
        &self,
        get: &mut dyn FnMut(&str) -> Result<PathBuf, E>,
        wrong: &dyn Fn(&str, String) -> E,
    ) -> Result<bool, E> {
        let mut folders = BTreeSet::from([String::new()]);
        let modules = "modules.json";
        if self.has(modules) {
            let paths =
                module_folders(&get(modules)?).map_err(|problem| wrong(modules, problem))?;
            folders.extend(paths);
        }
        let mut has_weights = false;
        for folder in &folders {
            let within = |name: &str| match folder.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            for name in SETTINGS
                .map(within)
                .into_iter()
                .filter(|name| self.has(name))
            {
                get(&name)?;
            }
            let weights = IN_FOLDER
                .map(within)
                .into_iter()
                .find(|name| self.has(name));
            let Some(weights) = weights else {
                continue;
            };
            has_weights = true;
            let path = get(&weights)?;
            if is_index(&weights) {
                for shard in shards(&path).map_err(|problem| wrong(&weights, problem))? {
                    let shard = within(&shard);
                    if !self.has(&shard) {
                        return Err(wrong(
                            &shard,
                            format!("expected the shard that {weights} lists, found none"),
                        ));
                    }
                    get(&shard)?;
                }
            }
        }
        Ok(has_weights)
    }
}

/// Whether a file lists the shards of weights.
pub(super) fn is_index(name: &str) -> bool {
    name.ends_with(".safetensors.index.json") || name.ends_with(".bin.index.json")
}

/// The folders of the modules; what is wrong with the file, in words.
fn module_folders(path: &Path) -> Result<Vec<String>, String> {
    #[derive(serde::Deserialize)]
    struct Module {
        path: String,
    }
    let modules: Vec<Module> = json(path, "a list of modules")?;
    if modules.len() > MOST_MODULES {
        let got = modules.len();
        return Err(format!(
            "expected at most {MOST_MODULES} modules, got {got}"
        ));
    }
    let folders = modules.into_iter().map(|module| module.path);
    let folders: Vec<String> = folders.filter(|path| !path.is_empty()).collect();
    match folders.iter().find(|path| !names::is_path(path)) {
        Some(path) => Err(format!("expected paths of folders, got {path:?}")),
        None => Ok(folders),
    }
}

/// The files that an index lists; what is wrong with it, in words.
pub(super) fn shards(path: &Path) -> Result<BTreeSet<String>, String> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = json(path, "an index of shards (`weight_map`)")?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if shards.len() > MOST_SHARDS {
        let got = shards.len();
        return Err(format!("expected at most {MOST_SHARDS} shards, got {got}"));
    }
    let is_beside = |name: &String| names::is_path(name) && !name.contains('/');
    match shards.iter().find(|name| !is_beside(name)) {
        Some(name) => Err(format!(
            "expected names of files beside the index, got {name:?}"
        )),
        None => Ok(shards),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, expected: &str) -> Result<T, String> {
    let wrong = |problem: &dyn std::fmt::Display| format!("expected {expected}, got {problem}");
    let text = super::cache::read(path, MOST_JSON).map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are asked for, with the texts of some files.
    fn asked(names: &[&str], texts: &[(&str, &str)]) -> Result<(Vec<String>, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        let mut asked = Vec::new();
        let listing = Listing::new(names.iter().map(|name| (*name).to_owned()));
        let has_weights = listing.get(
            &mut |name| {
                asked.push(name.to_owned());
                let path = folder.path().join("file");
                let text = texts.iter().find(|(own, _)| *own == name);
                std::fs::write(&path, text.map_or("", |(_, text)| text)).unwrap();
                Ok(path)
            },
            &|name, problem| format!("{name}: {problem}"),
        )?;
        Ok((asked, has_weights))
    }

    #[test]
    fn settings_and_one_set_of_weights_are_taken() {
        let (asked, has_weights) = asked(
            &[
                ".gitattributes",
                "README.md",
                "config.json",
                "model.safetensors",
                "onnx/model.onnx",
                "pytorch_model.bin",
                "tf_model.h5",
            ],
            &[],
        )
        .unwrap();
        assert_eq!(asked, ["config.json", "model.safetensors"]);
        assert!(has_weights);
    }

    #[test]
    fn modules_and_shards_are_taken() {
        let modules = r#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]"#;
        let index =
            r#"{"metadata": {}, "weight_map": {"a": "x-1.bin", "b": "x-2.bin", "c": "x-1.bin"}}"#;
        let names = [
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/pytorch_model.bin",
            "3_Other/config.json",
            "config.json",
            "modules.json",
            "pytorch_model.bin.index.json",
            "x-1.bin",
            "x-2.bin",
        ];
        let texts = [
            ("modules.json", modules),
            ("pytorch_model.bin.index.json", index),
        ];
        let (asked_for, has_weights) = asked(&names, &texts).unwrap();
        let expected = [
            "modules.json",
            "config.json",
            "pytorch_model.bin.index.json",
            "x-1.bin",
            "x-2.bin",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/pytorch_model.bin",
        ];
        assert_eq!(asked_for, expected);
        assert!(has_weights);
        let without = names.map(|name| if name == "x-2.bin" { "y" } else { name });
        let error = asked(&without, &texts).unwrap_err();
        assert!(error.starts_with("x-2.bin: expected the shard"), "{error}");
    }

    #[test]
    fn files_that_lead_elsewhere_are_refused() {
        let names = ["model.safetensors.index.json", "modules.json"];
        for (name, text) in [
            ("modules.json", r#"[{"path": "../x"}]"#),
            ("modules.json", "{}"),
            (
                "model.safetensors.index.json",
                r#"{"weight_map": {"a": "../b"}}"#,
            ),
            (
                "model.safetensors.index.json",
                r#"{"weight_map": {"a": "b/c"}}"#,
            ),
            ("model.safetensors.index.json", "[]"),
        ] {
            let other = ("modules.json", "[]");
            let error = asked(&names, &[(name, text), other]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: expected")), "{error}");
        }
    }

    #[test]
    fn answers_of_the_hub() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let text = format!(
            r#"{{"sha": "{commit}", "gated": false, "siblings": [
                {{"rfilename": "a.json", "size": 3, "blobId": "b"}},
                {{"rfilename": "m", "size": 9, "blobId": "c", "lfs": {{"sha256": "d", "size": 9, "pointerSize": 1}}}},
                {{"rfilename": "../x"}}, {{"rfilename": "plain"}}]}}"#
        );
        let (sha, listing) = Listing::of_answer(&text).unwrap();
        assert_eq!(sha, commit);
        let sizes: Vec<_> = listing
            .iter()
            .map(|(name, details)| (name, details.map(|details| details.size)))
            .collect();
        assert_eq!(
            sizes,
            [("a.json", Some(3)), ("m", Some(9)), ("plain", None)]
        );
        for wrong in ["<html>", "{}", r#"{"sha": "main"}"#] {
            assert!(
                Listing::of_answer(wrong)
                    .unwrap_err()
                    .starts_with("expected")
            );
        }
    }
}
