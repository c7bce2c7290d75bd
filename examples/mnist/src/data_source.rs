//! Which digits to learn: a folder, the cache, a download, or, where there is no network, synthetic ones.

use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use dml::data::synthetic::{SyntheticDigits, SyntheticDigitsConfig};
use dml::data::{DataError, ImageDataset, MnistVariant, Normalization, TrainTest, cache_folder};
use dml_program::eprintln;

use crate::download;
use dml_program::Interrupt;

/// A data set by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Dataset {
    /// MNIST from `--data-dir`, the cache or the network; without any of these, synthetic digits and a warning.
    #[default]
    Auto,
    /// Handwritten digits.
    Mnist,
    /// Articles of clothing.
    FashionMnist,
    /// Digits drawn by a program, which need no network.
    Synthetic,
}

/// Images to train and test with.
#[derive(Debug)]
pub struct Digits {
    /// The two splits.
    pub sets: TrainTest,
    /// `mnist`, `fashion-mnist` or `synthetic`: what every output says.
    pub name: &'static str,
    /// How bytes become numbers.
    pub normalization: Normalization,
}

/// Opens the data set; `limit` keeps the first images of the training split and a sixth of that of the test split.
///
/// # Errors
/// If a file is missing or damaged, or the download fails.
pub fn open(
    dataset: Dataset,
    folder: Option<&Path>,
    limit: Option<usize>,
) -> anyhow::Result<Digits> {
    open_until(&Interrupt::default(), dataset, folder, limit)
}

/// The same, with a download that a signal ends.
pub(crate) fn open_until(
    interrupt: &Interrupt,
    dataset: Dataset,
    folder: Option<&Path>,
    limit: Option<usize>,
) -> anyhow::Result<Digits> {
    let files = |variant, folder| files(variant, folder, interrupt);
    let digits = match dataset {
        Dataset::Synthetic => synthetic(limit)?,
        Dataset::FashionMnist => files(MnistVariant::FashionMnist, folder)?,
        Dataset::Mnist => files(MnistVariant::Mnist, folder)?,
        Dataset::Auto if folder.is_some() => files(MnistVariant::Mnist, folder)?,
        Dataset::Auto => match files(MnistVariant::Mnist, None) {
            Err(error) if is_offline(&error) => {
                eprintln!("warning: MNIST is neither in the cache nor to be had from the network:");
                eprintln!("warning: {}", dml::core::with_causes(&*error));
                eprintln!(
                    "warning: TRAINING ON SYNTHETIC DIGITS INSTEAD. Name a folder with --data-dir to train on MNIST."
                );
                synthetic(limit)?
            }
            other => other?,
        },
    };
    let Some(limit) = limit else {
        return Ok(digits);
    };
    let first = |set: &ImageDataset, count: usize| {
        set.subset(&(0..count.clamp(1, set.len())).collect::<Vec<_>>())
    };
    let sets = TrainTest {
        train: first(&digits.sets.train, limit)?,
        test: first(&digits.sets.test, limit.div_ceil(6))?,
    };
    Ok(Digits { sets, ..digits })
}

fn synthetic(limit: Option<usize>) -> anyhow::Result<Digits> {
    let train = limit.unwrap_or(60_000);
    let digits = SyntheticDigits::new(SyntheticDigitsConfig::default())?;
    Ok(Digits {
        sets: digits.train_test(train, train.div_ceil(6))?,
        name: "synthetic",
        normalization: Normalization::MNIST,
    })
}

fn files(
    variant: MnistVariant,
    folder: Option<&Path>,
    interrupt: &Interrupt,
) -> anyhow::Result<Digits> {
    let sets = match folder {
        Some(folder) => variant
            .load(folder)
            .with_context(|| format!("reading {} from {}", variant.name(), folder.display()))?,
        None => {
            let folder = cache_folder()?.join(variant.folder_name());
            match variant.load(&folder) {
                Err(DataError::Missing { .. }) => {
                    let folder = interrupt.while_downloading(|| download::fetch(variant))?;
                    variant.load(folder)?
                }
                other => other?,
            }
        }
    };
    Ok(Digits {
        sets,
        name: variant.folder_name(),
        normalization: variant.normalization(),
    })
}

/// Whether no mirror had the files: unreachable, or with other contents than it should; the error lists the attempts.
fn is_offline(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<DataError>(),
        Some(DataError::Download { .. })
    )
}
