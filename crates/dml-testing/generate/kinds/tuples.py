"""Conversions between labels, pairs, triplets and weights, and the masked log-sum-exp."""

from pytorch_metric_learning.utils import loss_and_miner_utils as functions

from case import Inputs, Recipe
from kinds.outputs import gradients, in_given_order, sorted_columns

LISTS = ("get_all_pairs_indices", "get_all_triplets_indices")
CONVERSIONS = ("convert_to_pairs", "convert_to_triplets", "convert_to_weights")


def names() -> list[str]:
    return [*LISTS, *CONVERSIONS, "logsumexp"]


def recipes(name: str):
    if name == "logsumexp":
        for dim in (0, 1):
            for add_one in (False, True):
                config = {"name": name, "add_one": add_one, "dim": dim}
                yield Recipe("tuples", name, f"dim-{dim}-{add_one}".lower(), "with a mask", sums(config), name)
        return
    for source in ("labels",) if name in LISTS else ("triplets", "pairs"):
        for reference in (False, True):
            if reference and name == "convert_to_weights":
                continue
            id = f"{source}-{'ref' if reference else 'self'}"
            yield Recipe("tuples", name, id, f"from {source}", columns(name, source, reference), name)


def columns(name, source, reference):
    def make(draw):
        labels = draw.labels()
        tensors = {"in.labels": labels}
        others = labels[draw.rows_in_order(9)] if reference else None
        if reference:
            tensors["in.ref_labels"] = others
        if source == "triplets":
            chosen = draw.some(functions.get_all_triplets_indices(labels, others), 12)
            tensors |= dict(zip(("in.tuples.a", "in.tuples.p", "in.tuples.n"), chosen))
        if source == "pairs":
            found = functions.get_all_pairs_indices(labels, others)
            chosen = draw.some(found[:2], 6) + draw.some(found[2:], 8)
            tensors |= dict(zip(("in.tuples.a1", "in.tuples.p", "in.tuples.a2", "in.tuples.n"), chosen))
        config = {"name": name}
        if name == "convert_to_triplets":
            config["t_per_anchor"] = "all"
        return Inputs(config, tensors)

    return make


def sums(config):
    def make(draw):
        mask = (draw.uniform(0.0, 1.0, 6, 5) < 0.7).long()
        weights = draw.normal(*((1, 5) if config["dim"] == 0 else (6, 1)))
        return Inputs(config, {"in.x": draw.normal(6, 5), "in.keep_mask": mask, "in.weights": weights})

    return make


def evaluate(case, dtype):
    function = getattr(functions, case.op)
    arguments = {name: value for name, value in case.config.items() if name != "name"}
    labels, others, tuples = case.whole("labels"), case.whole("ref_labels"), case.tuples()
    if case.op == "logsumexp":
        x = case.leaf("x", dtype)
        value = function(x, keep_mask=case.whole("keep_mask").bool(), **arguments)
        return {"out.value": value} | gradients((value * case.real("weights", dtype)).sum(), {"x": x})
    if case.op == "convert_to_weights":
        return {"out.weights": function(tuples, labels, dtype=dtype)}
    if case.op in LISTS:
        return sorted_columns(function(labels, others))
    return in_given_order(function(tuples, labels, others, **arguments))
