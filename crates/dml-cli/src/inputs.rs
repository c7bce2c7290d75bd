//! Whatever a model embeds: images of a folder or table, or lines of a text file, each with an id.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::data::{DataError, Entry, ImageFiles, ImageFolder, Manifest, SkippedFile, TokenDataset};
use dml::encoder::{Encoder, TextModel};
use dml::eval::DatasetInputs;
use dml::{Dataset, IntoLabels, Labels};

use crate::data::open_images;
use crate::evaluation::EvaluationSet;
use crate::exit::Misuse;
use crate::progress::Progress;

/// Largest file of texts, in bytes.
const LARGEST: u64 = 1 << 30;

/// Inputs with their ids and, where the data has classes, their labels.
#[derive(Debug)]
pub struct NamedInputs {
    /// Paths of images below the folder, or numbers of lines or rows from 1.
    pub ids: Vec<String>,
    /// Label of each input, and the names of the classes.
    pub classes: Option<(Labels, Vec<String>)>,
    /// Images or texts.
    pub source: InputSource,
    /// Files that were left out.
    pub skipped: Vec<SkippedFile>,
}

/// What is embedded.
#[derive(Debug)]
pub enum InputSource {
    /// Images.
    Images(ImageFiles),
    /// Texts.
    Texts(Vec<String>),
}

/// What to embed.
#[derive(Clone, Debug, clap::Args)]
pub struct InputArgs {
    /// Folder of images, table of images or texts, or text file with a text on each line.
    #[arg(value_name = "DATA")]
    pub data: std::path::PathBuf,
    /// Rows of the table, by its column split.
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Images or texts that are embedded at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = dml_program::number::within(1usize, 1 << 20))]
    pub batch: usize,
}

impl NamedInputs {
    /// Opens what the model reads.
    ///
    /// # Errors
    /// Data that can't be read; [`Misuse`] for data of another kind than the model's.
    pub fn open(args: &InputArgs, encoder: &Encoder) -> anyhow::Result<Self> {
        let split = args.split.as_deref();
        let is_lines = args.data.extension().is_some_and(|ending| ending == "txt");
        match encoder {
            Encoder::Image(model) if !is_lines => {
                Self::images(&args.data, split, model.preparation.evaluation_files())
            }
            Encoder::Text(_) if is_lines && split.is_none() => Self::texts(&args.data),
            Encoder::Text(_) if crate::settings::is_table(&args.data) => {
                Self::table_of_texts(&args.data, split)
            }
            _ => {
                let (shown, reads) = (args.data.display(), encoder.reads());
                let expected = match encoder {
                    Encoder::Image(_) => "a folder or table of images",
                    Encoder::Text(_) => {
                        "a .txt file with a text on each line, or a table with the columns text and label"
                    }
                };
                Err(Misuse::error(format!(
                    "{shown}: the model reads {reads}: expected {expected}"
                )))
            }
        }
    }

    fn images(
        path: &Path,
        split: Option<&str>,
        config: &dml::data::ImageFilesConfig,
    ) -> anyhow::Result<Self> {
        if path.is_file() && !crate::settings::is_table(path) {
            let sentence = format!(
                "{}: expected a folder or a table (.csv, .parquet)",
                path.display()
            );
            return Err(Misuse::error(sentence));
        }
        let labelled = open_images(path, split, config);
        let is_flat = labelled
            .as_ref()
            .err()
            .and_then(|error| error.downcast_ref::<DataError>());
        let (files, has_classes) = match is_flat {
            // A gallery needs no classes.
            Some(DataError::Unclassed { .. }) => (
                ImageFolder::open_unlabeled(path, config.clone())?
                    .files()
                    .clone(),
                false,
            ),
            _ => (labelled?, true),
        };
        let id = |own: &Path| {
            let root = if path.is_dir() {
                path
            } else {
                path.parent().unwrap_or(path)
            };
            own.strip_prefix(root).unwrap_or(own).display().to_string()
        };
        Ok(Self {
            ids: files.paths().iter().map(|own| id(own)).collect(),
            classes: has_classes.then(|| {
                (
                    Dataset::labels(&files).clone(),
                    files.class_names().to_vec(),
                )
            }),
            skipped: files.skipped().to_vec(),
            source: InputSource::Images(files),
        })
    }

