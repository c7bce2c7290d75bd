//! `dml search`: the nearest items of an index to images, texts, vectors or items of the index.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::candle_core::{DType, Tensor};
use dml::encoder::Encoder;
use dml::eval::{Collection, Filter, Hit, Ids, Search};
use dml::exchange::npy;
use dml_program::println;
use serde_json::{Value, json};

use crate::device::DeviceArgs;
use crate::exit::Misuse;
use crate::run_folder::{CONFIG, INDEX, index_in, is_run, model_of};
use crate::settings::load;

/// What to look for, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run with an index, or of an index.
    #[arg(value_name = "INDEX")]
    pub index: PathBuf,
    /// Image files to look for.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Texts to look for; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,
    /// Vectors to look for: a .npy array of two dimensions, a vector in each row.
    #[arg(long, value_name = "FILE")]
    pub vectors: Option<PathBuf>,
    /// Items of the index to look for others of their kind; may be repeated.
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Folder of the model. Default: that of the run of the index.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// Neighbours of a query. Default: that of the run, or 10.
    #[arg(short, value_name = "N", value_parser = dml_program::number::within(1usize, dml_program::number::MANY))]
    pub k: Option<usize>,
    /// Items that are searched, such as `class = "hat"`.
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Print a line of JSON for each query.
    #[arg(long)]
    pub json: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Searches and prints.
///
/// # Errors
/// An index, model or query that can't be read, or that do not fit each other.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let given = [
        !args.images.is_empty(),
        !args.text.is_empty(),
        args.vectors.is_some(),
        !args.id.is_empty(),
    ];
    if given.iter().filter(|own| **own).count() != 1 {
        return Err(Misuse::error(
            "expected one kind of queries: IMAGE, --text, --vectors or --id",
        ));
    }
    let run = run_of(&args.index);
    let folder = index_in(match is_run(&args.index) {
        true => args.index.join(INDEX),
        false => args.index.clone(),
    })?;
    let index = Collection::open_read_only(&folder)?;
    let k = match (args.k, &run) {
        (Some(k), _) => k,
        (None, Some(run)) => load(Some(&run.join(CONFIG)), &[])?.search.k,
        (None, None) => 10,
    };
    let filter = args.filter.as_ref().map(|text| text.parse::<Filter>());
    let filter = filter
        .transpose()
        .map_err(|error| Misuse::error(format!("--filter: {error}")))?;
    let mut search = Search::nearest(k);
    if let Some(filter) = &filter {
        search = search.with_filter(filter);
    }
    if !args.id.is_empty() {
        let ids = ids_of(&index, &args.id)?;
        let found = index.neighbors_of(&ids, &search)?;
        return show(args, &index, &args.id, &found);
    }
    let (names, queries) = queries(args, run.as_deref())?;
    let found = index.search_with(&queries, &search);
    let found =
        found.with_context(|| format!("{}: was it made by this model?", folder.display()))?;
    show(args, &index, &names, &found)
}

/// The run that an index belongs to.
fn run_of(index: &Path) -> Option<PathBuf> {
    let parent = index.parent().map(Path::to_owned);
    [Some(index.to_owned()), parent]
        .into_iter()
        .flatten()
        .find(|folder| is_run(folder))
}

/// Ids in the kind of the index.
fn ids_of(index: &Collection, names: &[String]) -> anyhow::Result<Ids> {
    use dml::eval::{Id, IdKind};

    let id = |name: &String| match index.id_kind() {
        Some(IdKind::Number) => {
            let number = name.parse().map_err(|_| {
                Misuse::error(format!(
                    "--id {name}: the ids of the index are whole numbers"
                ))
            });
            number.map(Id::Number)
        }
        _ => Ok(Id::Text(name.clone())),
    };
    let ids = names.iter().map(id).collect::<anyhow::Result<Vec<Id>>>()?;
    Ok(Ids::of(ids)?)
}

/// Names and embeddings of the queries.
fn queries(args: &Args, run: Option<&Path>) -> anyhow::Result<(Vec<String>, Tensor)> {
    if let Some(path) = &args.vectors {
        let rows = npy::read_rows(path)?.to_dtype(DType::F32)?;
        let names = (0..rows.dims()[0]).map(|row| format!("{} row {row}", path.display()));
        return Ok((names.collect(), rows));
    }
    let model = args
        .model
        .as_deref()
        .or(run)
        .ok_or_else(|| Misuse::error("expected --model MODEL: the index belongs to no run"))?;
    let device = args.device.open()?;
    let encoder = Encoder::open(model_of(model), &device)?;
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for path in &args.images {
        let name = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("can't read {name}"))?;
        rows.push(encoder.embed_image(&name, &bytes)?);
        names.push(name);
    }
    for text in &args.text {
        rows.push(encoder.embed_text(text)?);
        names.push(text.clone());
    }
    Ok((names, Tensor::cat(&rows, 0)?))
}

fn show(
    args: &Args,
    index: &Collection,
    names: &[String],
    found: &[Vec<Hit<'_>>],
) -> anyhow::Result<()> {
    for (name, hits) in names.iter().zip(found) {
        if args.json {
            let hits = hits.iter().map(|hit| {
                let attributes = index.attributes(hit.id).unwrap_or_default();
                json!({ "id": hit.id.to_string(), "score": hit.distance, "attributes": values(&attributes) })
            });
            println!(
                "{}",
                json!({ "query": name, "hits": hits.collect::<Vec<Value>>() })
            );
            continue;
        }
        println!("{name}");
        for (rank, hit) in (1..).zip(hits) {
            let attributes = index.attributes(hit.id).unwrap_or_default();
            let shown: Vec<String> = attributes
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            println!(
                "{rank:>5}  {:>8.4}  {:<40} {}",
                hit.distance,
                hit.id.to_string(),
                shown.join(", ")
            );
        }
    }
    Ok(())
}

fn values(attributes: &dml::eval::Attributes) -> Value {
    let value = |value: &dml::eval::Value| serde_json::to_value(value).unwrap_or(Value::Null);
    Value::from_iter(
        attributes
            .iter()
            .map(|(name, own)| (name.to_owned(), value(own))),
    )
}
