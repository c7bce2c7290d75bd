//! Samples in tar archives, as WebDataset has them.
//!
//! ```text
//! train-000000.tar
//!   00/000017.jpg      the image of the sample 00/000017
//!   00/000017.cls      its label: text, most often a whole number
//!   00/000017.json     its columns, by the names of a table: {"label": "owl", "camera": 3, "box": [1, 2, 30, 40]}
//!   00/000017.txt      its text
//! ```
//!
//! The name of a sample ends at the first dot behind the last slash; what follows is the name of the part, in small or
//! capital letters. Parts of a sample follow each other. An archive is read once to find out where its images are; they
//! stay in it, and any number of threads reads them in any order. Nothing is unpacked: a path that leads out of the
//! archive, or a link, is refused all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tar_members;
use crate::error::shortened;
use crate::image_files::format::{Ending, ending};
use crate::manifest::sample::{SampleCells, SampleLines};
use crate::{ClassOrder, Contents, DataError, FilePart, Manifest, ManifestConfig, Result};

/// Most parts of a sample.
const MOST_PARTS: usize = 256;

dml_core::config! {
    /// How samples in archives are read.
    #[derive(Eq)]
    pub struct WebDatasetConfig {
        /// Names of the part that is the image, the first that a sample has. Default: none, which takes the one part that
        /// is an image by its name.
        pub image: Vec<String> = Vec::new(),
        /// Name of the part that is the label. Default `cls`.
        pub label: String = "cls".to_owned(),
        /// Name of the part that is the text. Default `txt`.
        pub text: String = "txt".to_owned(),
        /// Name of the part that has columns. Default `json`.
        pub json: String = "json".to_owned(),
        /// How columns are read, whether samples may have no label, and the limit of memory.
        pub manifest: ManifestConfig = ManifestConfig::default(),
    }
}

/// Reads archives of samples.
///
/// ```
/// use dml_data::archives::{WebDataset, WebDatasetConfig};
/// # let folder = tempfile::tempdir()?;
/// # let shard = folder.path().join("train-0.tar");
/// # let mut archive = tar::Builder::new(std::fs::File::create(&shard)?);
/// # let mut image = std::io::Cursor::new(Vec::new());
/// # image::GrayImage::new(4, 4).write_to(&mut image, image::ImageFormat::Png)?;
/// # for (name, bytes) in [("a.png", image.get_ref().as_slice()), ("a.cls", b"7")] {
/// #     let mut header = tar::Header::new_gnu();
/// #     header.set_size(bytes.len() as u64);
/// #     archive.append_data(&mut header, name, bytes)?;
/// # }
/// # archive.into_inner()?;
///
/// let samples = WebDataset::new(WebDatasetConfig::default()).read([shard])?;
/// assert_eq!(samples.class_names(), ["7"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebDataset {
    config: WebDatasetConfig,
}

impl WebDataset {
    /// A reader.
    #[must_use]
    pub fn new(config: WebDatasetConfig) -> Self {
        Self { config }
    }

    /// The samples of archives, one archive after the other. Classes that are whole numbers are in their order.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for an archive that is compressed or damaged, paths that lead out of it, links, parts that
    /// are there twice, several images in a sample, or none; [`DataError::Truncated`] for one that is cut off,
    /// [`DataError::Table`] for what is wrong in a label or JSON, [`DataError::NoImages`] without a sample,
    /// [`DataError::TooLarge`] beyond the limit of memory, [`DataError::Io`] if an archive can't be read.
    pub fn read<P: AsRef<Path>>(&self, archives: impl IntoIterator<Item = P>) -> Result<Manifest> {
        let mut lines: Option<SampleLines> = None;
        for archive in archives {
            let archive = archive.as_ref();
            let lines = match &mut lines {
                Some(lines) => lines,
                None => lines.insert(SampleLines::new(archive, &self.config.manifest)?),
            };
            let file: Arc<Path> = archive.into();
            let mut open: Option<Sample> = None;
            tar_members::read(archive, &mut |member, contents| {
                let (key, part) = split(&member.path);
                // Members without an ending are notes beside the samples.
                if part.is_empty() {
                    return Ok(());
                }
                if open.as_ref().is_none_or(|sample| sample.key != key) {
                    if let Some(sample) = open.take() {
                        self.finish(&file, sample, lines)?;
                    }
                    open = Some(Sample::new(key));
                }
                let Some(sample) = &mut open else {
                    return Ok(());
                };
                let part = part.to_ascii_lowercase();
                if sample.parts.len() == MOST_PARTS {
                    let expected = "at most 256 parts of a sample";
                    return Err(fault(archive, &member.path, expected, "more"));
                }
                if sample.parts.iter().any(|(own, _)| *own == part) {
                    let expected = "each part of a sample once";
                    return Err(fault(archive, &member.path, expected, "it a second time"));
                }
                let span = (member.offset, member.length);
                let read = [&self.config.label, &self.config.text, &self.config.json];
                if read.iter().any(|own| own.eq_ignore_ascii_case(&part)) {
                    let bytes = tar_members::text(archive, &member, contents)?;
                    sample.texts.push((part.clone(), bytes));
                }
                sample.parts.push((part, span));
                Ok(())
            })?;
            if let Some(sample) = open {
                self.finish(&file, sample, lines)?;
            }
        }
        let Some(lines) = lines else {
            return Err(DataError::NoImages {
                path: PathBuf::new(),
                kind: "in an archive",
            });
        };
        let manifest = lines.finish()?;
        let are_numbers = |name: &String| name.parse::<i64>().is_ok();
        Ok(match manifest.class_names().iter().all(are_numbers) {
            true => manifest.with_class_order(ClassOrder::Number),
            false => manifest,
        })
    }