    fn texts(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let length = fs::metadata(path)
            .with_context(|| format!("can't read {shown}"))?
            .len();
        if length > LARGEST {
            return Err(Misuse::error(format!(
                "{shown}: expected at most {LARGEST} bytes, got {length}"
            )));
        }
        let text = fs::read_to_string(path).with_context(|| format!("can't read {shown}"))?;
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty());
        let (numbers, texts): (Vec<usize>, Vec<String>) = lines
            .map(|(number, line)| (number, line.to_owned()))
            .unzip();
        if texts.is_empty() {
            return Err(Misuse::error(format!(
                "{shown}: expected a text on each line, got none"
            )));
        }
        Ok(Self {
            ids: numbers.iter().map(usize::to_string).collect(),
            classes: None,
            source: InputSource::Texts(texts),
            skipped: Vec::new(),
        })
    }

    /// Texts of a table with the columns `text` and `label`.
    ///
    /// # Errors
    /// A table that can't be read, or a row without one of these.
    pub fn table_of_texts(path: &Path, split: Option<&str>) -> anyhow::Result<Self> {
        let table = Manifest::read(path)?;
        if let Some(name) = split {
            // For its error, if there is no such split.
            table.split(name)?;
        }
        let names = table.class_names().to_vec();
        let places: HashMap<&str, i64> = names.iter().map(String::as_str).zip(0..).collect();
        let (mut ids, mut texts, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for (row, entry) in (1..).zip(table.entries()) {
            if split.is_some_and(|name| entry.split.as_deref() != Some(name)) {
                continue;
            }
            let lacks = |what: &str| format!("{}: row {row} has no {what}", path.display());
            texts.push(entry.text.clone().with_context(|| lacks("text"))?);
            let label = places.get(entry.label.as_str()).copied();
            labels.push(label.with_context(|| lacks("label"))?);
            let row: usize = row;
            ids.push(row.to_string());
        }
        let labels = labels.into_labels()?;
        drop(places);
        Ok(Self {
            ids,
            classes: Some((labels, names)),
            source: InputSource::Texts(texts),
            skipped: Vec::new(),
        })
    }

    /// Labelled texts as a set whose texts look for each other.
    ///
    /// # Errors
    /// [`Misuse`] for inputs without classes or of images, and a text without a token.
    pub fn as_texts(&self, model: &TextModel) -> anyhow::Result<EvaluationSet> {
        let (InputSource::Texts(texts), Some((labels, names))) = (&self.source, &self.classes)
        else {
            return Err(Misuse::error("expected texts with classes"));
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens = model.tokenizer.encode_each(&texts)?;
        let pad = model.encoder.network().pad_token_id();
        let inputs = DatasetInputs::new(TokenDataset::new(tokens, pad, labels)?);
        let ids = self.ids.iter().cloned().collect();
        Ok(EvaluationSet::of_rows(
            inputs,
            labels.clone(),
            ids,
            names.clone(),
        ))
    }

    /// Number of inputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none; [`open`](Self::open) refuses such data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The class of an input.
    #[must_use]
    pub fn class(&self, row: usize) -> Option<&str> {
        let (labels, names) = self.classes.as_ref()?;
        let label = usize::try_from(*labels.as_slice().get(row)?).ok()?;
        names.get(label).map(String::as_str)
    }

    /// The classes, for commands that need them.
    ///
    /// # Errors
    /// [`Misuse`] for data without classes.
    pub fn labels(&self, command: &str) -> anyhow::Result<Labels> {
        match &self.classes {
            Some((labels, _)) => Ok(labels.clone()),
            None => Err(Misuse::error(format!(
                "{command} needs data with classes: folders of classes, or a table with labels"
            ))),
        }
    }

    /// Embeds everything, with progress.
    ///
    /// # Errors
    /// Inputs that can't be read any more.
    pub fn embed(&self, encoder: &Encoder, batch: usize) -> anyhow::Result<Tensor> {
        let things = encoder.reads();
        let mut progress = Progress::new(&format!("{things} embedded"), self.len());
        let done = |rows: usize| progress.set(rows as u64, "");
        Ok(match (encoder, &self.source) {
            (Encoder::Image(model), InputSource::Images(files)) => {
                model.embed(files, batch, done)?
            }
            (Encoder::Text(model), InputSource::Texts(texts)) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                model.embed(&texts, batch, done)?
            }
            _ => return Err(Misuse::error(format!("the model reads {things}"))),
        })
    }

    /// Prints how many files were left out.
    pub fn tell_skipped(&self) {
        const SHOWN: usize = 3;
        for skipped in self.skipped.iter().take(SHOWN) {
            dml_program::eprintln!("left out {}: {}", skipped.path.display(), skipped.reason);
        }
        if self.skipped.len() > SHOWN {
            dml_program::eprintln!(
                "left out {} more files; `dml inspect` lists them",
                self.skipped.len() - SHOWN
            );
        }
    }
}

/// Whether the rows of a table are texts without images.
#[must_use]
pub fn has_only_texts(table: &Manifest) -> bool {
    let is_text = |own: &Entry| {
        own.text.is_some() && own.path.as_os_str().is_empty() && own.contents.is_none()
    };
    table.entries().iter().all(is_text)
}
