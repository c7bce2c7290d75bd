//! `dml train`: from a configuration to a model, its metrics and its page.

use std::path::{Path, PathBuf};

use dml_program::{Interrupt, open_device, println};

use crate::exit::Misuse;
use crate::notes;
use crate::preparation::prepare;
use crate::run::Run;
use crate::run_folder::{self, CONFIG, RunFolder};
use crate::settings::{Override, Settings, in_utf8, load};
use crate::training::Surroundings;

/// What to train, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Configuration. Default: `dml.toml`, if there is one.
    #[arg(value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any field of the configuration, such as `loss.margin=0.2`; may be repeated.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = Override::parse)]
    pub set: Vec<Override>,
    /// Short forms of common fields.
    #[command(flatten)]
    pub flags: Flags,
    /// Print the resolved configuration, and train nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on with an interrupted run from its last checkpoint.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overwrite", "dry_run"])]
    pub resume: Option<PathBuf>,
    /// Replace the run that the folder of the results holds.
    #[arg(long)]
    pub overwrite: bool,
}

/// Short forms of common fields.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Common fields")]
pub struct Flags {
    /// `data.train`: folder of class folders, or table.
    #[arg(long, value_name = "PATH")]
    pub train: Option<PathBuf>,
    /// `data.test`: folder or table to judge by.
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
    /// `backbone.name`: image network.
    #[arg(long, value_name = "NAME")]
    pub backbone: Option<String>,
    /// `backbone.weights`: published weights.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// `backbone.size`: height and width of the images in pixels.
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// `head.embedding`: length of the embeddings.
    #[arg(long, value_name = "N")]
    pub embedding: Option<usize>,
    /// `loss`: the name of a loss, with its defaults.
    #[arg(long, value_name = "NAME")]
    pub loss: Option<String>,
    /// `miner`: the name of a miner, with its defaults.
    #[arg(long, value_name = "NAME")]
    pub miner: Option<String>,
    /// `sampler.batch_size`: rows of a batch.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// `optimizer.lr`: learning rate.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// `train.epochs`: passes over the data.
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// `train.seed`: seed of everything that is random.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// `train.device`: cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// `train.out`: folder of the results.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Flags {
    /// The fields that are given, in the order of the help.
    ///
    /// # Errors
    /// [`Misuse`] for paths that a configuration can't hold.
    fn overrides(&self) -> anyhow::Result<Vec<Override>> {
        let paths = [
            ("train", "data.train", &self.train),
            ("test", "data.test", &self.test),
            ("weights", "backbone.weights", &self.weights),
            ("out", "train.out", &self.out),
        ];
        let given = paths
            .into_iter()
            .filter_map(|(flag, path, value)| Some((flag, path, value.as_ref()?)));
        let mut all = Vec::new();
        for (flag, path, value) in given {
            let argument = format!("--{flag} {}", value.display());
            all.push(Override {
                path: path.to_owned(),
                value: toml::Value::from(in_utf8(value, &argument)?).to_string(),
                argument,
            });
        }
        fn text(value: Option<impl ToString>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        let others = [
            ("backbone", "backbone.name", self.backbone.clone()),
            ("size", "backbone.size", text(self.size)),
            ("embedding", "head.embedding", text(self.embedding)),
            ("loss", "loss", self.loss.clone()),
            ("miner", "miner", self.miner.clone()),
            ("batch", "sampler.batch_size", text(self.batch)),
            ("lr", "optimizer.lr", text(self.lr)),
            ("epochs", "train.epochs", text(self.epochs)),
            ("seed", "train.seed", text(self.seed)),
            ("device", "train.device", self.device.clone()),
        ];
        let others = others
            .into_iter()
            .filter_map(|(flag, path, value)| Some(Override::of_flag(flag, path, value?)));
        all.extend(others);
        Ok(all)
    }
}

/// The file that a command without one reads.
pub(crate) const DEFAULT_CONFIG: &str = "dml.toml";

/// The settings of the arguments.
///
/// # Errors
/// As [`load`].
pub fn settings_of(args: &Args) -> anyhow::Result<Settings> {
    // Flags are short forms; what `--set` says in full comes last.
    let mut overrides = args.flags.overrides()?;
    overrides.extend(args.set.iter().cloned());
    let default = Path::new(DEFAULT_CONFIG);
    let file = match (&args.resume, &args.config) {
        (Some(run), _) => Some(run.join(CONFIG)),
        (None, Some(file)) => Some(file.clone()),
        (None, None) => default.exists().then(|| default.to_owned()),
    };
    Ok(load(file.as_deref(), &overrides)?)
}

/// Trains.
///
/// # Errors
/// [`Problem`](crate::settings::Problem) for a configuration that makes no run, [`Interrupted`](crate::exit::Interrupted) after Ctrl-C, and whatever
/// keeps data, weights and results from being read and written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(run) = &args.resume
        && !run_folder::is_run(run)
    {
        let shown = run.display();
        return Err(Misuse::error(format!(
            "--resume {shown}: expected the folder of a run, with {CONFIG}"
        )));
    }
    let mut settings = settings_of(args)?;
    if args.dry_run {
        notes::leave_output_alone();
    }
    let device = open_device(&settings.train.device)
        .map_err(|error| settings.problem("train.device", error))?;
    let surroundings = Surroundings {
        device,
        folder: args.resume.clone().unwrap_or(settings.train.out.clone()),
        interrupt: Interrupt::listen()?,
    };
    let prepared = prepare(&mut settings, &surroundings)?;
    if args.dry_run {
        println!("{}", settings.to_toml(true).trim_end());
        return Ok(());
    }
    let run = match &args.resume {
        Some(_) => RunFolder::open(&surroundings.folder)?,
        None => RunFolder::create(&surroundings.folder, args.overwrite)?,
    };
    Run {
        settings,
        prepared,
        device: surroundings.device,
        run,
        interrupt: surroundings.interrupt,
        is_resumed: args.resume.is_some(),
    }
    .train()
}
