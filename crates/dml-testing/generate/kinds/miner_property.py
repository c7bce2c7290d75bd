"""Miners that draw at random: what they may choose, and how often."""

import torch
from pytorch_metric_learning.utils import loss_and_miner_utils as functions

import pml
from case import Inputs, Recipe
from kinds import variants
from kinds.outputs import in_order
from kinds.tuples_property import triplets_per_anchor


def names() -> list[str]:
    return ["DistanceWeightedMiner", "UniformHistogramMiner"]


def recipes(name: str):
    base = variants.required(name)
    for id, config in {"defaults": base, **dict(variants.changed(name))}.items():
        for way in ("self", "ref"):
            yield recipe(name, f"{id}-{way}", config, reference=way == "ref")


def recipe(name, id, config, reference):
    def make(draw):
        labels = draw.labels()
        # With few coordinates, distances are spread, and so are the weights that they give.
        tensors = {"in.embeddings": draw.rows(labels, dim=4), "in.labels": labels}
        if reference:
            others = labels[draw.rows_in_order(10)]
            tensors |= {"in.ref_emb": draw.rows(others, dim=4), "in.ref_labels": others}
        return Inputs(variants.shown(id, config), tensors)

    return Recipe("miner_property", name, id, "what may be chosen, and how often", make, "property")


def evaluate(case, dtype):
    miner = pml.make(case.config)
    rows, labels = case.real("embeddings", dtype), case.whole("labels")
    others, known = case.real("ref_emb", dtype), case.whole("ref_labels")
    if case.config["name"] == "DistanceWeightedMiner":
        return of_weights(miner, rows, labels, others, known)
    return of_histogram(miner, rows, labels, others, known)


def of_weights(miner, rows, labels, others, known):
    """The probability of every negative, as the miner hands it to the function that draws."""
    handed = {}
    draws = functions.get_random_triplet_indices

    def keep(*arguments, weights=None, **further):
        handed["weights"] = weights
        return draws(*arguments, weights=weights, **further)

    functions.get_random_triplet_indices = keep
    try:
        miner(rows, labels, others, known)
    finally:
        functions.get_random_triplet_indices = draws
    # An anchor all of whose negatives have weight 0 has 0 / 0.
    weights = torch.nan_to_num(handed["weights"], nan=0.0)
    return {"out.weights": weights, "out.count": triplets_per_anchor(labels, known, None, weights)}


def of_histogram(miner, rows, labels, others, known):
    """All pairs of each sign, the bin of each, and how many are drawn from each bin."""
    matrix = miner.distance(rows, others)
    columns = functions.get_all_pairs_indices(labels, known)
    outputs = {}
    for sign, pair, per_bin in (("pos", columns[:2], miner.pos_per_bin), ("neg", columns[2:], miner.neg_per_bin)):
        anchors, partners = in_order(pair)
        values = matrix[anchors, partners]
        low, high = values.min(), values.max()
        edges = torch.linspace(0, 1, miner.num_bins + 1, dtype=values.dtype) * (high - low) + low
        # The last bin has both of its edges.
        bins = (torch.searchsorted(edges, values, right=True) - 1).clamp(0, miner.num_bins - 1)
        count = torch.zeros(miner.num_bins, dtype=torch.int64)
        count[bins.unique()] = per_bin
        outputs |= {
            f"out.{sign}.allowed": torch.stack([anchors, partners], dim=1),
            f"out.{sign}.bin": bins,
            f"out.{sign}.count": count,
        }
    return outputs
