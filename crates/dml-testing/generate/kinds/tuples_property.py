"""Random triplets: which are allowed, and how many of each anchor."""

import torch
from pytorch_metric_learning.utils import loss_and_miner_utils as functions

from case import Inputs, Recipe
from kinds.outputs import sorted_columns


def names() -> list[str]:
    return ["get_random_triplet_indices"]


def recipes(name: str):
    for count in (None, 3):
        for way in ("self", "ref", "weighted"):
            yield recipe(name, f"{count or 'class-size'}-{way}", count, way)


def recipe(name, id, count, way):
    def make(draw):
        labels = draw.labels()
        tensors = {"in.labels": labels}
        if way == "ref":
            tensors["in.ref_labels"] = labels[draw.rows_in_order(9)]
        if way == "weighted":
            tensors["in.weights"] = draw.uniform(0.1, 1.0, len(labels), len(labels))
        return Inputs({"name": name, "t_per_anchor": count}, tensors)

    return Recipe("tuples_property", name, id, "triplets drawn at random", make, name)


def triplets_per_anchor(labels, known, count, weights):
    """How many triplets PML draws of each anchor."""
    references = labels if known is None else known
    counts = []
    for row, label in enumerate(labels):
        is_same = references == label
        # Among themselves, a row's own label counts the row.
        has_positive = int(is_same.sum()) > (1 if known is None else 0)
        has_negative = bool((~is_same).any())
        if weights is not None:
            has_negative &= float(weights[row][~is_same].sum()) > 0
        drawn = int(is_same.sum()) if count is None else count
        counts.append(drawn if has_positive and has_negative else 0)
    return torch.tensor(counts)


def evaluate(case, dtype):
    labels, known, weights = case.whole("labels"), case.whole("ref_labels"), case.real("weights", dtype)
    columns = functions.get_all_triplets_indices(labels, known)
    allowed = {name.replace("out.", "out.allowed."): column for name, column in sorted_columns(columns).items()}
    return {"out.count": triplets_per_anchor(labels, known, case.config["t_per_anchor"], weights)} | allowed
