//! Searches, matches and inference models.

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use dml::config::{InferenceConfig, KnnConfig, MatchConfig};
use dml::eval::{InferenceModel, Matches, Neighbors, SelfMatch};
use serde_json::Value;

use crate::Case;
use crate::answer::Answer;
use crate::unsupported::unsupported;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let (config, call) = (case.config()?, case.json("call")?);
    match config["name"].as_str() {
        Some("MatchFinder") => matches(case, dml::config::from_value(config)?, &call),
        Some("InferenceModel") => model(case, dml::config::from_value(config)?, &call),
        _ => search(case, &dml::config::from_value(config)?, &call),
    }
}

fn search(case: &Case, config: &KnnConfig, call: &Value) -> anyhow::Result<Answer> {
    let mut index = config.build()?.to_empty();
    let (queries, k) = (required(case, "embeddings")?, neighbors(call)?);
    let parts = match case.op() {
        "knn" => ["ref_emb"].as_slice(),
        "train_add_search" | "train_search_twice" => &["train", "add"],
        other => return Err(unsupported(format!("inference op {other}"))),
    };
    for part in parts {
        if let Some(references) = optional(case, part)? {
            index.add(&references)?;
        }
    }
    let own = if call["ref_includes_query"] == true {
        SelfMatch::Same
    } else {
        SelfMatch::None
    };
    let mut found = index.search_others(&queries, k, own)?;
    if case.op() == "train_search_twice" {
        if matches!(config, KnnConfig::FaissKNN(config) if config.reset_after) {
            index = index.to_empty();
        }
        found = index.search_others(&queries, k, own)?;
    }
    put(&found)
}

fn matches(case: &Case, config: MatchConfig, call: &Value) -> anyhow::Result<Answer> {
    let finder = config.build()?;
    let (queries, threshold) = (required(case, "embeddings")?, call["threshold"].as_f64());
    match case.op() {
        "get_matching_pairs" => {
            let references = optional(case, "ref_emb")?;
            let found = finder.get_matching_pairs(&queries, references.as_ref(), threshold)?;
            put_matches(&found)
        }
        "is_match" => {
            let references = required(case, "ref_emb")?;
            put_verdicts(&finder.is_match(&queries, &references, threshold)?)
        }
        other => Err(unsupported(format!("match finder op {other}"))),
    }
}

fn model(case: &Case, config: InferenceConfig, call: &Value) -> anyhow::Result<Answer> {
    let mut model = config.build()?;
    let (queries, threshold) = (required(case, "embeddings")?, call["threshold"].as_f64());
    match case.op() {
        "get_embeddings" => {
            let embeddings = model.get_embeddings(&queries)?;
            Ok(Answer::from([("out.embeddings", embeddings)]))
        }
        "train_add_search" => {
            train(case, &mut model, call)?;
            put(&model.get_nearest_neighbors(&queries, neighbors(call)?)?)
        }
        "get_matches" => {
            let references = optional(case, "ref_emb")?;
            put_matches(&model.get_matches(&queries, references.as_ref(), threshold)?)
        }
        "is_match" => {
            let references = required(case, "ref_emb")?;
            put_verdicts(&model.is_match(&queries, &references, threshold)?)
        }
        other => Err(unsupported(format!("inference model op {other}"))),
    }
}

fn train(case: &Case, model: &mut InferenceModel, call: &Value) -> anyhow::Result<()> {
    let batch_size = usize::try_from(call["batch_size"].as_u64().unwrap_or(64))?;
    model.train_knn(&required(case, "train")?, batch_size)?;
    if let Some(more) = optional(case, "add")? {
        model.add_to_knn(&more, batch_size)?;
    }
    Ok(())
}

fn optional(case: &Case, name: &str) -> anyhow::Result<Option<Tensor>> {
    case.tensor(&format!("in.{name}"))
}

fn required(case: &Case, name: &str) -> anyhow::Result<Tensor> {
    optional(case, name)?.with_context(|| format!("{}: no in.{name}", case.path))
}

fn neighbors(call: &Value) -> anyhow::Result<usize> {
    Ok(usize::try_from(call["k"].as_u64().context("no k")?)?)
}

fn put(found: &Neighbors) -> anyhow::Result<Answer> {
    let shape = (found.queries(), found.k);
    let indices = Tensor::from_slice(&found.indices, shape, &Device::Cpu)?;
    let distances = Tensor::from_slice(&found.distances, shape, &Device::Cpu)?;
    Ok(Answer::from([
        ("out.indices", indices),
        ("out.distances", distances),
    ]))
}

fn put_matches(found: &Matches) -> anyhow::Result<Answer> {
    let mask = verdicts(&found.mask())?.reshape((found.queries, found.references))?;
    let pairs: Vec<u32> = found.pairs.iter().flat_map(|(q, r)| [*q, *r]).collect();
    let pairs = Tensor::from_vec(pairs, (found.pairs.len(), 2), &Device::Cpu)?;
    Ok(Answer::from([("out.matches", mask), ("out.pairs", pairs)]))
}

fn put_verdicts(matches: &[bool]) -> anyhow::Result<Answer> {
    Ok(Answer::from([("out.is_match", verdicts(matches)?)]))
}

fn verdicts(matches: &[bool]) -> anyhow::Result<Tensor> {
    let matches: Vec<u8> = matches.iter().copied().map(u8::from).collect();
    Ok(Tensor::new(matches, &Device::Cpu)?)
}
