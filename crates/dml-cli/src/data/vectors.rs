//! Rows of numbers with a class each: what is learnt from, and the sets that embeddings are judged by.
//!
//! | ending | rows |
//! |---|---|
//! | `.npz` | the array of rows, and that of labels: whole numbers or texts; `data.arrays` has their names |
//! | `.npy` | an array of rows, with labels in a file of their own |
//! | `.csv`, `.tsv` | the columns `label` (or that of `data.level`, or `class`), `split` and `id`; all others are numbers |

use std::path::Path;

use anyhow::{Context, bail};
use dml::candle_core::{DType, Device, Tensor};
use dml::data::archives::{ArrayDataset, ArrayDatasetConfig};
use dml::data::{Subset, TensorDataset};
use dml::eval::DatasetInputs;
use dml::{Dataset, IntoLabels};

use super::vector_table::{self, Rows};
use super::{HeldOutRows, RunData};
use crate::evaluation::EvaluationSet;
use crate::settings::{Settings, has_ending, is_table};

/// Vectors to learn from, and what the result is judged by.
#[derive(Debug)]
pub struct VectorData {
    /// Vectors to learn from, with labels from 0 without gaps.
    pub train: Subset<TensorDataset>,
    /// The same as one tensor `[rows, length]`.
    pub rows: Tensor,
    /// Everything else.
    pub run: RunData,
}

/// A set of vectors by its fields.
struct Place<'a> {
    path: &'a Path,
    split: Option<&'a str>,
    labels: Option<&'a Path>,
    /// The field of the labels, for messages.
    labels_field: &'a str,
}

impl Place<'_> {
    fn read(&self, settings: &Settings) -> anyhow::Result<Rows> {
        let path = self.path;
        let shown = path.display();
        let [data, labels] = settings.data.arrays.clone();
        let config = ArrayDatasetConfig {
            data,
            labels,
            ..ArrayDatasetConfig::default()
        };
        let is_npy = has_ending(path, &["npy"]);
        if let Some(labels) = self.labels
            && !is_npy
        {
            bail!(
                "{}: expected rows in an .npy file, and {shown} has labels of its own ({})",
                self.labels_field,
                labels.display()
            );
        }
        let array = if has_ending(path, &["npz"]) {
            ArrayDataset::read(path, &config)?
        } else if is_npy {
            let labels = self.labels.with_context(|| {
                format!(
                    "{}: expected an .npy file with the labels of {shown}",
                    self.labels_field
                )
            })?;
            ArrayDataset::read_pair(path, labels, &config)?
        } else if is_table(path) {
            return vector_table::read(path, self.split, settings.data.level.as_deref());
        } else {
            bail!("{shown}: expected vectors in a .npz, .npy, .csv or .tsv file");
        };
        let ArrayDataset::Features(features, class_names) = array else {
            bail!(
                "{shown}: expected rows of numbers, got images of bytes; they are of data.kind images"
            );
        };
        let rows = features.views()[0].to_dtype(DType::F32)?;
        let rows = match rows.rank() {
            2 => rows,
            _ => rows.flatten_from(1)?,
        };
        check_finite(path, &rows)?;
        let labels = features.labels().as_slice().to_vec();
        Ok(Rows {
            ids: (0..labels.len()).map(|row| format!("row {row}")).collect(),
            rows,
            labels,
            class_names,
        })
    }
}

fn check_finite(path: &Path, rows: &Tensor) -> anyhow::Result<()> {
    let length = rows.dims()[1].max(1);
    let values = rows.flatten_all()?.to_vec1::<f32>()?;
    let Some(place) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    bail!(
        "{}: expected finite numbers, got {} in row {}, column {}",
        path.display(),
        values[place],
        place / length,
        place % length
    )
}

impl Rows {
    /// The set of some rows.
    fn set(&self, rows: &[usize]) -> anyhow::Result<EvaluationSet> {
        let whole = TensorDataset::new(self.rows.clone(), self.labels.as_slice())?;
        let of_rows = Subset::new(whole, rows.to_vec())?;
        let labels = of_rows.labels().clone();
        let ids = rows.iter().map(|&row| self.ids[row].clone()).collect();
        let inputs = DatasetInputs::new(of_rows);
        Ok(EvaluationSet::of_rows(
            inputs,
            labels,
            ids,
            self.class_names.clone(),
        ))
    }
}

impl VectorData {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Files that can't be read, classes that there are not, and too few classes or rows to learn from.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let data = &settings.data;
        let cite = |field: &str| settings.cite(field);
        let path = data.train.as_deref().unwrap_or(Path::new(""));
        let whole = Place {
            path,
            split: data.train_split.as_deref(),
            labels: data.train_labels.as_deref(),
            labels_field: "data.train_labels",
        };
        let whole = whole.read(settings).with_context(|| cite("data.train"))?;
        let labels = whole.labels.as_slice().into_labels()?;
        let held = HeldOutRows::of(settings, &labels, &whole.class_names, false)?;
        let length = whole.rows.dims()[1];
        let set = |rows: &[usize], field: &str, place: Place<'_>, is_named: bool| {
            if !rows.is_empty() {
                return whole.set(rows).map(Some);
            }
            if !is_named {
                return Ok(None);
            }
            let read = || -> anyhow::Result<EvaluationSet> {
                let own = place.read(settings)?;
                let got = own.rows.dims()[1];
                if got != length {
                    let shown = place.path.display();
                    bail!("{shown}: expected rows of length {length}, as to learn from, got {got}");
                }
                let all: Vec<usize> = (0..own.labels.len()).collect();
                own.set(&all)
            };
            read().with_context(|| cite(field)).map(Some)
        };
        let test = Place {
            path: data.test.as_deref().unwrap_or(path),
            split: data.test_split.as_deref(),
            labels: data.test_labels.as_deref(),
            labels_field: "data.test_labels",
        };
        let is_named = data.test.is_some() || data.test_split.is_some();
        let test = set(&held.test, "data.test", test, is_named)?;
        let validation = Place {
            path: data.validation.as_deref().unwrap_or(path),
            split: data.validation_split.as_deref(),
            labels: data.validation_labels.as_deref(),
            labels_field: "data.validation_labels",
        };
        let is_named = data.validation.is_some() || data.validation_split.is_some();
        let validation = set(&held.validation, "data.validation", validation, is_named)?;
        let places: Vec<u32> = held.train.iter().map(|&row| row as u32).collect();
        let rows = whole
            .rows
            .index_select(&Tensor::new(places, &Device::Cpu)?, 0)?;
        let all = TensorDataset::new(whole.rows.clone(), labels)?;
        let train = Subset::new(all, held.train)?;
        let classes = train.classes();
        let count = classes.len();
        if count < 2 || train.labels().len() == count {
            bail!(
                "{}: expected at least 2 classes to learn from, and one of two rows, got {} rows of {count} classes",
                cite("data.train"),
                train.labels().len()
            );
        }
        let name = |label: &i64| whole.class_names.get(*label as usize).cloned();
        Ok(Self {
            run: RunData {
                train: format!(
                    "{} vectors of length {length} and {count} classes",
                    rows.dims()[0]
                ),
                rows: rows.dims()[0],
                classes: classes.iter().filter_map(name).collect(),
                validation,
                test,
                skipped: Vec::new(),
                notes: Vec::new(),
            },
            train: train.with_dense_labels()?,
            rows,
        })
    }
}
