//! Batches from a few super classes at a time, so that hard negatives come from the same branch of a hierarchy.
//!
//! ```text
//! for every combination of k super classes, b times:
//!     batch = from each of them, random inner classes with s rows each, until batch_size / k rows are full
//! ```
//!
//! The sampling of Cakir, He, Xia, Kulis, Sclaroff, "Deep Metric Learning to Rank", 2019, where rows of the same
//! category are batched so that their classes are hard to tell apart. There are C(S, k) combinations of S super
//! classes: `batches_per_super_tuple` and the length of an epoch are meant for few of them.

use std::collections::BTreeMap;

use dml_core::candle_core::Tensor;
use dml_core::{IntoLabels, Labels, Result, Sampler, check};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::batch_rows;
use crate::classes::{draw, not_empty};
use crate::combinations::{binomial, combination};
use crate::epoch_rng::epoch_rng;

/// How many rows of an inner class [`HierarchicalSampler`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(expecting = "a whole number or \"all\""))]
pub enum SamplesPerClass {
    /// All that the class has. Written `"all"`.
    #[cfg_attr(feature = "serde", serde(rename = "all"))]
    All,
    /// As many, drawn with replacement where the class has fewer.
    #[cfg_attr(feature = "serde", serde(untagged))]
    Exactly(usize),
}

dml_core::config! {
    /// Configuration of [`HierarchicalSampler`].
    pub struct HierarchicalSamplerConfig {
        /// Rows in a batch at most: a multiple of `super_classes_per_batch`, at most 16,777,216.
        pub batch_size: usize,
        /// Rows of each inner class in a batch; a number must divide `batch_size / super_classes_per_batch`.
        pub samples_per_class: SamplesPerClass;
        /// Batches of each combination of super classes in an epoch, 1 to 4,294,967,295; at most 16,777,216 batches in all.
        /// Default 4.
        pub batches_per_super_tuple: usize = 4,
        /// Super classes in a batch, 1 to 4,294,967,295. Default 2.
        pub super_classes_per_batch: usize = 2,
        /// Which level of labels the inner classes are. Default 0.
        pub inner_label: usize = 0,
        /// Which level of labels the super classes are. Default 1.
        pub outer_label: usize = 1,
        /// Seed of all draws. Default 0.
        pub seed: u64 = 0,
    }
}

/// The inner classes of a super class, each with its rows.
type SuperClass = Vec<Vec<usize>>;

/// Batches of every combination of super classes ([scheme](self)), in random order.
///
/// Where a super class has too few inner classes that fit, its part of the batch stays short.
///
/// ```
/// use dml_core::{IntoLabels, Sampler};
/// use dml_samplers::{HierarchicalSampler, HierarchicalSamplerConfig, SamplesPerClass};
///
/// // Two rows of each of six species, in three genera.
/// let species = [0i64, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5].into_labels()?;
/// let genus = [0i64, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2].into_labels()?;
/// let config = HierarchicalSamplerConfig::new(8, SamplesPerClass::Exactly(2));
/// let sampler = HierarchicalSampler::new(config, &[species, genus])?;
/// assert_eq!(sampler.batches(), 12); // 3 pairs of genera, 4 batches each
/// assert!(sampler.epoch(0).all(|batch| batch.len() == 8)); // two genera, two species each, two rows each
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HierarchicalSampler {
    config: HierarchicalSamplerConfig,
    super_classes: Vec<SuperClass>,
    combinations: usize,
}

impl HierarchicalSampler {
    /// A sampler of rows with a label on each level.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is no multiple of
    /// `super_classes_per_batch`, or its part for one super class none of `samples_per_class`; if a batch is of a
    /// single inner class although there are several; for a number that is 0; if there are fewer super classes than
    /// `super_classes_per_batch`, more than 2²⁴ batches, or no inner class that fits into a batch.
    /// [`Error::Index`](dml_core::Error::Index) if `inner_label` or `outer_label` is not a level,
    /// [`Error::Length`](dml_core::Error::Length) if the levels differ in length,
    /// [`Error::Shape`](dml_core::Error::Shape) if there are no rows.
    pub fn new(config: HierarchicalSamplerConfig, levels: &[Labels]) -> Result<Self> {
        let k = check::at_least_one("super_classes_per_batch", config.super_classes_per_batch)?;
        check::at_least_one("batches_per_super_tuple", config.batches_per_super_tuple)?;
        let size = check::count("batch_size", config.batch_size, batch_rows::MOST)?;
        let expected = "a multiple of super_classes_per_batch";
        check::whole(size.is_multiple_of(k), "batch_size", size, expected)?;
        if let SamplesPerClass::Exactly(samples) = config.samples_per_class {
            check::at_least_one("samples_per_class", samples)?;
            let divides = (size / k).is_multiple_of(samples);
            let expected = "a divisor of batch_size / super_classes_per_batch";
            check::whole(divides, "samples_per_class", samples, expected)?;
        }
        let super_classes = group(
            level("inner_label", config.inner_label, levels)?,
            level("outer_label", config.outer_label, levels)?,
        )?;
        let is_of_one_class = k == 1 && config.samples_per_class == SamplesPerClass::Exactly(size);
        let several = super_classes.len() > 1 || super_classes.iter().any(|own| own.len() > 1);
        let has_negatives = !(is_of_one_class && several);
        let expected = "a number below batch_size: a batch of one class has no negatives";
        check::whole(has_negatives, "samples_per_class", size, expected)?;
        let (fits, expected) = (
            k <= super_classes.len(),
            "at most the number of super classes",
        );
        check::whole(fits, "super_classes_per_batch", k, expected)?;
        let combinations = binomial(super_classes.len(), k);
        let batches = combinations.saturating_mul(config.batches_per_super_tuple as u128);
        let fits = batches <= batch_rows::MOST as u128;
        let expected = "at most 16777216 batches";
        check::whole(fits, "super_classes_per_batch", k, expected)?;
        let sampler = Self {
            config,
            super_classes,
            combinations: combinations as usize,
        };
        // A combination of super classes of which nothing fits would make an empty batch.
        let barren = |classes: &&SuperClass| classes.iter().all(|rows| !sampler.fits(rows, 0));
        let fits = sampler.super_classes.iter().filter(barren).count() < k;
        let expected = "room for all rows of an inner class of each super class";
        check::whole(fits, "batch_size", size, expected)?;
        Ok(sampler)
    }

