"""Regularizers, on embeddings."""

from pytorch_metric_learning.regularizers import BaseRegularizer

import pml
from case import Inputs, Recipe
from draw import DIM, ROWS
from kinds import variants
from kinds.outputs import gradients, reduced


def names() -> list[str]:
    return pml.names("regularizer", BaseRegularizer)


def recipes(name: str):
    base = variants.required(name)
    configs = {"defaults": base, **dict(variants.changed(name))}
    configs |= {f"distance-{id}": {**base, "distance": distance} for id, distance in variants.DISTANCES.items()}
    reducers = ("mean", "sum", "threshold")
    configs |= {f"reducer-{id}": {**base, "reducer": variants.REDUCERS[id]} for id in reducers}
    for id, config in configs.items():
        if variants.is_refused(config) is None:
            yield recipe(name, id, config)


def recipe(name, id, config):
    def make(draw):
        rows = config.get("num_classes", ROWS) * config.get("centers_per_class", 1)
        return Inputs(variants.shown(id, config), {"in.embeddings": draw.normal(rows, DIM)})

    return Recipe("regularizer", name, id, "a penalty on random rows", make, "regularize")


def evaluate(case, dtype):
    rows = case.leaf("embeddings", dtype)
    total, outputs = reduced(pml.make(case.config)(rows))
    return outputs | gradients(total, {"embeddings": rows})
