//! Where images with their classes come from: folders, tables, arrays, archives, and published data sets.

use std::path::Path;

use anyhow::{Context, bail};
use dml::data::layouts::{LayoutConfig, Published, layout};
use dml::data::{
    Entry, ImageFiles, ImageFilesConfig, ImageFolder, Manifest, ManifestColumns, ManifestConfig,
};

use crate::settings::Settings;

/// Name of the column of categories, the other level of published data sets.
const CATEGORY: &str = "category";

/// Images somewhere, and which of their classes count.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) split: Option<&'a str>,
    /// Column of the classes.
    pub(super) level: Option<&'a str>,
    /// Published data set, with how it is read.
    pub(super) layout: Option<(&'a str, LayoutConfig)>,
    /// Whether classes are left out, so that none is needed.
    pub(super) is_unlabelled: bool,
}

/// Images with the classes of each, where the data has several for an image.
#[derive(Clone, Debug)]
pub(super) struct LabelledFiles {
    pub(super) files: ImageFiles,
    pub(super) label_sets: Option<Vec<Vec<i64>>>,
}

impl LabelledFiles {
    /// Some of the images.
    pub(super) fn select(&self, rows: &[usize]) -> anyhow::Result<Self> {
        let of = |sets: &Vec<Vec<i64>>| rows.iter().map(|&row| sets[row].clone()).collect();
        Ok(Self {
            files: self.files.select(rows)?,
            label_sets: self.label_sets.as_ref().map(of),
        })
    }

    /// The images of the lines of a table.
    pub(super) fn of_manifest(
        manifest: &Manifest,
        config: &ImageFilesConfig,
    ) -> anyhow::Result<Self> {
        let files = manifest.images(config.clone())?;
        let has_several = manifest.entries().iter().any(|own| !own.labels.is_empty());
        let label_sets = has_several.then(|| {
            // Files that can't be read are left out.
            let sets = manifest.label_sets();
            let own = files.origins().iter().map(|&line| sets[line].clone());
            own.collect()
        });
        Ok(Self { files, label_sets })
    }
}

impl<'a> Source<'a> {
    /// A folder of class folders, or a table.
    pub(super) fn plain(path: &'a Path, split: Option<&'a str>) -> Self {
        Self {
            path,
            split,
            level: None,
            layout: None,
            is_unlabelled: false,
        }
    }

    /// A source as the settings have it.
    pub(super) fn of(settings: &'a Settings, path: &'a Path, split: Option<&'a str>) -> Self {
        let data = &settings.data;
        let config = LayoutConfig {
            protocol: data.protocol,
            boxes: data.boxes,
        };
        Self {
            level: data.level.as_deref(),
            layout: data.layout.as_deref().map(|name| (name, config)),
            ..Self::plain(path, split)
        }
    }

    /// The published data set.
    pub(super) fn published(&self) -> anyhow::Result<Option<Published>> {
        let read = |(name, config): &(&str, LayoutConfig)| layout(name)?.read(self.path, config);
        Ok(self.layout.as_ref().map(read).transpose()?)
    }

    /// The lines of a table, archive, array or published data set; `None` for a folder of class folders.
    pub(super) fn manifest(&self) -> anyhow::Result<Option<Manifest>> {
        let whole = match self.published()? {
            Some(published) => self.by_level(published.manifest)?,
            None if self.path.is_dir() => return Ok(None),
            None => self.table()?,
        };
        Ok(Some(match self.split {
            None => whole,
            Some(name) => whole.split(name)?,
        }))
    }

    fn table(&self) -> anyhow::Result<Manifest> {
        let mut columns = ManifestColumns::default();
        if let Some(level) = self.level {
            columns.label = level.to_owned();
            // A column has one meaning.
            if level == CATEGORY {
                columns.category = "label".to_owned();
            }
        }
        let config = ManifestConfig {
            columns,
            allow_unlabelled: self.is_unlabelled,
            ..ManifestConfig::default()
        };
        let path = self.path.to_str();
        let path = path.with_context(|| format!("{}: expected UTF-8", self.path.display()))?;
        Ok(Manifest::open(path, &config)?)
    }

    /// A published data set by its categories.
    fn by_level(&self, manifest: Manifest) -> anyhow::Result<Manifest> {
        if self.level.is_none() {
            return Ok(manifest);
        }
        let category = |entry: &Entry| -> anyhow::Result<Entry> {
            let Some(category) = &entry.category else {
                bail!(
                    "{}: expected images with a category, and the data set has none",
                    manifest.source().display()
                );
            };
            Ok(Entry {
                label: category.clone(),
                ..entry.clone()
            })
        };
        let entries = manifest.entries().iter().map(category);
        let entries: Vec<Entry> = entries.collect::<anyhow::Result<_>>()?;
        Ok(Manifest::new(manifest.source(), entries)?)
    }

    /// The images.
    pub(super) fn images(&self, config: &ImageFilesConfig) -> anyhow::Result<LabelledFiles> {
        if let Some(manifest) = self.manifest()? {
            return LabelledFiles::of_manifest(&manifest, config);
        }
        if let Some(level) = self.level {
            bail!(
                "{}: expected a table with the column {level}, got a folder",
                self.path.display()
            );
        }
        let open = match self.is_unlabelled {
            true => ImageFolder::open_unlabeled,
            false => ImageFolder::open,
        };
        Ok(LabelledFiles {
            files: open(self.path, config.clone())?.files().clone(),
            label_sets: None,
        })
    }
}