    /// Turns a sample into a line.
    fn finish(&self, archive: &Arc<Path>, sample: Sample, lines: &mut SampleLines) -> Result<()> {
        let image = self.image(archive, &sample)?;
        let mut cells = SampleCells::default();
        for name in [&self.config.json, &self.config.label, &self.config.text] {
            let own = sample
                .texts
                .iter()
                .find(|(part, _)| part.eq_ignore_ascii_case(name));
            let Some((part, bytes)) = own else {
                continue;
            };
            let place = format!("{}.{part}", sample.key);
            let found = if name == &self.config.json {
                lines.cells_of_json(bytes).map(|own| cells = own)
            } else {
                let text = std::str::from_utf8(bytes).map_err(|_| "other bytes".to_owned());
                text.map(|text| match name == &self.config.label {
                    true => cells.set_label(text.trim().to_owned()),
                    false => cells.set_text(text.trim().to_owned()),
                })
            };
            found.map_err(|found| {
                fault(archive, &place, "text in UTF-8, or a JSON object", found)
            })?;
        }
        if let Some((part, (offset, length))) = image {
            cells.set_image(
                format!("{}.{part}", sample.key),
                Contents::Part(FilePart {
                    file: Arc::clone(archive),
                    offset,
                    length,
                }),
            );
        }
        lines.take(archive, cells)
    }

    /// The part of a sample that is its image.
    fn image(&self, archive: &Path, sample: &Sample) -> Result<Option<(String, (u64, u64))>> {
        for name in &self.config.image {
            let named = sample
                .parts
                .iter()
                .find(|(part, _)| part.eq_ignore_ascii_case(name));
            if let Some(own) = named {
                return Ok(Some(own.clone()));
            }
        }
        let is_image = |part: &str| ending(Path::new(&format!("x.{part}"))) == Ending::Known;
        let mut images = sample.parts.iter().filter(|(part, _)| is_image(part));
        match (images.next(), images.next(), self.config.image.is_empty()) {
            (Some(image), None, true) => Ok(Some(image.clone())),
            (Some(_), Some(_), true) => {
                let expected = "one image in a sample, or the name of the part that is it";
                Err(fault(archive, &sample.key, expected, "several"))
            }
            _ => {
                let has_text =
                    |(part, _): &&(String, _)| part.eq_ignore_ascii_case(&self.config.text);
                match sample.texts.iter().find(has_text) {
                    Some(_) => Ok(None),
                    None => {
                        let parts: Vec<&str> =
                            sample.parts.iter().map(|(part, _)| &**part).collect();
                        let expected = "an image or a text in every sample";
                        Err(fault(archive, &sample.key, expected, parts.join(", ")))
                    }
                }
            }
        }
    }
}

/// The parts of one sample.
#[derive(Debug)]
struct Sample {
    key: String,
    /// Name, and offset and length, of every part.
    parts: Vec<(String, (u64, u64))>,
    /// The contents of the parts that are read.
    texts: Vec<(String, Vec<u8>)>,
}

impl Sample {
    fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            parts: Vec::new(),
            texts: Vec::new(),
        }
    }
}

/// The name of the sample and that of the part.
fn split(path: &str) -> (&str, &str) {
    let file = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[file..].find('.') {
        // A name that begins with a dot is a hidden file.
        Some(0) | None => (path, ""),
        Some(dot) => (&path[..file + dot], &path[file + dot + 1..]),
    }
}

fn fault(archive: &Path, place: &str, expected: &'static str, found: impl AsRef<str>) -> DataError {
    DataError::Malformed {
        file: archive.to_path_buf(),
        place: shortened(place),
        expected,
        found: shortened(found.as_ref()),
    }
}

#[cfg(test)]
mod tests;
