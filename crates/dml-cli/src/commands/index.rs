//! `dml index`: embeddings of a gallery, ready to be searched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::config::KnnConfig;
use dml::encoder::Encoder;
use dml::eval::{Collection, Items};
use dml_program::println;

use crate::device::DeviceArgs;
use crate::exit::Misuse;
use crate::inputs::{InputArgs, InputSource, NamedInputs};
use crate::run_folder::{CONFIG, INDEX, is_run, model_of};
use crate::settings::{SearchSettings, load};

/// What to index, and where the index goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a model.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The data.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Folder of the index. Default: `index.dml` in the folder of the run.
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Kind of index, by its name or as `{ name = "…", … }`; `dml list indexes` has them. Default: that of the run.
    #[arg(long, value_name = "INDEX")]
    pub index: Option<String>,
    /// Put the items into an index that is there: new ids are added, known ones replaced.
    #[arg(long, conflicts_with_all = ["index", "overwrite"])]
    pub add: bool,
    /// Replace an index that is there.
    #[arg(long)]
    pub overwrite: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Embeds and indexes.
///
/// # Errors
/// A model or data that can't be read, an index that is there already or of another length, a disk that is full.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let device = args.device.open()?;
    let folder = match (&args.out, is_run(&args.model)) {
        (Some(folder), _) => folder.clone(),
        (None, true) => args.model.join(INDEX),
        (None, false) => {
            return Err(Misuse::error(
                "expected --out DIR: a model alone has no folder for an index",
            ));
        }
    };
    let is_there = Collection::is_collection(&folder);
    let shown = folder.display();
    if args.add && !is_there {
        return Err(Misuse::error(format!(
            "{shown}: expected an index to add to"
        )));
    }
    let is_allowed = args.add || (args.overwrite && is_there);
    if !is_allowed && !is_free(&folder)? {
        let hint = if is_there {
            "; add to it by --add, or replace it by --overwrite"
        } else {
            ", and is no index"
        };
        return Err(Misuse::error(format!("{shown}: is there already{hint}")));
    }
    let kind = kind(args)?;
    let encoder = Encoder::open(model_of(&args.model), &device)?;
    let inputs = NamedInputs::open(&args.inputs, &encoder)?;
    inputs.tell_skipped();
    let embeddings = inputs.embed(&encoder, args.inputs.batch)?;
    let items = items(&inputs, &embeddings)?;
    if args.add {
        let mut index = Collection::open(&folder)?;
        let done = index.upsert(items)?;
        println!(
            "{shown}: {} added, {} replaced, {} in all",
            done.added,
            done.replaced,
            index.len()
        );
        return Ok(());
    }
    let mut index = Collection::new(kind.build()?.to_empty());
    index.add(items)?;
    put(&index, &folder)?;
    let (name, count, things) = (kind.name(), index.len(), encoder.reads());
    println!("{shown}: {name} of {count} {things}");
    Ok(())
}

/// Whether nothing is there, or an empty folder.
fn is_free(folder: &Path) -> anyhow::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error).with_context(|| format!("can't read {}", folder.display())),
    }
}

/// Writes an index beside its folder and moves it there when it is whole; an index that is there stays until then.
fn put(index: &Collection, folder: &Path) -> anyhow::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(".new");
    let new = folder.with_file_name(name);
    // What an interrupted command has left.
    remove(&new)?;
    index
        .save(&new)
        .with_context(|| format!("can't write {}", folder.display()))
        .inspect_err(|_| drop(remove(&new)))?;
    remove(folder)?;
    fs::rename(&new, folder)
        .with_context(|| format!("can't move {} to {}", new.display(), folder.display()))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The kind of index that is asked for.
fn kind(args: &Args) -> anyhow::Result<KnnConfig> {
    if let Some(text) = &args.index {
        let set = crate::settings::Override {
            path: "search.index".to_owned(),
            value: match text.trim_start().starts_with('{') {
                true => text.clone(),
                false => format!("{{ name = {} }}", toml::Value::from(text.as_str())),
            },
            argument: format!("--index {text}"),
        };
        let least = [("data.train", "-"), ("backbone.name", "resnet18")];
        let least =
            least.map(|(path, value)| crate::settings::Override::of_flag("index", path, value));
        let overrides: Vec<_> = least.into_iter().chain([set]).collect();
        return Ok(load(None, &overrides)?.search.index);
    }
    Ok(match is_run(&args.model) {
        true => load(Some(&args.model.join(CONFIG)), &[])?.search.index,
        false => SearchSettings::default().index,
    })
}

/// The inputs with their ids, classes and texts.
fn items(inputs: &NamedInputs, embeddings: &Tensor) -> anyhow::Result<Items> {
    let ids = inputs.ids.clone();
    let mut items = Items::new(ids, embeddings)?;
    if inputs.classes.is_some() {
        let classes = (0..inputs.len()).map(|row| inputs.class(row).map(str::to_owned));
        items = items.with_column("class", classes.collect::<Vec<Option<String>>>())?;
    }
    if let InputSource::Texts(texts) = &inputs.source {
        items = items.with_column("text", texts.clone())?;
    }
    Ok(items)
}
