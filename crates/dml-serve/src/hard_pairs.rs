//! The pairs that a model finds hardest, as a file: `hard_pairs.json`.
//!
//! ```text
//! {
//!   "format": "dml-hard-pairs",
//!   "version": 1,
//!   "distance": "cosine similarity",
//!   "pairs": [
//!     {
//!       "kind": "negative",
//!       "distance": 0.93,
//!       "a": {"id": "boot-1", "label": "boot", "picture": "boot/1.jpg"},
//!       "b": {"id": "shoe-9", "label": "shoe", "picture": "shoe/9.jpg"}
//!     }
//!   ]
//! }
//! ```
//!
//! The hardest pair stands first. A `positive` pair is of one class and far apart, a `negative` one is of two classes and close
//! together. `distance` is in the unit that the field of the file names; it may be left out there. A side has at least one of
//! `id` (of an item of the collection), `picture` (a path relative to the folder of pictures) and `text`; `label` is its class.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use dml_eval::Id;
use serde::{Deserialize, Serialize};

use crate::ServeError;

const FORMAT: &str = "dml-hard-pairs";
const VERSION: u32 = 1;
/// Size of a file that is read, in bytes.
const LARGEST_FILE: u64 = 256 << 20;

/// The pairs that a model finds hardest, hardest first ([the file](HardPairs::read), [the format](crate#hard-pairs)).
///
/// ```
/// use dml_serve::{HardPair, HardPairs, PairKind, PairSide};
///
/// let path = std::env::temp_dir().join(format!("dml-hard-pairs-{}.json", std::process::id()));
/// let pairs = HardPairs {
///     distance: Some("cosine similarity".into()),
///     pairs: vec![HardPair {
///         kind: PairKind::Negative,
///         distance: 0.93,
///         a: PairSide::of_id("boot-1").with_label("boot"),
///         b: PairSide::of_id("shoe-9").with_label("shoe"),
///     }],
/// };
/// pairs.write(&path)?;
/// assert_eq!(HardPairs::read(&path)?, pairs);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HardPairs {
    /// Name of the distance or similarity, such as `cosine similarity`.
    pub distance: Option<String>,
    /// The pairs, hardest first.
    pub pairs: Vec<HardPair>,
}

/// Two inputs that a model takes for what they are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardPair {
    /// Whether both are of one class.
    pub kind: PairKind,
    /// Their distance or similarity; finite.
    pub distance: f64,
    /// The anchor.
    pub a: PairSide,
    /// The other one.
    pub b: PairSide,
}

/// Whether the two inputs of a pair are of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairKind {
    /// Two inputs of one class that are far apart.
    Positive,
    /// Two inputs of different classes that are close together.
    Negative,
}

/// One input of a pair. At least one of `id`, `picture` and `text` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairSide {
    /// Id of its item in the collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Name of its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Path of its image, relative to the folder of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl PairSide {
    /// An item of the collection.
    #[must_use]
    pub fn of_id(id: impl Into<Id>) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::default()
        }
    }

    /// An image that need not be in the collection, by its path relative to the folder of pictures.
    #[must_use]
    pub fn of_picture(path: impl Into<String>) -> Self {
        Self {
            picture: Some(path.into()),
            ..Self::default()
        }
    }

    /// A text that need not be in the collection.
    #[must_use]
    pub fn of_text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// The same with the name of its class.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    fn is_something(&self) -> bool {
        self.id.is_some() || self.picture.is_some() || self.text.is_some()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContent<Pairs> {
    format: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distance: Option<String>,
    pairs: Pairs,
}

