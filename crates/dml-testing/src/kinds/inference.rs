//! Searches: the nearest neighbours that they find.

use anyhow::Context;
use dml::candle_core::Tensor;
use dml::config::KnnConfig;
use dml::eval::{Neighbors, OwnRow};

use super::unsupported;
use crate::Case;
use crate::answer::Answer;
use crate::case::{Array, Data};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: KnnConfig = dml::config::from_value(case.config()?)?;
    let (mut index, call) = (config.build()?.to_empty(), case.json("call")?);
    let k = usize::try_from(call["k"].as_u64().context("no k")?)?;
    let input =
        |name: &str| -> anyhow::Result<Option<Tensor>> { case.tensor(&format!("in.{name}")) };
    let queries = input("embeddings")?.context("no embeddings")?;
    let parts = match case.op() {
        "knn" => ["ref_emb"].as_slice(),
        "train_add_search" | "train_search_twice" => &["train", "add"],
        other => return Err(unsupported(format!("inference op {other}"))),
    };
    for part in parts {
        if let Some(references) = input(part)? {
            index.add(&references)?;
        }
    }
    let own = if call["ref_includes_query"] == true {
        OwnRow::Same
    } else {
        OwnRow::None
    };
    let mut found = index.search_others(&queries, k, own)?;
    if case.op() == "train_search_twice" {
        if matches!(&config, KnnConfig::FaissKNN(config) if config.reset_after) {
            index = index.to_empty();
        }
        found = index.search_others(&queries, k, own)?;
    }
    Ok(put(found))
}

fn put(found: Neighbors) -> Answer {
    let mut answer = Answer::default();
    let shape = vec![found.queries(), found.k];
    let indices = found.indices.iter().map(|row| i64::from(*row)).collect();
    for (name, data) in [
        ("out.indices", Data::Whole(indices)),
        ("out.distances", Data::Real(found.distances)),
    ] {
        let shape = shape.clone();
        answer.put(name, Array { shape, data });
    }
    answer
}
