//! Pictures changed at random each time they are read, in one view or several.
//!
//! ```text
//! view v of row r = augmentation_v(picture r, seed(batch, r, how often r came before in the batch, v))
//! ```
//!
//! A batch's seed comes from the run's seed, the pass and the batch's number, so a view depends on these and the row,
//! never on which thread makes it. A row that comes twice in a batch is changed in two ways: as one picture it would be
//! its own positive at distance 0.

use std::collections::HashMap;
use std::sync::Arc;

use dml_core::{Dataset, Examples, Labels, Result, check, mix_seed};

use crate::ImageSource;
use crate::augment::Augmentation;
use crate::image::{LONGEST, Stack};

/// Augmented pictures ([rule](self)): a [`Dataset`] of one tensor `[rows, channels, height, width]` a view.
///
/// Two views are what trainers without labels ask for, such as `SimCLR`'s (Chen, Kornblith, Norouzi, Hinton 2020, arXiv
/// 2002.05709): every row against its own other view.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::augment::{RandomCrop, RandomCropConfig};
/// use dml_data::synthetic::{Split, SyntheticDigits, SyntheticDigitsConfig};
/// use dml_data::AugmentedImages;
///
/// let digits = SyntheticDigits::new(SyntheticDigitsConfig::default())?.dataset(Split::Train, 10)?;
/// let crop = RandomCrop::new(RandomCropConfig::new([24, 24]))?;
/// let pairs = AugmentedImages::two_views(digits, crop)?;
/// let examples = pairs.fetch(&[3, 1], 0)?;
/// assert_eq!(examples.views().len(), 2);
/// assert_eq!(examples.views()[1].dims(), [2, 1, 24, 24]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AugmentedImages<S> {
    source: S,
    views: Vec<Arc<dyn Augmentation>>,
    shapes: Vec<[usize; 3]>,
}

impl<S: ImageSource> AugmentedImages<S> {
    /// One view of each picture.
    ///
    /// # Errors
    /// As [`with_views`](Self::with_views).
    pub fn new(source: S, augmentation: impl Augmentation + 'static) -> Result<Self> {
        Self::with_views(source, vec![Arc::new(augmentation)])
    }

    /// Two views of each picture by the same augmentation, each with draws of its own.
    ///
    /// # Errors
    /// As [`with_views`](Self::with_views).
    pub fn two_views(source: S, augmentation: impl Augmentation + 'static) -> Result<Self> {
        let augmentation: Arc<dyn Augmentation> = Arc::new(augmentation);
        Self::with_views(source, vec![augmentation.clone(), augmentation])
    }

    /// A view of each picture for every augmentation, such as a weak and a strong one.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) without a view, [`Error::Shape`](dml_core::Error::Shape) if an
    /// augmentation can't be done to pictures of this shape, [`Error::Unsupported`](dml_core::Error::Unsupported) if every
    /// picture has a size of its own and an augmentation doesn't give all of them one size.
    pub fn with_views(source: S, views: Vec<Arc<dyn Augmentation>>) -> Result<Self> {
        check::present(views.first(), "AugmentedImages", "at least one view")?;
        let shapes = views.iter().map(|view| output_shape(view, source.shape()));
        Ok(Self {
            shapes: shapes.collect::<Result<_>>()?,
            source,
            views,
        })
    }

    /// Where the pictures come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }
}

/// Shape of all images of a view; `input` has height and width 0 if every image has a size of its own.
fn output_shape(view: &dyn Augmentation, input: [usize; 3]) -> Result<[usize; 3]> {
    let [channels, height, width] = input;
    if height > 0 && width > 0 {
        return view.output_shape(input);
    }
    // The extremes of sizes must come out alike.
    let sizes = [[1, 1], [1, LONGEST], [LONGEST, 1], [LONGEST, LONGEST]];
    let mut shapes = sizes.iter().map(|&[height, width]| {
        let shape = view.output_shape([channels, height, width]);
        shape.ok()
    });
    let first = shapes.next().flatten();
    let shape = first.filter(|first| shapes.all(|shape| shape == Some(*first)));
    let reason = "expected an augmentation that brings images of any size to one size, such as RandomResizedCrop, since \
                  every image has a size of its own";
    check::supported(shape.is_some(), "AugmentedImages", reason)?;
    Ok(shape.unwrap_or(input))
}

