//! Batches of photos for training and for evaluation, from files to tensors; the peer is torchvision's `DataLoader` with Pillow.
//!
//! Training: a random part of random size, resized to a square, mirrored in half of the cases. Evaluation: the shortest side
//! resized, the middle cut out. Both end with the normalisation of ImageNet. Ours and the peer's read the same files, with as
//! many threads here as worker processes there.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use dml::core::{ImageInput, Interpolation};
use dml::data::augment::{
    Compose, HorizontalFlip, HorizontalFlipConfig, Normalize, NormalizeConfig, RandomResizedCrop,
    RandomResizedCropConfig,
};
use dml::data::{AugmentedImages, ImageFilesConfig, ImageFolder, Resize};
use dml::train::{Loader, Position};
use dml::{Dataset, Sampler};

use super::Workload;
use super::worker::{self, Sample};

/// Images of a batch.
const BATCH: usize = 64;

/// What photos become: purpose, height and width, length of the shortest side before the middle is cut out, filter.
const PURPOSES: &[(&str, usize, usize, &str)] = &[
    ("train", 128, 0, "bilinear"),
    ("train", 224, 0, "bilinear"),
    ("evaluate", 224, 256, "bilinear"),
    ("evaluate", 224, 256, "bicubic"),
];

/// One pass over `most` photos of a folder for each purpose.
pub(super) fn workloads(folder: &Path, most: usize) -> anyhow::Result<Vec<Workload>> {
    let count = open(folder, Resize::Keep, 1, Interpolation::Bilinear)?
        .paths()
        .len()
        .min(most);
    let purposes = PURPOSES.iter().map(|&(what, size, side, filter)| {
        let told = [
            "images".to_owned(),
            what.to_owned(),
            folder.to_string_lossy().into_owned(),
            count.to_string(),
            size.to_string(),
            side.to_string(),
            filter.to_owned(),
        ];
        let id = format!("images/{what}/{size}px-{filter}/N{count}");
        // Random parts differ.
        Workload::new(id, what == "evaluate", told.to_vec(), true)
    });
    Ok(purposes.collect())
}

fn open(
    folder: &Path,
    resize: Resize,
    size: usize,
    interpolation: Interpolation,
) -> anyhow::Result<ImageFolder> {
    let config = ImageFilesConfig {
        size: [size, size],
        resize,
        interpolation,
        ..ImageFilesConfig::default()
    };
    ImageFolder::open(folder, config).with_context(|| format!("--photos {}", folder.display()))
}

/// The worker: a pass over the photos. Its answer is the mean value of all batches, and the number of images.
pub(super) fn serve(told: &[String], threads: usize) -> anyhow::Result<()> {
    let [what, folder, count, size, side, filter] = told else {
        bail!("images: expected train|evaluate FOLDER COUNT SIZE SIDE FILTER, got {told:?}");
    };
    let (count, size, side): (usize, usize, usize) = (count.parse()?, size.parse()?, side.parse()?);
    let filter = match filter.as_str() {
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => bail!("no filter {other}"),
    };
    let folder = Path::new(folder);
    let normalize = Normalize::new(NormalizeConfig::of_input(&ImageInput::imagenet(size, side)))?;
    let photos = match what.as_str() {
        "train" => {
            let crop = RandomResizedCrop::new(RandomResizedCropConfig::new([size, size]))?;
            let flip = HorizontalFlip::new(HorizontalFlipConfig::default())?;
            let changes = Compose::default().with(crop).with(flip).with(normalize);
            AugmentedImages::new(open(folder, Resize::Keep, size, filter)?, changes)?
        }
        "evaluate" => {
            let resize = Resize::ShortestSide(side);
            let steps = Compose::default().with(normalize);
            AugmentedImages::new(open(folder, resize, size, filter)?, steps)?
        }
        other => bail!("no purpose {other}"),
    };
    let order = OnePass {
        rows: (0..count)
            .map(|i| i * photos.labels().len() / count)
            .collect(),
    };
    worker::serve(|| {
        let start = Instant::now();
        let mut loader = Loader::new(photos.clone(), order.clone(), 0, Position::START, threads);
        let (mut sum, mut seen) = (0.0, 0);
        while seen < count {
            let (examples, _) = loader.next_batch()?;
            let images = examples.views().first().context("a batch has a view")?;
            ensure!(images.dims()[1..] == [3, size, size], "{:?}", images.dims());
            // One image of each batch, so that the answers can be compared.
            let mean = images.get(0)?.flatten_all()?.mean_all()?;
            sum += f64::from(mean.to_scalar::<f32>()?);
            seen += examples.len();
        }
        Ok(Sample::since(start, sum, seen as u64))
    })
}

/// Rows in order, once.
#[derive(Clone, Debug)]
struct OnePass {
    rows: Vec<usize>,
}

impl Sampler for OnePass {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let batches = if epoch == Position::START.pass {
            self.batches()
        } else {
            0
        };
        Box::new(self.rows.chunks(BATCH).take(batches).map(<[usize]>::to_vec))
    }

    fn batches(&self) -> usize {
        self.rows.len().div_ceil(BATCH)
    }
}
