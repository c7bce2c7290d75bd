//! The command line.

use std::path::PathBuf;

use anyhow::ensure;
use dml::train::ParameterRulesConfig;
use dml_program::number::{self, within};
use serde::Serialize;

use super::results;

/// Images of a class in a batch, unless there are too few classes to fill it.
pub(super) const PER_CLASS: usize = 4;
/// Height and width of the images of the small network, in pixels.
const SMALL_SIZE: usize = 64;
/// The smallest images of the small network, in pixels.
const SMALLEST: usize = 8;
/// The smallest images of a backbone: they are halved five times.
const SMALLEST_OF_BACKBONES: usize = 32;
/// The largest images, in pixels.
const LARGEST: usize = 512;
/// Learning rate of the backbone as a share of the head's.
const BACKBONE_RATE: f64 = 0.1;

/// What to learn from, what to test with, and how.
#[derive(Clone, Debug, PartialEq, Serialize, clap::Parser)]
#[command(
    name = "image_folder",
    about = "Learns an embedding from a folder of class folders, and judges it by classes that it has never seen."
)]
pub struct Args {
    /// The folder to learn from: a folder of pictures for each class, at any depth.
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "results::shown")]
    pub train: PathBuf,
    /// The folder to test with: the same with other classes.
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "results::shown")]
    pub test: PathBuf,
    /// Network of `dml_models` to fine-tune, such as `mobilenet_v2` or `resnet18`. Default: a small network.
    #[arg(long, value_name = "NAME")]
    pub backbone: Option<String>,
    /// Weights of the backbone, `.safetensors` or `.pth`. Default: random weights.
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "results::shown_if_given")]
    pub weights: Option<PathBuf>,
    /// Train the head alone; the backbone keeps its weights.
    #[arg(long)]
    pub freeze: bool,
    /// Freeze the stem of the backbone (1), the stem and the first block (2), and so on.
    #[arg(long, default_value_t = 0, value_parser = within(0usize, 1_000))]
    pub freeze_below: usize,
    /// Epoch, from 1, in which frozen weights of the backbone begin to learn. Default: never.
    #[arg(long, value_name = "EPOCH", value_parser = within(1u64, 1_000_000))]
    pub unfreeze_at: Option<u64>,
    /// Factor of the backbone's learning rate from each block to the one before it, up to 1.
    #[arg(long, default_value_t = 1.0, value_parser = number::rate)]
    pub layer_decay: f64,
    /// Passes over the training pictures.
    #[arg(long, default_value_t = 20, value_parser = within(0u64, 1_000_000))]
    pub epochs: u64,
    /// Height and width of the network's input in pixels, 8 to 512, with a backbone 32 to 512. Default: the backbone's, or
    /// 64.
    #[arg(long, value_parser = within(SMALLEST, LARGEST))]
    pub size: Option<usize>,
    /// Pictures of a batch, at least 8.
    #[arg(long, default_value_t = 64, value_parser = within(8usize, 1_000_000))]
    pub batch: usize,
    /// Length of an embedding; 0 for the features of the backbone without a head.
    #[arg(long, default_value_t = 64, value_parser = within(0usize, 65_536))]
    pub embedding: usize,
    /// Learning rate of the small network (`Adam`), or of the head on a backbone (`AdamW`).
    #[arg(long, default_value_t = 0.001, value_parser = number::rate)]
    pub lr: f64,
    /// Learning rate of the backbone (`AdamW`). Default: a tenth of `--lr`.
    #[arg(long, value_parser = number::rate)]
    pub backbone_lr: Option<f64>,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Change the training pictures at random each time: cut out, mirrored, in other colours. With a backbone they are always
    /// cut out and mirrored, and this changes the colours as well.
    #[arg(long)]
    pub augment: bool,
    /// Threads that decode pictures ahead; no result depends on it.
    #[arg(long, default_value_t = 2, value_parser = within(0usize, 1024))]
    pub threads: usize,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "target/image_folder")]
    #[serde(serialize_with = "results::shown")]
    pub out: PathBuf,
}

impl Args {
    /// Whether the arguments fit each other: a program that calls the example passes no command line.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let (of_backbone, smallest) = match self.backbone {
            Some(_) => (" with --backbone", SMALLEST_OF_BACKBONES),
            None => ("", SMALLEST),
        };
        let size = self.size.unwrap_or(SMALL_SIZE);
        ensure!(
            (smallest..=LARGEST).contains(&size),
            "--size: expected {smallest} to {LARGEST}{of_backbone}, got {size}"
        );
        let (batch, least) = (self.batch, 2 * PER_CLASS);
        ensure!(
            batch >= least,
            "--batch: expected at least {least}, got {batch}"
        );
        if self.backbone.is_none() {
            for (flag, is_given) in [
                ("--weights", self.weights.is_some()),
                ("--freeze", self.freeze),
                ("--freeze-below", self.freeze_below > 0),
                ("--layer-decay", self.layer_decay != 1.0),
                ("--backbone-lr", self.backbone_lr.is_some()),
            ] {
                ensure!(!is_given, "{flag}: expected a --backbone with it, got none");
            }
            ensure!(
                self.embedding >= 1,
                "--embedding: expected at least 1 without --backbone, got 0"
            );
        }
        ensure!(
            self.unfreeze_at.is_none() || self.freeze || self.freeze_below > 0,
            "--unfreeze-at: expected --freeze or --freeze-below with it, got neither"
        );
        let is_decay = self.layer_decay > 0.0 && self.layer_decay <= 1.0;
        ensure!(
            is_decay,
            "--layer-decay: expected a number above 0 and up to 1, got {}",
            self.layer_decay
        );
        if self.freeze && self.unfreeze_at.is_none() {
            ensure!(
                self.embedding >= 1,
                "--embedding: expected at least 1 with --freeze, since the head alone learns, got 0"
            );
            ensure!(
                self.backbone_lr.is_none(),
                "--backbone-lr: expected a backbone that learns, got --freeze"
            );
        }
        Ok(())
    }

    /// Height and width of the small network's input.
    pub(super) fn small_size(&self) -> usize {
        self.size.unwrap_or(SMALL_SIZE)
    }

    /// How the parameters of the backbone learn; the head is a layer above it, if there is one.
    pub(super) fn rules_of_backbone(&self) -> ParameterRulesConfig {
        ParameterRulesConfig {
            layer_decay: self.layer_decay,
            layers_above: usize::from(self.embedding > 0),
            freeze_below: self.freeze_below,
            unfreeze_at: self.unfreeze_at,
            ..ParameterRulesConfig::default()
        }
    }

    /// Learning rate of the backbone.
    pub(super) fn rate_of_backbone(&self) -> f64 {
        self.backbone_lr.unwrap_or(self.lr * BACKBONE_RATE)
    }
}
