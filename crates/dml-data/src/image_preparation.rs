//! From image files to the input of a pretrained network: once for training, once for everything else.
//!
//! ```text
//! training:    file → resized → augmented (by default a random crop, mirrored at random) → normalised
//! evaluation:  file → resized → cropped at the centre → normalised
//! ```
//!
//! In training the crop is taken from the whole resized image, not from the centre that the evaluation keeps.

use dml_core::candle_core::Tensor;
use dml_core::{Crop, Dataset, ImageInput, Result};

use crate::augment::{
    Augmentation, AugmentationConfig, Compose, HorizontalFlipConfig, Normalize, NormalizeConfig,
    RandomResizedCropConfig,
};
use crate::{AugmentedImages, Image, ImageFilesConfig, ImageSource, Unreadable};

/// Smallest and largest share of an image that the default crop keeps.
const KEPT: [f64; 2] = [0.6, 1.0];

dml_core::config! {
    /// Configuration of [`ImagePreparation`].
    pub struct ImagePreparationConfig {
        /// The input of the network, such as `Backbone::image_input` of the crate `dml-models` returns it.
        pub input: ImageInput;
        /// Height and width of the images in pixels. The length of the resizing keeps its proportion to them. Default: those of
        /// the input.
        pub size: Option<usize> = None,
        /// Changes of training images, before they are normalised; the result has the size of the input. Default: a random
        /// crop of 0.6 to 1 of the area, and a horizontal flip in half of the cases.
        pub augmentations: Option<Vec<AugmentationConfig>> = None,
        /// What to do about files that can't be decoded. Default: refuse them.
        pub unreadable: Unreadable = Unreadable::default(),
        /// Most bytes of memory that one image may take while it is read; see [`ImageFilesConfig::memory_limit`].
        pub memory_limit: u64 = ImageFilesConfig::default().memory_limit,
    }
}

/// How image files become the input of a network ([steps](self)).
///
/// ```
/// use dml_core::{Dataset, ImageInput};
/// use dml_data::{ImageFolder, ImagePreparation, ImagePreparationConfig};
///
/// let root = tempfile::tempdir()?;
/// std::fs::create_dir(root.path().join("owl"))?;
/// image::RgbImage::new(50, 40).save(root.path().join("owl/1.png"))?;
///
/// let config = ImagePreparationConfig { size: Some(32), ..ImagePreparationConfig::new(ImageInput::imagenet(224, 256)) };
/// let preparation = ImagePreparation::new(config)?;
/// let folder = ImageFolder::open(root.path(), preparation.training_files().clone())?;
/// let train = preparation.training(folder)?;
/// assert_eq!(train.fetch(&[0], 0)?.views()[0].dims(), [1, 3, 32, 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImagePreparation {
    input: ImageInput,
    training_files: ImageFilesConfig,
    evaluation_files: ImageFilesConfig,
    augmentation: Compose,
    normalize: Normalize,
}

impl ImagePreparation {
    /// # Errors
    /// As [`ImageFilesConfig::of_input`] and the augmentations; [`Error::Shape`](dml_core::Error::Shape) for augmentations
    /// that do not give images of the size of the input.
    pub fn new(config: ImagePreparationConfig) -> Result<Self> {
        let input = match config.size {
            None => config.input,
            Some(size) => resized(&config.input, size),
        };
        let mut uncropped = input.clone();
        if input.crop == Crop::Center {
            uncropped.size = [input.resize, input.resize];
        }
        let files = |input: &ImageInput| -> Result<ImageFilesConfig> {
            Ok(ImageFilesConfig {
                unreadable: config.unreadable,
                memory_limit: config.memory_limit,
                ..ImageFilesConfig::of_input(input)?
            })
        };
        let (training_files, evaluation_files) = (files(&uncropped)?, files(&input)?);
        let normalize = Normalize::new(NormalizeConfig::of_input(&input))?;
        let augmentations = config.augmentations.unwrap_or_else(|| standard(input.size));
        let augmentation = Compose::from_configs(&augmentations)?;
        let [height, width] = uncropped.size;
        let got = augmentation.output_shape([3, height, width])?;
        let expected =
            "augmentations that end with the channels, height and width of the network's input";
        let fits = got == [3, input.size[0], input.size[1]];
        dml_core::check::dims(fits, "augmentations", &got, expected)?;
        Ok(Self {
            input,
            training_files,
            evaluation_files,
            augmentation: augmentation.with(normalize.clone()),
            normalize,
        })
    }

    /// The input of the network, with the size that was asked for.
    #[must_use]
    pub fn input(&self) -> &ImageInput {
        &self.input
    }

    /// How files are read for [`training`](Self::training): resized, and not cropped.
    #[must_use]
    pub fn training_files(&self) -> &ImageFilesConfig {
        &self.training_files
    }

    /// How files are read for [`evaluation`](Self::evaluation): resized and cropped.
    #[must_use]
    pub fn evaluation_files(&self) -> &ImageFilesConfig {
        &self.evaluation_files
    }

    /// Images that were read by [`training_files`](Self::training_files), augmented and normalised.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for images of another size.
    pub fn training<S: ImageSource>(&self, images: S) -> Result<AugmentedImages<S>> {
        AugmentedImages::new(images, self.augmentation.clone())
    }

    /// The same in two views, each augmented by itself: for methods without labels.
    ///
    /// # Errors
    /// As [`training`](Self::training).
    pub fn two_views<S: ImageSource>(&self, images: S) -> Result<AugmentedImages<S>> {
        AugmentedImages::two_views(images, self.augmentation.clone())
    }

