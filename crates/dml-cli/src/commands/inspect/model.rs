//! Models, weights, checkpoints and indexes.

use std::path::Path;

use dml::candle_core::{DType, Device};
use dml::encoder::Encoder;
use dml::eval::{Collection, IdRef, Ids, IndexFileError, load_index};
use dml::models::Weights;
use dml::train::{Checkpoints, CheckpointsConfig};
use dml_program::println;

use crate::exit::Misuse;

/// Tensors of a file of weights that are listed.
const LISTED: usize = 12;
/// Rows of an index that are checked at a time.
const BLOCK: usize = 4096;

/// The folder of a model.
pub(super) fn folder(path: &Path) -> anyhow::Result<Vec<String>> {
    let encoder = Encoder::open(path, &Device::Cpu)?;
    match &encoder {
        Encoder::Image(own) => {
            let (config, input) = (own.encoder.config(), own.encoder.input());
            let [height, width] = input.size;
            println!("image encoder: {}", config.backbone);
            println!("  {:<28} {}", "embedding", own.encoder.embedding_dim());
            println!("  {:<28} {}", "length 1", config.normalize);
            println!(
                "  {:<28} {height} x {width}, resized to {}",
                "images", input.resize
            );
        }
        Encoder::Text(own) => {
            println!("text encoder");
            println!("  {:<28} {:?}", "pooling", own.encoder.pooling());
            println!("  {:<28} {}", "most tokens", own.encoder.max_seq_length());
        }
    }
    let parameters = encoder.network().parameters();
    println!("  {:<28} {}", "parameters", parameters.element_count());
    let mut problems = Vec::new();
    for (name, var) in parameters.iter() {
        let sum = var.as_detached_tensor().to_dtype(DType::F64)?.sum_all()?;
        if !sum.to_scalar::<f64>()?.is_finite() {
            problems.push(format!("{name}: holds NaN or infinity"));
        }
    }
    Ok(problems)
}

/// A file of weights.
pub(super) fn weights(path: &Path) -> anyhow::Result<Vec<String>> {
    let weights = Weights::open(path)?;
    println!("{} tensors", weights.len());
    for name in weights.names().take(LISTED) {
        let shape = weights.shape(name).unwrap_or(&[]);
        println!(
            "  {name:<44} {:<6} {shape:?}",
            weights.stored_type(name).unwrap_or("?")
        );
    }
    if weights.len() > LISTED {
        println!("  and {} more", weights.len() - LISTED);
    }
    let read = |name: &str| weights.tensor(name, DType::F32, &Device::Cpu);
    let problems = weights.names().filter_map(|name| read(name).err());
    Ok(problems
        .map(|error| dml_core::with_causes(&error).to_string())
        .collect())
}

/// A folder of checkpoints.
pub(super) fn checkpoints(path: &Path) -> anyhow::Result<Vec<String>> {
    let checkpoints = Checkpoints::new(path, CheckpointsConfig::default())?;
    let steps = checkpoints.steps()?;
    let shown: Vec<String> = steps.iter().map(u64::to_string).collect();
    println!("  checkpoints after iteration {}", shown.join(", "));
    let wrong = |step: &u64| {
        let error = checkpoints.verify(*step).err()?;
        Some(format!(
            "the checkpoint of iteration {step}: {}",
            dml_core::with_causes(&error)
        ))
    };
    Ok(steps.iter().filter_map(wrong).collect())
}

/// An index file.
pub(super) fn index(path: &Path) -> anyhow::Result<Vec<String>> {
    let index = load_index(path).map_err(|error| match error {
        IndexFileError::NotAnIndex { .. } => Misuse::error(format!(
            "{}: nothing that `dml inspect` knows: expected a folder, a table, weights, an index or a configuration",
            path.display()
        )),
        damaged => damaged.into(),
    })?;
    println!("index of {} rows", index.len());
    Ok(Vec::new())
}

/// The folder of an index with ids and attributes.
pub(super) fn collection(path: &Path) -> anyhow::Result<Vec<String>> {
    let collection = Collection::open_read_only(path)?;
    let summary = collection.summary();
    println!("{} items in {}", summary.items, summary.index);
    if let Some(dim) = summary.dim {
        println!("  {:<28} {dim}", "length of a vector");
    }
    if summary.rows > summary.items {
        println!(
            "  {:<28} {}",
            "rows of removed items",
            summary.rows - summary.items
        );
    }
    for own in &summary.attributes {
        println!(
            "  {:<28} {} of {} items",
            format!("attribute {}", own.name),
            own.items,
            summary.items
        );
    }
    let mut problems = Vec::new();
    if let Some(folder) = &summary.folder {
        let bytes = folder.index_bytes + folder.items_bytes + folder.log_bytes;
        println!("  {:<28} {bytes}", "bytes");
        problems.extend(folder.compaction_error.clone());
    }
    let ids: Ids = Ids::of(collection.ids().map(IdRef::to_id))?;
    for start in (0..ids.len()).step_by(BLOCK) {
        let some = (start..ids.len().min(start + BLOCK)).filter_map(|place| ids.get(place));
        let rows = collection.rows(&Ids::of(some.clone().map(IdRef::to_id))?)?;
        let sums = rows.to_dtype(DType::F64)?.sum(1)?.to_vec1::<f64>()?;
        for (id, _) in some.zip(sums).filter(|(_, sum)| !sum.is_finite()) {
            problems.push(format!("{}: a vector with NaN or infinity", id.to_id()));
        }
    }
    Ok(problems)
}
