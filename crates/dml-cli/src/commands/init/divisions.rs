//! Folders that are divided into training, validation and test images, as Hugging Face's `imagefolder` and ImageNet are.

use std::path::{Path, PathBuf};

const TRAIN: &[&str] = &["train", "training"];
const VALIDATION: &[&str] = &["val", "valid", "validation", "dev"];
const TEST: &[&str] = &["test", "testing"];

/// The folders of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Divisions {
    /// Images to learn from.
    pub(super) train: PathBuf,
    /// Images to choose the best epoch by.
    pub(super) validation: Option<PathBuf>,
    /// Images to judge by.
    pub(super) test: Option<PathBuf>,
}

impl Divisions {
    /// The divisions of a folder: it has one folder for training, at least one other division, and no folder of another name.
    /// Images for validation alone are what the result is judged by. Everything else is one division.
    pub(super) fn of(data: &Path) -> Self {
        Self::named(data).unwrap_or_else(|| Self {
            train: data.to_owned(),
            validation: None,
            test: None,
        })
    }

    fn named(data: &Path) -> Option<Self> {
        let [mut train, mut validation, mut test] = [const { None }; 3];
        for entry in std::fs::read_dir(data).ok()? {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
            if name.starts_with('.') || !path.is_dir() {
                continue;
            }
            let names = |own: &[&str]| own.contains(&name.as_str());
            let place = match () {
                () if names(TRAIN) => &mut train,
                () if names(VALIDATION) => &mut validation,
                () if names(TEST) => &mut test,
                () => return None,
            };
            // Two folders of one division: which of them counts is for the user to say.
            if place.replace(path).is_some() {
                return None;
            }
        }
        let (validation, test) = match test {
            Some(test) => (validation, test),
            None => (None, validation?),
        };
        Some(Self {
            train: train?,
            validation,
            test: Some(test),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folders: &[&str]) -> (Option<String>, Option<String>) {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("README.md"), "").unwrap();
        let found = Divisions::of(root.path());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        if found.test.is_none() {
            assert_eq!(
                (found.train.as_path(), found.validation),
                (root.path(), None)
            );
            return (None, None);
        }
        assert_eq!(found.train.parent(), Some(root.path()));
        (
            found.validation.as_deref().map(name),
            found.test.as_deref().map(name),
        )
    }

    #[test]
    fn divisions_are_known_by_their_names() {
        let own = |name: &str| Some(name.to_owned());
        assert_eq!(
            of(&["train", "validation", "test"]),
            (own("validation"), own("test"))
        );
        assert_eq!(of(&["Train", "Test", ".cache"]), (None, own("Test")));
        assert_eq!(of(&["train", "val"]), (None, own("val")));
    }

    #[test]
    fn classes_are_no_divisions() {
        for folders in [
            &["train", "plane"][..],
            &["train", "test", "plane"],
            &["train"],
            &["test", "val"],
            &["train", "training", "test"],
            &[],
        ] {
            assert_eq!(of(folders), (None, None), "{folders:?}");
        }
    }
}