    /// Images that were read by [`evaluation_files`](Self::evaluation_files), normalised.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for images of another number of channels.
    pub fn evaluation<S: ImageSource>(&self, images: S) -> Result<AugmentedImages<S>> {
        AugmentedImages::new(images, self.normalize.clone())
    }

    /// The input `[1, 3, height, width]` of an image file in memory; `name` is for messages.
    ///
    /// # Errors
    /// [`DataError::Image`](crate::DataError::Image) if it can't be decoded.
    pub fn decode(&self, name: &str, bytes: &[u8]) -> crate::Result<Tensor> {
        let image = crate::image_files::decode(name, bytes, &self.evaluation_files)?;
        let image = self.normalize.apply(image, 0)?;
        let shape = image.shape();
        Ok(Image::stack(&[image], shape)?)
    }

    /// The inputs `[rows, 3, height, width]` of images that were read by [`evaluation_files`](Self::evaluation_files).
    ///
    /// # Errors
    /// [`Error::Dataset`](dml_core::Error::Dataset) if one can't be read.
    pub fn batch<S: ImageSource + Clone>(&self, images: &S, rows: &[usize]) -> Result<Tensor> {
        let prepared = self.evaluation(images.clone())?;
        Ok(prepared.fetch(rows, 0)?.views()[0].clone())
    }
}

/// A part of random size and proportions, mirrored at random.
fn standard(size: [usize; 2]) -> Vec<AugmentationConfig> {
    let crop = RandomResizedCropConfig {
        scale: KEPT,
        ..RandomResizedCropConfig::new(size)
    };
    let flip = HorizontalFlipConfig::default();
    vec![
        AugmentationConfig::RandomResizedCrop(crop),
        AugmentationConfig::HorizontalFlip(flip),
    ]
}

/// Square images of another size, resized in the same proportion.
fn resized(input: &ImageInput, size: usize) -> ImageInput {
    let mut input = input.clone();
    let longest = input.size[0].max(input.size[1]).max(1);
    // Rounded down, as torchvision's 256 for 224.
    input.resize = (input.resize.saturating_mul(size) / longest).max(size);
    input.size = [size, size];
    input
}

#[cfg(test)]
mod tests {
    use dml_core::{ChannelOrder, Error};

    use super::*;
    use crate::augment::RandomCropConfig;

    fn of(change: impl FnOnce(&mut ImagePreparationConfig)) -> Result<ImagePreparation> {
        let mut config = ImagePreparationConfig::new(ImageInput::imagenet(224, 256));
        change(&mut config);
        ImagePreparation::new(config)
    }

    #[test]
    fn another_size_keeps_the_proportion_of_the_resizing() -> Result<()> {
        let sized = |size| of(|config| config.size = Some(size));
        let smaller = sized(112)?;
        assert_eq!(
            (smaller.input().size, smaller.input().resize),
            ([112, 112], 128)
        );
        assert_eq!(sized(32)?.input().resize, 36);
        assert_eq!(*sized(224)?.input(), ImageInput::imagenet(224, 256));
        assert!(sized(0).is_err());
        Ok(())
    }

    #[test]
    fn a_random_crop_is_taken_from_the_whole_resized_image() -> Result<()> {
        let preparation = of(|config| config.size = Some(112))?;
        assert_eq!(preparation.training_files().size, [128, 128]);
        assert_eq!(preparation.evaluation_files().size, [112, 112]);
        let shape = preparation.augmentation.output_shape([3, 128, 128])?;
        assert_eq!(shape, [3, 112, 112]);
        assert_eq!(preparation.augmentation.len(), 3);
        Ok(())
    }

    #[test]
    fn augmentations_end_with_the_size_of_the_input() -> Result<()> {
        let crop = |size| {
            let crop = AugmentationConfig::RandomCrop(RandomCropConfig::new([size, size]));
            of(|config| config.augmentations = Some(vec![crop]))
        };
        assert!(crop(224).is_ok());
        assert!(matches!(
            crop(200),
            Err(Error::Shape {
                arg: "augmentations",
                ..
            })
        ));
        // Without a crop, images would be as large as they are resized.
        assert!(of(|config| config.augmentations = Some(Vec::new())).is_err());
        Ok(())
    }

    #[test]
    fn another_order_of_channels_is_refused() {
        let error = of(|config| config.input.channel_order = ChannelOrder::Bgr).unwrap_err();
        assert!(error.to_string().ends_with("got Bgr"), "{error}");
    }

    #[test]
    fn an_image_in_memory_is_prepared_as_one_of_a_data_set()
    -> std::result::Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("a.png");
        let pixel = |x: u32, y: u32| image::Rgb([(x * 5) as u8, (y * 6) as u8, 9]);
        image::RgbImage::from_fn(50, 40, pixel).save(&path)?;
        let preparation = of(|config| config.size = Some(32))?;
        let config = preparation.evaluation_files().clone();
        let files = crate::ImageFiles::new(root.path(), [path.clone()], [0i64], ["a"], config)?;
        let bytes = std::fs::read(&path)?;
        let alone = preparation.decode("a.png", &bytes)?;
        assert_eq!(alone.dims(), [1, 3, 32, 32]);
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        assert_eq!(values(&alone)?, values(&preparation.batch(&files, &[0])?)?);
        assert!(preparation.decode("a.png", &bytes[..30]).is_err());
        Ok(())
    }
}