/// The fields that are read first: a later version may have others.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl HardPairs {
    /// Reads a file as [`write`](Self::write) makes it ([the format](crate#hard-pairs)).
    ///
    /// # Errors
    /// [`ServeError::Io`] if it can't be read; [`ServeError::HardPairs`] if it is above 256 MiB, of another format or version,
    /// damaged, or has a pair without two sides.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ServeError> {
        let path = path.as_ref();
        let fault = |source| ServeError::Io {
            action: "read",
            path: path.to_path_buf(),
            source,
        };
        let wrong = |reason: String| ServeError::HardPairs {
            path: path.to_path_buf(),
            reason,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(fault)?;
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(fault)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(wrong(format!("expected at most {LARGEST_FILE} bytes")));
        }
        let damaged =
            |error: serde_json::Error| wrong(format!("expected hard pairs as JSON: {error}"));
        let head: Head = serde_json::from_slice(&bytes).map_err(damaged)?;
        if head.format != FORMAT || head.version != VERSION {
            let (format, version) = (head.format, head.version);
            return Err(wrong(format!(
                "expected the format {FORMAT:?} in version {VERSION}, got {format:?} in version {version}"
            )));
        }
        let content: FileContent<Vec<HardPair>> =
            serde_json::from_slice(&bytes).map_err(damaged)?;
        for (number, pair) in content.pairs.iter().enumerate() {
            if !pair.a.is_something() || !pair.b.is_something() {
                return Err(wrong(format!(
                    "pair {number}: expected an id, a picture or a text on both sides"
                )));
            }
        }
        Ok(Self {
            distance: content.distance,
            pairs: content.pairs,
        })
    }

    /// Writes a file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`ServeError::Io`]; [`ServeError::HardPairs`] for a distance that is not finite, or a pair without two sides.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ServeError> {
        let path = path.as_ref();
        for (number, pair) in self.pairs.iter().enumerate() {
            if !(pair.distance.is_finite() && pair.a.is_something() && pair.b.is_something()) {
                return Err(ServeError::HardPairs {
                    path: path.to_path_buf(),
                    reason: format!(
                        "pair {number}: expected a finite distance and an id, a picture or a text on both sides"
                    ),
                });
            }
        }
        let content = FileContent {
            format: FORMAT.to_owned(),
            version: VERSION,
            distance: self.distance.clone(),
            pairs: &self.pairs,
        };
        let written = dml_core::durable::write_with(path, |part| {
            serde_json::to_writer_pretty(&mut *part, &content)?;
            writeln!(part)
        });
        written.map_err(|source| ServeError::Io {
            action: "write",
            path: path.to_path_buf(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HardPairs, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hard_pairs.json");
        std::fs::write(&path, text).unwrap();
        HardPairs::read(&path).map_err(|error| error.to_string())
    }

    fn file(pairs: &str) -> String {
        format!(r#"{{"format": "dml-hard-pairs", "version": 1, "pairs": [{pairs}]}}"#)
    }

    #[test]
    fn ids_are_numbers_or_texts() {
        let pair =
            r#"{"kind": "positive", "distance": 1, "a": {"id": 7}, "b": {"id": "7", "text": "x"}}"#;
        let read = read(&file(pair)).unwrap();
        assert_eq!(read.distance, None);
        let pair = &read.pairs[0];
        assert_eq!(pair.kind, PairKind::Positive);
        assert_eq!(pair.a, PairSide::of_id(7u64));
        assert_eq!(pair.b.id, Some("7".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let half = r#"{"kind": "positive", "distance": 1, "a": {"id": 7}, "b": {"label": "x"}}"#;
        let kind = r#"{"kind": "other", "distance": 1, "a": {"id": 7}, "b": {"id": 7}}"#;
        let nan = r#"{"kind": "positive", "distance": NaN, "a": {"id": 7}, "b": {"id": 7}}"#;
        let more = r#"{"kind": "positive", "distance": 1, "a": {"id": 7, "x": 1}, "b": {"id": 7}}"#;
        let whole = file("");
        let table = [
            (String::new(), "EOF while parsing"),
            (whole[..whole.len() - 2].to_owned(), "EOF while parsing"),
            ("[]".to_owned(), "expected hard pairs as JSON"),
            (
                whole.replace('1', "2"),
                "got \"dml-hard-pairs\" in version 2",
            ),
            (
                whole.replace("dml-hard", "other"),
                "got \"other-pairs\" in version 1",
            ),
            (
                file(half),
                "pair 0: expected an id, a picture or a text on both sides",
            ),
            (file(kind), "unknown variant `other`"),
            (file(nan), "expected value"),
            (file(more), "unknown field `x`"),
        ];
        for (text, expected) in table {
            let error = read(&text).unwrap_err();
            assert!(
                error.contains("hard_pairs.json: ") && error.contains(expected),
                "{error}"
            );
        }
        assert!(
            HardPairs::read("nowhere/hard_pairs.json")
                .unwrap_err()
                .to_string()
                .starts_with("can't read")
        );
    }

    #[test]
    fn numbers_that_json_does_not_have_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hard_pairs.json");
        let pair = HardPair {
            kind: PairKind::Negative,
            distance: f64::NAN,
            a: PairSide::of_text("x"),
            b: PairSide::of_picture("y.jpg"),
        };
        let mut pairs = HardPairs {
            distance: None,
            pairs: vec![pair],
        };
        assert!(matches!(
            pairs.write(&path),
            Err(ServeError::HardPairs { .. })
        ));
        assert!(!path.exists());
        pairs.pairs[0].distance = -0.5;
        pairs.write(&path).unwrap();
        assert_eq!(HardPairs::read(&path).unwrap(), pairs);
        pairs.pairs[0].b.picture = None;
        assert!(pairs.write(&path).is_err());
    }
}
