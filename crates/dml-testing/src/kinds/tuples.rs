//! Conversions between the forms of tuples, random triplets, and the masked log-sum-exp.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, ensure};
use dml::candle_core::{DType, Device, Tensor};
use dml::core::tuples::PerAnchor;
use dml::losses::one_positive_pair_per_label;
use dml::{Batch, PairKind, Relation, TensorExt, Triplets};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::miner::{Columns, pair_columns, put_columns, sorted, triplet_columns};
use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::ensure_plausible;
use crate::case::elements;
use crate::inputs::{Inputs, tuples};
use crate::unsupported::unsupported;

/// What the cases call.
pub(super) const FUNCTIONS: &[&str] = &[
    "convert_to_pairs",
    "convert_to_pos_pairs_with_unique_labels",
    "convert_to_triplets",
    "convert_to_weights",
    "get_all_pairs_indices",
    "get_all_triplets_indices",
    "get_random_triplet_indices",
    "logsumexp",
    "remove_self_comparisons",
];

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    if case.op() == "logsumexp" {
        return log_sum_exp(case);
    }
    if case.op() == "remove_self_comparisons" {
        put_columns(without_self_comparisons(case)?, "", &mut answer)?;
        return Ok(answer);
    }
    let batch = labelled(case)?;
    let tuples = tuples(case)?;
    let columns = match case.op() {
        "get_all_pairs_indices" => sorted(pair_columns(&*tuples.pairs(&batch)?), 2),
        "get_all_triplets_indices" => sorted(triplet_columns(&*tuples.triplets(&batch)?), 3),
        "convert_to_pairs" => pair_columns(&*tuples.pairs(&batch)?),
        "convert_to_triplets" => triplet_columns(&*tuples.triplets(&batch)?),
        "convert_to_pos_pairs_with_unique_labels" => {
            let pairs = one_positive_pair_per_label(&batch, &tuples)?;
            vec![("a", pairs.positive_anchors), ("p", pairs.positives)]
        }
        "convert_to_weights" => {
            let weights = Tensor::new(tuples.weights(&batch)?, &Device::Cpu)?;
            answer.put("out.weights", weights);
            vec![]
        }
        other => return Err(unsupported(format!("tuples op {other}"))),
    };
    put_columns(columns, "", &mut answer)?;
    Ok(answer)
}

/// A batch of which only the labels matter.
fn labelled(case: &Case) -> anyhow::Result<Batch> {
    let query = case.tensor("in.labels")?.context("no in.labels")?;
    let rows = |labels: &Tensor| Tensor::zeros((labels.elem_count(), 1), DType::F32, &case.device);
    let using_reference = case.config()?["using_ref"].as_bool() == Some(true);
    let batch = Batch::new(&rows(&query)?, &query)?;
    Ok(match case.tensor("in.ref_labels")? {
        Some(reference) => batch.with_reference(&rows(&reference)?, &reference)?,
        None if using_reference => batch.with_unlabeled_reference(&rows(&query)?)?,
        None => batch,
    })
}

/// `curr_batch_idx` says which row of the memory each row of the batch is; with `ref_is_subset` the sides are swapped.
fn without_self_comparisons(case: &Case) -> anyhow::Result<Columns> {
    let config = case.config()?;
    let memory = config["ref_size"].as_u64().context("no ref_size")? as usize;
    let places = case.row_numbers("in.curr_batch_idx")?;
    let ignorant =
        |queries, references| Relation::closure(queries, references, |_, _| PairKind::Ignored);
    let relation = if config["ref_is_subset"].as_bool() == Some(true) {
        let mut same = vec![None; memory];
        for (row, place) in places.iter().enumerate() {
            same[*place as usize] = Some(row as u32);
        }
        ignorant(memory, places.len()).with_self_matches(&same)?
    } else {
        let same: Vec<Option<u32>> = places.iter().copied().map(Some).collect();
        ignorant(places.len(), memory).with_self_matches(&same)?
    };
    let tuples = tuples(case)?;
    if let Some(triplets) = tuples.as_triplets() {
        return Ok(triplet_columns(
            &triplets.without_self_comparisons(&relation),
        ));
    }
    let pairs = tuples.as_pairs();
    let pairs = pairs.ok_or_else(|| unsupported("self-comparisons of no tuples"))?;
    Ok(pair_columns(&pairs.without_self_comparisons(&relation)))
}

