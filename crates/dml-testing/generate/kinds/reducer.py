"""Reducers, on terms of every type."""

import json

from pytorch_metric_learning.reducers import BaseReducer

import pml
from case import Inputs, Recipe
from draw import ROWS
from kinds import variants
from kinds.outputs import gradients, reduced

TYPES = ("element", "pos_pair", "neg_pair", "triplet", "already_reduced")


def names() -> list[str]:
    return pml.names("reducer", BaseReducer)


def recipes(name: str):
    configs = {"defaults": variants.required(name), **dict(variants.changed(name))}
    if name == "PerAnchorReducer":
        configs["threshold"] = {"name": name, "reducer": {"name": "ThresholdReducer", "low": -0.5}}
    for id, config in configs.items():
        for kind in TYPES:
            # PML raises for triplets and for what has no anchor.
            if name == "PerAnchorReducer" and kind in ("triplet", "already_reduced"):
                continue
            if name == "ClassWeightedReducer" and kind == "already_reduced":
                continue
            yield recipe(name, f"{id}-{kind}", f"one term of type {kind}", config, {"loss": kind})
        # PML's losses put every other reducer into one for several terms.
        if name in ("MultipleReducers", "DoNothingReducer"):
            types = {"pos_loss": "pos_pair", "neg_loss": "neg_pair"}
            yield recipe(name, f"{id}-two-terms", "two terms", config, types)


def recipe(name, id, description, config, types):
    def make(draw):
        tensors = {"in.embeddings": draw.normal(ROWS, 4), "in.labels": draw.classes()}
        for term, kind in types.items():
            count = 1 if kind == "already_reduced" else ROWS if kind == "element" else 17
            values = draw.normal(count)
            tensors[f"in.{term}.losses"] = values[0] if kind == "already_reduced" else values
            columns = {"element": 1, "triplet": 3, "already_reduced": 0}.get(kind, 2)
            for column, rows in enumerate(indices(draw, columns, count)):
                tensors[f"in.{term}.indices.{column}"] = rows
            if name == "DivisorReducer":
                tensors[f"in.{term}.divisor"] = draw.uniform(2.0, 9.0, 1)
        return Inputs(variants.shown(id, config), tensors, {"reduction_types": json.dumps(types)})

    return Recipe("reducer", name, id, description, make, "reduce")


def indices(draw, columns: int, count: int):
    """Different rows for each value: PML gives repeats of a pair the whole gradient each."""
    grid = [(i, j) for i in range(ROWS) for j in range(ROWS) if i != j]
    if columns == 1:
        return [draw.rows_in_order(count)]
    chosen = [grid[i] for i in draw.rng.permutation(len(grid))[:count]]
    return draw.columns(chosen, columns, ROWS)


def evaluate(case, dtype):
    rows, terms = case.leaf("embeddings", dtype), {}
    leaves = {"embeddings": rows}
    for term, kind in case.metadata("reduction_types").items():
        values = case.leaf(f"{term}.losses", dtype)
        leaves[f"{term}.losses"] = values
        columns = [case.whole(f"{term}.indices.{i}") for i in range(3)]
        columns = tuple(column for column in columns if column is not None)
        terms[term] = {
            "losses": values,
            "reduction_type": kind,
            "indices": None if not columns else columns[0] if kind == "element" else columns,
        }
        divisor = case.real(f"{term}.divisor", dtype)
        if divisor is not None:
            terms[term]["divisor"] = divisor[0]
    total, outputs = reduced(pml.make(case.config)(terms, rows, case.whole("labels")))
    return outputs | gradients(total, leaves)