impl<S: ImageSource> Dataset for AugmentedImages<S> {
    fn labels(&self) -> &Labels {
        self.source.labels()
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.source.labels().len())?;
        let mut times: HashMap<usize, u64> = HashMap::new();
        let stacks = self
            .shapes
            .iter()
            .map(|shape| Stack::new(rows.len(), *shape));
        let mut stacks: Vec<Stack> = stacks.collect();
        for &row in rows {
            let time = times.entry(row).or_default();
            let seed = mix_seed(mix_seed(seed, row as u64), *time);
            *time += 1;
            let views: Vec<_> = (0..)
                .zip(&self.views)
                .map(|(number, view)| (view, mix_seed(seed, number)))
                .collect();
            let image = self.source.image(row)?;
            let copies = std::iter::repeat_n(image, views.len());
            for (((view, seed), stack), image) in views.iter().zip(&mut stacks).zip(copies) {
                stack.push(&view.apply(image, *seed)?)?;
            }
        }
        let views = stacks.into_iter().map(Stack::into_tensor);
        Examples::with_views(views.collect::<Result<_>>()?, rows, self.source.labels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageDataset;
    use crate::augment::{
        Compose, HorizontalFlip, HorizontalFlipConfig, RandomCrop, RandomCropConfig,
    };
    use dml_core::Error;

    fn images() -> ImageDataset {
        let pixels = (0..4 * 64).map(|i| i as u8).collect();
        ImageDataset::new("x", (8, 8), pixels, [0u8, 1, 0, 1], ["a", "b"]).unwrap()
    }

    fn augmentation() -> Compose {
        Compose::default()
            .with(RandomCrop::new(RandomCropConfig::new([4, 4])).unwrap())
            .with(HorizontalFlip::new(HorizontalFlipConfig::default()).unwrap())
    }

    /// The values of each row of a view.
    fn values(examples: &Examples, view: usize) -> Vec<Vec<f32>> {
        let view = examples.views()[view].flatten_from(1).unwrap();
        view.to_vec2().unwrap()
    }

    #[test]
    fn a_view_depends_on_seed_and_row_alone() -> Result<()> {
        let set = AugmentedImages::new(images(), augmentation())?;
        let all = values(&set.fetch(&[0, 1, 2, 3], 5)?, 0);
        let some = values(&set.fetch(&[3, 1], 5)?, 0);
        assert_eq!(some, [all[3].clone(), all[1].clone()]);
        assert_ne!(values(&set.fetch(&[0, 1, 2, 3], 6)?, 0), all);
        Ok(())
    }

    #[test]
    fn views_and_repetitions_of_a_row_differ() -> Result<()> {
        let set = AugmentedImages::two_views(images(), augmentation())?;
        let rows = [2; 12];
        let examples = set.fetch(&rows, 0)?;
        let (first, second) = (values(&examples, 0), values(&examples, 1));
        // 25 places and 2 directions: twelve equal ones are no accident.
        assert!(first.iter().any(|other| *other != first[0]));
        assert_ne!(first, second);
        assert_eq!(examples.labels().as_slice(), [0; 12]);
        Ok(())
    }

    #[test]
    fn what_can_not_be_done_is_said_at_once() {
        let large = RandomCrop::new(RandomCropConfig::new([9, 4])).unwrap();
        assert!(matches!(
            AugmentedImages::new(images(), large),
            Err(Error::Shape { arg: "image", .. })
        ));
        assert!(matches!(
            AugmentedImages::with_views(images(), vec![]),
            Err(Error::Missing { .. })
        ));
        let set = AugmentedImages::new(images(), augmentation()).unwrap();
        let message = set.fetch(&[0, 4], 0).unwrap_err().to_string();
        assert_eq!(message, "rows[1]: expected an index below 4, got 4");
    }

    #[test]
    fn no_rows_are_an_empty_batch() -> Result<()> {
        let set = AugmentedImages::new(images(), augmentation())?;
        assert_eq!(set.fetch(&[], 0)?.views()[0].dims(), [0, 1, 4, 4]);
        Ok(())
    }
}
