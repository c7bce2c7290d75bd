//! CIFAR-10 and CIFAR-100: 60,000 images of 32 × 32 pixels, in the binary and in the Python version.
//!
//! ```text
//! cifar-10-batches-bin/    batches.meta.txt: a name a line;  data_batch_1.bin … data_batch_5.bin, test_batch.bin
//!                          records of 3,073 bytes: class, 1,024 red, 1,024 green, 1,024 blue
//! cifar-100-binary/        coarse_label_names.txt, fine_label_names.txt;  train.bin, test.bin
//!                          records of 3,074 bytes: superclass, class, pixels
//! cifar-10-batches-py/     batches.meta, data_batch_1 … data_batch_5, test_batch: pickles
//! cifar-100-python/        meta, train, test: pickles
//! ```
//!
//! Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. By unseen classes, the first half of the
//! classes is to learn from, as in PML's notebooks; as published, all classes are in both halves. The category of a class
//! of CIFAR-100 is its superclass. Images are held in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::Folder;
use super::list_file::{ListFile, read_bounded};
use super::pickled_dict::{Batch, PickledDict};
use super::{LayoutConfig, Protocol, Published};
use crate::{Contents, DataError, Entry, Manifest, PixelArray, PixelOrder, Pixels, Result};

/// Bytes of an image: three planes of 32 × 32 pixels.
pub(super) const PIXELS: usize = 3 * 32 * 32;

const TEN: [(&str, &str); 6] = [
    ("data_batch_1", "train"),
    ("data_batch_2", "train"),
    ("data_batch_3", "train"),
    ("data_batch_4", "train"),
    ("data_batch_5", "train"),
    ("test_batch", "test"),
];
const HUNDRED: [(&str, &str); 2] = [("train", "train"), ("test", "test")];

pub(super) fn read_10(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    if let Some(path) = folder.optional("batches.meta.txt") {
        let names = names(&path)?;
        let batches = TEN.map(|(name, split)| (format!("{name}.bin"), split));
        let read = |path: &Path| records(path, &[names.len()]);
        return published(folder, config, &batches, [names.clone(), Vec::new()], read);
    }
    let Some(path) = folder.optional("batches.meta") else {
        return Err(folder.missing("batches.meta.txt or batches.meta"));
    };
    let names = PickledDict::read(&path)?.texts("label_names")?;
    let batches = TEN.map(|(name, split)| (name.to_owned(), split));
    let read = |path: &Path| PickledDict::read(path)?.batch(&[("labels", names.len())]);
    published(folder, config, &batches, [names.clone(), Vec::new()], read)
}

pub(super) fn read_100(folder: &Folder<'_>, config: &LayoutConfig) -> Result<Published> {
    if let Some(path) = folder.optional("fine_label_names.txt") {
        let fine = names(&path)?;
        let coarse = names(&folder.find(&["coarse_label_names.txt"])?)?;
        let batches = HUNDRED.map(|(name, split)| (format!("{name}.bin"), split));
        let read = |path: &Path| {
            let mut batch = records(path, &[coarse.len(), fine.len()])?;
            batch.labels.reverse();
            Ok(batch)
        };
        return published(
            folder,
            config,
            &batches,
            [fine.clone(), coarse.clone()],
            read,
        );
    }
    let Some(path) = folder.optional("meta") else {
        return Err(folder.missing("fine_label_names.txt or meta"));
    };
    let meta = PickledDict::read(&path)?;
    let (fine, coarse) = (
        meta.texts("fine_label_names")?,
        meta.texts("coarse_label_names")?,
    );
    let batches = HUNDRED.map(|(name, split)| (name.to_owned(), split));
    let lists = [("fine_labels", fine.len()), ("coarse_labels", coarse.len())];
    let read = |path: &Path| PickledDict::read(path)?.batch(&lists);
    published(
        folder,
        config,
        &batches,
        [fine.clone(), coarse.clone()],
        read,
    )
}

/// The images of all batches. Labels of a batch are those of `names`, list by list.
fn published(
    folder: &Folder<'_>,
    config: &LayoutConfig,
    batches: &[(String, &'static str)],
    [names, groups]: [Vec<String>; 2],
    read: impl Fn(&Path) -> Result<Batch>,
) -> Result<Published> {
    let mut entries = Vec::new();
    for (file, split) in batches {
        let path: PathBuf = folder.find(&[file])?;
        let batch = read(&path)?;
        let shape = [3, 32, 32];
        let source = path.display().to_string();
        let array = Arc::new(PixelArray::new(
            source,
            batch.pixels,
            shape,
            PixelOrder::Planes,
        )?);
        for row in 0..array.len() {
            let label = batch.labels[0][row];
            let group = batch
                .labels
                .get(1)
                .map(|labels| groups[labels[row]].clone());
            let split = match config.protocol {
                Protocol::Published => *split,
                Protocol::UnseenClasses if label < names.len() / 2 => "train",
                Protocol::UnseenClasses => "test",
            };
            entries.push(Entry {
                split: Some(split.to_owned()),
                category: group,
                contents: Pixels::of(&array, row).map(Contents::Pixels),
                ..Entry::new(path.join(row.to_string()), names[label].clone())
            });
        }
    }
    Manifest::with_classes(folder.root(), entries, names).map(Published::new)
}

fn names(path: &Path) -> Result<Vec<String>> {
    let list = ListFile::open(path)?;
    let names: Vec<String> = list.lines().map(|line| line.text.to_owned()).collect();
    match names.is_empty() {
        true => Err(list.fault(1, "1", "the name of a class", "the end of the file")),
        false => Ok(names),
    }
}

/// Records of labels, each below a number, and pixels.
fn records(path: &Path, counts: &[usize]) -> Result<Batch> {
    let bytes = read_bounded(path)?;
    let fault = |place: String, expected, found: String| DataError::Malformed {
        file: path.to_path_buf(),
        place,
        expected,
        found,
    };
    let record = counts.len() + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let found = format!("{} bytes", bytes.len());
        let expected = match counts.len() {
            1 => "records of 3073 bytes",
            _ => "records of 3074 bytes",
        };
        return Err(fault("records".to_owned(), expected, found));
    }
    let mut batch = Batch {
        labels: vec![Vec::new(); counts.len()],
        pixels: Vec::with_capacity(bytes.len()),
    };
    for (row, record) in bytes.chunks_exact(record).enumerate() {
        let (labels, pixels) = record.split_at(counts.len());
        for ((&label, &count), list) in labels.iter().zip(counts).zip(&mut batch.labels) {
            if usize::from(label) >= count {
                let found = format!("{label} of {count} classes");
                return Err(fault(
                    format!("record {row}"),
                    "a label below the number of classes",
                    found,
                ));
            }
            list.push(label.into());
        }
        batch.pixels.extend(pixels);
    }
    Ok(batch)
}
