//! An embedding learnt from a folder of class folders and judged by a folder of classes that it has never seen.
//!
//! ```text
//! without --backbone: images → (conv 3×3 → relu → max pool 2) until the side is at most 8 → linear → embedding; Adam
//! with --backbone:    images → pretrained network → features → linear → embedding; AdamW
//! loss: triplet margin 0.2 by cosine on semihard triplets; batches of some images of each of some classes
//! ```
//!
//! The images need no preparation: PNG or JPEG of any size in a folder for each class. Files that can't be decoded are left
//! out and listed. A backbone gets them resized, cropped and normalised as it was pretrained; in training, the crop and the
//! mirroring are random. Its learning rate is a tenth of the head's.
//!
//! The folder `--out` gets `metrics.json`, `model.safetensors`, and `report.html`, a page with the metrics before and after
//! training, the curve of the loss and pictures of the embeddings. The tensors of a backbone have the names of its published
//! weights, those of the linear layer are `head.weight` and `head.bias`.

mod args;
mod data;
mod model;
mod report;
mod results;

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Instant;

use dml::data::ImageSource;
use dml::samplers::{MPerClassSampler, MPerClassSamplerConfig};
use dml::train::{Flow, Trainer};

use crate::evaluation;
use args::PER_CLASS;
use model::Model;

pub use args::Args;
pub use results::{FolderSummary, Results};

/// Learns, judges, prints to `out`, writes the files.
///
/// # Errors
/// One sentence for a folder that is not there, has no pictures or too few classes, for arguments out of range, for an unknown
/// backbone, and for weights that don't fit it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Results> {
    args.check()?;
    let model = Model::build(args, out)?;
    let train = model.preparation.open_train(&args.train)?;
    let test = model.preparation.open_test(&args.test)?;
    let _lock = results::create_folder(&args.out)?;
    for (what, folder) in [("to learn from", &train), ("to test with", &test)] {
        let summary = FolderSummary::of(folder);
        writeln!(out, "{summary} {what}")?;
        for skipped in folder.skipped() {
            writeln!(
                out,
                "  left out {}: {}",
                skipped.path.display(),
                skipped.reason
            )?;
        }
    }
    if let Some(sentence) = data::shared_classes(&train, &test) {
        writeln!(out, "{sentence}")?;
    }

    let sampler = sampler(args, &train)?;
    let losses = Rc::new(RefCell::new(Vec::new()));
    let seen = losses.clone();
    let mut trainer = Trainer::builder(
        model.method,
        model.preparation.training_set(&train)?,
        sampler,
    )
    .with_seed(args.seed)
    .with_loading_threads(args.threads)
    .on_epoch(move |epoch, _| {
        seen.borrow_mut().push(epoch.mean_loss);
        Ok(Flow::Continue)
    })
    .build()?;

    let labels = dml::Dataset::labels(&test);
    let test_set = model.preparation.test_set(&test)?;
    let embeddings = evaluation::embed(&trainer, &*test_set, model.embedded)?;
    let untrained = evaluation::evaluate(&embeddings, labels, &[])?;
    let start = Instant::now();
    for epoch in 1..=args.epochs {
        trainer.run(epoch)?;
        if let Some(loss) = losses.borrow().last() {
            writeln!(out, "epoch {epoch}: loss {loss:.4}")?;
        }
    }
    let train_seconds = start.elapsed().as_secs_f64();
    let embeddings = evaluation::embed(&trainer, &*test_set, model.embedded)?;
    let trained = evaluation::evaluate(&embeddings, labels, &[])?;
    let results = Results {
        metrics: trained,
        metrics_before_training: untrained,
        losses: losses.take(),
        train_seconds,
        train: FolderSummary::of(&train),
        test: FolderSummary::of(&test),
        input: test.shape(),
        config: args.clone(),
    };
    results.write(&*model.network)?;
    report::write(&results, &embeddings, &test)?;
    write!(out, "{}", results.table())?;
    writeln!(
        out,
        "trained in {train_seconds:.1} s; results in {}",
        args.out.display()
    )?;
    Ok(results)
}

/// Balanced batches of at most `args.batch` pictures, such that an epoch is a pass over all of them.
fn sampler(args: &Args, train: &dml::data::ImageFolder) -> anyhow::Result<MPerClassSampler> {
    let labels = dml::Dataset::labels(train);
    let mut present = labels.as_slice().to_vec();
    present.sort_unstable();
    present.dedup();
    let m = (args.batch / present.len()).max(PER_CLASS);
    let classes = (args.batch / m).min(present.len());
    let config = MPerClassSamplerConfig {
        batch_size: Some(m * classes),
        coverage: true,
        seed: args.seed,
        ..MPerClassSamplerConfig::new(m)
    };
    Ok(MPerClassSampler::new(config, labels)?)
}
