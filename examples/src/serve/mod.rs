//! "Which are nearest?" from the command line: a trained model, an index of a gallery, and pictures to look for.
//!
//! ```text
//! cargo xtask mnist --out RUN                                         → RUN/model.safetensors
//! serve --model RUN/model.safetensors --index RUN/digits.index --build  → RUN/digits.index, RUN/digits.index.json
//! serve --model RUN/model.safetensors --index RUN/digits.index picture.png
//! ```
//!
//! The gallery is the training digits, by the cosine of their embeddings. The index file holds the embeddings and is
//! checked when it is read; the file beside it says what each row is.

mod gallery;
mod network;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use dml::TensorExt;
use dml::candle_core::{Device, Tensor};
use dml::data::{ImageFiles, ImageFilesConfig, Normalization, Resize};
use dml::eval::{FlatIndex, FlatMetric, KnnIndex, load_index};
use dml::nn::{Layer, Sequential};
use dml::{Dataset, Labels, no_grad};
use dml_program::number::within;

use gallery::Gallery;

/// Pictures embedded at a time.
const BLOCK: usize = 512;

/// What to look for, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The parameters that `cargo xtask mnist` has written: `model.safetensors`.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// The index; a file with `.json` behind its name says what its rows are.
    #[arg(long, value_name = "FILE")]
    pub index: PathBuf,
    /// Build the index from the training digits, in place of one that is there.
    #[arg(long)]
    pub build: bool,
    /// The folder with the four files of MNIST to build from; without it, digits drawn by a program.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Build from the first digits only.
    #[arg(long, value_name = "N", value_parser = within(1usize, 1_000_000))]
    pub limit: Option<usize>,
    /// How many neighbours to tell of.
    #[arg(short, default_value_t = 5, value_parser = within(1usize, 10_000_000))]
    pub k: usize,
    /// Pictures to look for, PNG or JPEG of any size: a light digit on dark.
    #[arg(value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
}

/// A digit of the gallery that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its row in the gallery.
    pub row: u32,
    /// What it is.
    pub label: i64,
    /// The cosine of the two embeddings.
    pub cosine: f64,
}

/// Builds if asked to, looks for every picture, prints to `out`; the neighbours of each picture, nearest first.
///
/// # Errors
/// One sentence for a file that is missing, damaged or of another model, and for a number out of range.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Vec<Vec<Found>>> {
    ensure!(args.k >= 1, "-k: expected at least 1, got 0");
    let network = network::load(&args.model)?;
    if args.build {
        let (gallery, index) = build(args, &network)?;
        index.save(&args.index)?;
        gallery.write(&args.index)?;
        writeln!(
            out,
            "{}: {} {} digits",
            args.index.display(),
            index.len(),
            gallery.source
        )?;
    }
    if args.pictures.is_empty() {
        ensure!(args.build, "expected --build, or pictures to look for");
        return Ok(Vec::new());
    }
    if !args.index.exists() {
        bail!("{}: no such index; --build makes it", args.index.display());
    }
    let index = load_index(&args.index)?;
    let gallery = Gallery::read(&args.index, index.len())?;
    let queries = embed(&network, &pictures(&args.pictures)?)?;
    let k = args.k.min(index.len());
    let neighbors = index
        .search(&queries, k)
        .with_context(|| format!("{}: was it built with this model?", args.index.display()))?;
    let mut all = Vec::new();
    for (picture, (rows, cosines)) in args.pictures.iter().zip(neighbors.iter()) {
        let found = |(row, cosine): (&u32, &f64)| Found {
            row: *row,
            label: gallery.labels[*row as usize],
            cosine: *cosine,
        };
        let found: Vec<Found> = rows.iter().zip(cosines).map(found).collect();
        writeln!(out, "{}:", picture.display())?;
        for Found { row, label, cosine } in &found {
            writeln!(
                out,
                "  a {label}, cosine {cosine:.4}, digit {row} of the gallery"
            )?;
        }
        all.push(found);
    }
    Ok(all)
}

/// The gallery and its index.
fn build(args: &Args, network: &Sequential) -> anyhow::Result<(Gallery, FlatIndex)> {
    let (source, digits) = gallery::digits(args.data_dir.as_deref(), args.limit)?;
    let labels: Labels = digits.labels().clone();
    let digits = digits.normalized(Normalization::MNIST);
    let mut index = FlatIndex::new(FlatMetric::Cosine);
    let rows: Vec<usize> = (0..labels.len()).collect();
    for rows in rows.chunks(BLOCK) {
        let examples = digits.fetch(rows, 0)?;
        index.add(&embed(network, &examples.views()[0])?)?;
    }
    let labels = labels.as_slice().to_vec();
    Ok((Gallery { source, labels }, index))
}

/// Embeddings as `cargo xtask mnist` measures them: of length 1, and outside of the graph.
fn embed(network: &Sequential, images: &Tensor) -> anyhow::Result<Tensor> {
    Ok(no_grad(|| network.forward(images)?.normalize_rows(2.0))?)
}

/// Pictures as the network knows digits: grey, 28 × 28, normalised.
fn pictures(paths: &[PathBuf]) -> anyhow::Result<Tensor> {
    let config = ImageFilesConfig {
        size: [28, 28],
        channels: 1,
        resize: Resize::Pad,
        ..ImageFilesConfig::default()
    };
    let labels = vec![0i64; paths.len()];
    let source = Path::new("the command line");
    let files = ImageFiles::new(source, paths.to_vec(), labels, ["unknown"], config)?;
    let rows: Vec<usize> = (0..paths.len()).collect();
    let unit = files.fetch(&rows, 0)?.views()[0].to_device(&Device::Cpu)?;
    let Normalization { mean, std } = Normalization::MNIST;
    Ok(unit.affine(1.0 / f64::from(std), -f64::from(mean / std))?)
}