fn log_sum_exp(case: &Case) -> anyhow::Result<Answer> {
    let config = case.config()?;
    let mut inputs = Inputs::default();
    let x = inputs.required(case, "x")?;
    let along_rows = config["dim"].as_u64() == Some(1);
    let turn = |t: &Tensor| match along_rows {
        true => Ok(t.clone()),
        false => t.t()?.contiguous(),
    };
    let keep = case.tensor("in.keep_mask")?;
    let keep = keep.map(|keep| turn(&keep)).transpose()?;
    let add_one = config["add_one"].as_bool() == Some(true);
    let value = turn(&x)?.masked_logsumexp(keep.as_ref(), add_one)?;
    let value = value.unsqueeze(usize::from(along_rows))?;
    let mut answer = Answer::from([("out.value", value.clone())]);
    let weights = case.tensor("in.weights")?.context("no in.weights")?;
    answer.put_gradients(&inputs, &(value * weights)?.sum_all()?.backward()?)?;
    Ok(answer)
}

/// Random triplets: as many of each anchor as asked, only allowed ones, and drawn as often as their weights say.
pub(super) fn check_property(case: &Case) -> anyhow::Result<Answer> {
    let batch = labelled(case)?;
    let relation = batch.require_relation("random triplets")?;
    let per_anchor = match case.config()?["t_per_anchor"].as_u64() {
        Some(count) => PerAnchor::Exactly(count as usize),
        None => PerAnchor::ClassSize,
    };
    let weights = case.get("in.weights").map(elements::<f64>).transpose()?;
    let references = batch.references();
    let column = |name: &str| case.row_numbers(&format!("out.allowed.{name}"));
    let (a, p, n) = (column("a")?, column("p")?, column("n")?);
    let allowed = Triplets::new(a, p, n)?;
    let allowed: HashSet<(u32, u32, u32)> = allowed.iter().collect();
    let mut counts = vec![0i64; batch.queries()];
    let mut seen: HashMap<(u32, u32), u64> = HashMap::new();
    let mut drawn = vec![0u64; batch.queries()];
    const ROUNDS: u64 = 400;
    for seed in 0..ROUNDS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let triplets = match &weights {
            None => Triplets::random(relation, per_anchor, &mut rng),
            Some(weights) => {
                let weigh = |a: usize, negatives: &[u32], out: &mut Vec<f64>| {
                    let row = &weights[a * references..][..references];
                    out.extend(negatives.iter().map(|n| row[*n as usize]));
                };
                Triplets::random_weighted(relation, per_anchor, weigh, &mut rng)
            }
        };
        counts.fill(0);
        for (a, p, n) in triplets.iter() {
            let is_allowed = allowed.contains(&(a, p, n));
            ensure!(is_allowed, "({a}, {p}, {n}) is not allowed");
            counts[a as usize] += 1;
            drawn[a as usize] += 1;
            *seen.entry((a, n)).or_default() += 1;
        }
    }
    // Each negative's share of its anchor's draws, within five standard deviations of what it should be.
    let pairs: HashSet<(u32, u32)> = allowed.iter().map(|(a, _, n)| (*a, *n)).collect();
    let weight = |a: u32, n: u32| match &weights {
        Some(weights) => weights[a as usize * references + n as usize],
        None => 1.0,
    };
    for &(a, n) in &pairs {
        let own = pairs.iter().filter(|(b, _)| *b == a);
        let total: f64 = own.map(|(b, n)| weight(*b, *n)).sum();
        let (share, draws) = (weight(a, n) / total, drawn[a as usize]);
        let got = seen.get(&(a, n)).copied().unwrap_or(0);
        let what = format_args!("negative {n} of anchor {a}");
        ensure_plausible(what, got, draws, share)?;
    }
    let mut answer = Answer::from([("out.count", Tensor::new(counts, &Device::Cpu)?)]);
    for name in ["out.allowed.a", "out.allowed.p", "out.allowed.n"] {
        answer.accept(case, name);
    }
    Ok(answer)
}
