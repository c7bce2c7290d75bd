use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::{ClassOrder, Entry, ImageFilesConfig, ImagePair, ImageSource, PixelBox, Role};

mod birds_and_cars;
mod people;
mod products;
mod small_images;
mod species_and_characters;

/// Excerpts that `crates/dml-testing/generate/inputs/layouts.py` wrote.
fn excerpt(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/layouts")
        .join(name)
}

fn read(name: &str, folder: &str, config: &LayoutConfig) -> Result<Published> {
    layout(name)?.read(excerpt(folder), config)
}

fn published() -> LayoutConfig {
    LayoutConfig {
        protocol: Protocol::Published,
        ..LayoutConfig::default()
    }
}

/// The names of the classes of a split, without repetition.
fn classes(manifest: &Manifest, split: &str) -> Result<Vec<String>> {
    let part = manifest.split(split)?;
    let mut names: Vec<String> = part.entries().iter().map(|own| own.label.clone()).collect();
    names.sort_by(|a, b| ClassOrder::Number.compare(a, b));
    names.dedup();
    Ok(names)
}

/// Every image is there and can be decoded.
fn check_images(manifest: &Manifest) -> Result<()> {
    let config = ImageFilesConfig {
        size: [8, 8],
        ..ImageFilesConfig::default()
    };
    let images = manifest.images(config)?;
    for row in 0..manifest.entries().len() {
        images.image(row)?;
    }
    Ok(())
}

/// A copy of an excerpt whose files may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    fn copy_folder(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy_folder(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&excerpt(name), folder.path());
    folder
}

/// The message for a copy in which a text was replaced in a file.
fn message(name: &str, from: &str, file: &str, old: &str, new: &str) -> String {
    let folder = copy(from);
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(&path, text.replacen(old, new, 1)).unwrap();
    let config = LayoutConfig {
        boxes: true,
        ..LayoutConfig::default()
    };
    let error = layout(name)
        .unwrap()
        .read(folder.path(), &config)
        .unwrap_err();
    let text = error.to_string();
    let place = folder.path().display().to_string();
    text.replace(&format!("{place}/"), "").replace(&place, ".")
}

#[test]
fn layouts_have_names_in_order_and_say_where_to_get_them() {
    let names = LAYOUTS.map(|own| own.name);
    assert!(names.is_sorted(), "{names:?}");
    for own in &LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let error = own
            .read(folder.path(), &LayoutConfig::default())
            .unwrap_err();
        assert!(matches!(error, DataError::NotThere { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with(own.title) && text.contains(own.page),
            "{text}"
        );
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        assert!(own.page.starts_with("https://") && own.images > own.classes);
        for archive in own.archives {
            assert!(archive.url.starts_with("https://"));
            let (digest, digits) = match archive.digest {
                crate::Digest::Md5OfFile(digest) => (digest, 32),
                crate::Digest::Sha256OfFile(digest) => (digest, 64),
                other => panic!("{other}"),
            };
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert!(
                digest.len() == digits && digest.bytes().all(is_hex),
                "{digest}"
            );
        }
    }
}
