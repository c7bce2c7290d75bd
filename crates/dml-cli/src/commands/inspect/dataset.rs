//! Folders and tables of images: counts, classes, and what is wrong.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use dml::Dataset;
use dml::data::{
    DataError, ImageFiles, ImageFilesConfig, ImageFolder, Manifest, SkippedKind, Unreadable,
};
use dml_program::println;

use crate::inputs::{InputSource, NamedInputs, has_only_texts};

/// Classes, files and duplicates that are listed of each kind.
const LISTED: usize = 10;

fn config(decode: bool) -> ImageFilesConfig {
    ImageFilesConfig {
        unreadable: if decode {
            Unreadable::Skip
        } else {
            Unreadable::Refuse
        },
        ..ImageFilesConfig::default()
    }
}

/// A folder of class folders, or of images.
pub(super) fn folder(path: &Path, decode: bool) -> anyhow::Result<Vec<String>> {
    let images = match ImageFolder::open(path, config(decode)) {
        Err(DataError::Unclassed { .. }) => {
            println!("images without folders of classes");
            ImageFolder::open_unlabeled(path, config(decode))?
        }
        opened => opened?,
    };
    images_of(images.files(), decode)
}

/// A table of images.
pub(super) fn table(path: &Path, decode: bool) -> anyhow::Result<Vec<String>> {
    let manifest = Manifest::read(path)?;
    println!("{} rows", manifest.entries().len());
    for split in manifest.splits() {
        println!(
            "  split {split:<22} {}",
            manifest.split(split)?.entries().len()
        );
    }
    let cameras = manifest.camera_names().len();
    if cameras > 0 {
        println!("  cameras                      {cameras}");
    }
    if has_only_texts(&manifest) {
        return texts_of(path);
    }
    let images = manifest.images(config(decode))?;
    let mut problems = images_of(&images, decode)?;
    let absent = manifest
        .entries()
        .iter()
        .filter(|entry| entry.contents.is_none());
    let absent: Vec<&PathBuf> = absent
        .map(|entry| &entry.path)
        .filter(|path| !path.is_file())
        .collect();
    if !decode {
        problems.extend(listed(
            "no such file",
            absent.iter().map(|path| path.display().to_string()),
        ));
    }
    Ok(problems)
}

fn images_of(images: &ImageFiles, decode: bool) -> anyhow::Result<Vec<String>> {
    let labels = Dataset::labels(images).as_slice();
    let ordered = classes("images", labels, |label| name(images, label));
    let mut problems = Vec::new();
    let single = ordered.iter().filter(|(count, _)| *count == 1);
    let single: Vec<String> = single.map(|(_, class)| (*class).to_owned()).collect();
    if !single.is_empty() && ordered.len() > 1 {
        println!("  {} classes have one image, and no positive", single.len());
    }
    let wrong = images
        .skipped()
        .iter()
        .filter(|own| own.kind != SkippedKind::Hidden && own.kind != SkippedKind::NotAnImage);
    problems.extend(listed(
        "left out",
        wrong.map(|own| format!("{}: {}", own.path.display(), own.reason)),
    ));
    let harmless = images.skipped().len()
        - images
            .skipped()
            .iter()
            .filter(|own| own.kind != SkippedKind::Hidden && own.kind != SkippedKind::NotAnImage)
            .count();
    if harmless > 0 {
        println!("  {harmless} hidden files and files that are no images are passed over");
    }
    match decode {
        true => problems.extend(duplicates(images)),
        false => println!("  `--decode` reads every image and finds copies"),
    }
    Ok(problems)
}

/// Prints how many there are of each class, the largest first, and returns all of it.
fn classes<'n>(
    things: &str,
    labels: &[i64],
    name: impl Fn(i64) -> &'n str,
) -> Vec<(usize, &'n str)> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for label in labels {
        *counts.entry(*label).or_default() += 1;
    }
    let of_class =
        |pick: fn(usize, usize) -> usize| counts.values().copied().reduce(pick).unwrap_or(0);
    println!(
        "{} {things} of {} classes, {} to {} of each",
        labels.len(),
        counts.len(),
        of_class(usize::min),
        of_class(usize::max)
    );
    let of = counts.iter().map(|(label, count)| (*count, name(*label)));
    let mut ordered: Vec<(usize, &str)> = of.collect();
    ordered.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    for (count, class) in ordered.iter().take(LISTED) {
        println!("  {class:<28} {count}");
    }
    if ordered.len() > LISTED {
        println!("  and {} more classes", ordered.len() - LISTED);
    }
    ordered
}

/// A table of labelled texts: the same text in two classes is a mistake in one of them.
fn texts_of(path: &Path) -> anyhow::Result<Vec<String>> {
    let own = NamedInputs::table_of_texts(path, None)?;
    let InputSource::Texts(texts) = &own.source else {
        return Ok(Vec::new());
    };
    let labels = own.labels("inspect")?;
    let labels = labels.as_slice();
    let of_label = |label: i64| {
        let row = labels.iter().position(|other| *other == label);
        row.and_then(|row| own.class(row)).unwrap_or("")
    };
    classes("texts", labels, of_label);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let first = *seen.entry(text).or_insert(place);
        if labels[first] != labels[place] {
            problems.push(format!("rows {} and {}", own.ids[first], own.ids[place]));
        }
    }
    Ok(listed("the same text in two classes", problems.into_iter()))
}

fn name(images: &ImageFiles, label: i64) -> &str {
    let place = usize::try_from(label).ok();
    place
        .and_then(|place| images.class_names().get(place))
        .map_or("(junk)", String::as_str)
}

/// Files with the same bytes in two classes: one of their labels is wrong.
fn duplicates(images: &ImageFiles) -> Vec<String> {
    let mut seen: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (row, path) in images.paths().iter().enumerate() {
        if let Ok(bytes) = fs::read(path) {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            seen.entry((bytes.len() as u64, hasher.finish()))
                .or_default()
                .push(row);
        }
    }
    let labels = Dataset::labels(images).as_slice();
    let mut copies = 0;
    let mut across = Vec::new();
    let mut groups: Vec<Vec<usize>> = seen.into_values().filter(|rows| rows.len() > 1).collect();
    groups.sort();
    for rows in groups {
        copies += rows.len() - 1;
        let first = rows[0];
        if let Some(other) = rows.iter().find(|row| labels[**row] != labels[first]) {
            let path = |row: usize| images.paths()[row].display().to_string();
            across.push(format!("{} and {}", path(first), path(*other)));
        }
    }
    if copies > 0 {
        println!("  {copies} files are copies of others");
    }
    listed("the same image in two classes", across.into_iter())
}

/// The first of a list of problems, and how many more there are.
fn listed(what: &str, items: impl Iterator<Item = String>) -> Vec<String> {
    let items: Vec<String> = items.collect();
    let mut problems: Vec<String> = items
        .iter()
        .take(LISTED)
        .map(|item| format!("{what}: {item}"))
        .collect();
    if items.len() > LISTED {
        problems.push(format!("{what}: {} more", items.len() - LISTED));
    }
    problems
}