    /// A sampler of the rows of a tensor of labels `[rows, levels]`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless the tensor is of rank 2,
    /// [`Error::DType`](dml_core::Error::DType) if it holds real numbers, and as [`HierarchicalSampler::new`].
    pub fn from_tensor(config: HierarchicalSamplerConfig, labels: &Tensor) -> Result<Self> {
        check::shape(labels.rank() == 2, "labels", labels, "[rows, levels]")?;
        let levels =
            (0..labels.dims()[1]).map(|l| labels.narrow(1, l, 1)?.squeeze(1)?.into_labels());
        Self::new(config, &levels.collect::<Result<Vec<_>>>()?)
    }

    /// Rows that a super class may fill.
    fn part(&self) -> usize {
        self.config.batch_size / self.config.super_classes_per_batch
    }

    /// How many rows an inner class takes.
    fn take(&self, rows: &[usize]) -> usize {
        match self.config.samples_per_class {
            SamplesPerClass::Exactly(samples) => samples,
            SamplesPerClass::All => rows.len(),
        }
    }

    fn fits(&self, rows: &[usize], full: usize) -> bool {
        full + self.take(rows) <= self.part()
    }

    /// Appends the rows of one super class; `order` is any order of its inner classes, and another one afterwards.
    fn fill(
        &self,
        super_class: &SuperClass,
        order: &mut [u32],
        rng: &mut impl Rng,
        batch: &mut Vec<usize>,
    ) {
        let start = batch.len();
        for i in 0..order.len() {
            let full = batch.len() - start;
            if full == self.part() {
                break;
            }
            order.swap(i, rng.random_range(i..order.len()));
            let rows = &super_class[order[i] as usize];
            if self.fits(rows, full) {
                draw(rows, self.take(rows), rng, batch);
            }
        }
    }
}

impl Sampler for HierarchicalSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let mut rng = epoch_rng(self.config.seed, epoch);
        let mut order: Vec<u32> = (0..self.batches() as u32).collect();
        order.shuffle(&mut rng);
        let numbers = |classes: &SuperClass| (0..classes.len() as u32).collect();
        let mut inner: Vec<Vec<u32>> = self.super_classes.iter().map(numbers).collect();
        let (all, k) = (
            self.super_classes.len(),
            self.config.super_classes_per_batch,
        );
        Box::new(order.into_iter().map(move |number| {
            let rank = number as usize % self.combinations;
            let mut batch = Vec::with_capacity(self.config.batch_size);
            for s in combination(rank, all, k) {
                self.fill(&self.super_classes[s], &mut inner[s], &mut rng, &mut batch);
            }
            batch.shuffle(&mut rng);
            batch
        }))
    }

    fn batches(&self) -> usize {
        self.combinations * self.config.batches_per_super_tuple
    }
}

fn level<'a>(arg: &'static str, at: usize, levels: &'a [Labels]) -> Result<&'a Labels> {
    check::indices(arg, [at], levels.len())?;
    Ok(&levels[at])
}

fn group(inner: &Labels, outer: &Labels) -> Result<Vec<SuperClass>> {
    check::length("outer labels", inner.len(), outer.len())?;
    not_empty(inner.as_slice(), "[rows, levels] with at least one row")?;
    let mut groups: BTreeMap<i64, BTreeMap<i64, Vec<usize>>> = BTreeMap::new();
    for (row, (&i, &o)) in inner.as_slice().iter().zip(outer.as_slice()).enumerate() {
        groups.entry(o).or_default().entry(i).or_default().push(row);
    }
    Ok(groups
        .into_values()
        .map(|classes| classes.into_values().collect())
        .collect())
}

#[cfg(test)]
mod tests;
