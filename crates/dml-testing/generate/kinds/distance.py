"""Distances: the matrix, rows with rows, and a matrix in blocks."""

import torch
from pytorch_metric_learning.distances import BaseDistance

import pml
from case import Inputs, Recipe
from kinds import variants
from kinds.outputs import gradients


def names() -> list[str]:
    return pml.names("distance", BaseDistance) + ["BatchedDistance"]


def recipes(name: str):
    if name == "BatchedDistance":
        for key in ("l2", "cosine", "snr"):
            config = {"name": name, "distance": variants.DISTANCES[key], "batch_size": 5}
            yield recipe(name, f"{key}-blocks", "in blocks of 5 rows", config, "batched", reference=False)
        return
    configs = {"defaults": {"name": name}, **dict(variants.changed(name))}
    if name == "LpDistance":
        configs |= {f"p-{p}": {"name": name, "p": p} for p in (1, 4, "inf")}
    for id, config in configs.items():
        yield recipe(name, f"{id}-self", "rows among themselves", config, "matrix", reference=False)
        yield recipe(name, f"{id}-ref", "rows against references", config, "matrix", reference=True)
        yield recipe(name, f"{id}-pairs", "row i with reference i", config, "pairwise", reference=True)


def recipe(name, id, description, config, op, reference):
    def make(draw):
        rows, others = 9, 9 if op == "pairwise" else 7
        tensors = {"in.embeddings": draw.normal(rows, 5)}
        if reference:
            tensors["in.ref_emb"] = draw.normal(others, 5)
        width = others if reference else rows
        tensors["in.weights"] = draw.normal(rows) if op == "pairwise" else draw.normal(rows, width)
        return Inputs(variants.shown(id, config), tensors)

    return Recipe("distance", name, id, description, make, op)


def evaluate(case, dtype):
    distance = pml.make(case.config)
    query, reference = case.leaf("embeddings", dtype), case.leaf("ref_emb", dtype)
    leaves = {"embeddings": query} if reference is None else {"embeddings": query, "ref_emb": reference}
    outputs = {}
    if case.op == "pairwise":
        result = distance.pairwise_distance(query, reference)
        outputs["out.pairwise"] = result
    elif case.op == "batched":
        blocks, spans = [], []

        def keep(block, begin, end):
            blocks.append(block)
            spans.append((begin, end))

        distance.iter_fn = keep
        distance(query, reference)
        result = torch.cat(blocks)
        outputs |= {"out.mat": result, "out.spans": torch.tensor(spans)}
    else:
        result = distance(query, reference)
        rows = query.detach()
        outputs |= {
            "out.mat": result,
            "out.normalized": distance.maybe_normalize(rows),
            "out.norm": distance.get_norm(rows),
            "out.row_smallest": distance.smallest_dist(result, dim=1).values,
            "out.row_largest": distance.largest_dist(result, dim=1).values,
            "out.margin": distance.margin(result[:, 0], result[:, -1]),
        }
    return outputs | gradients((result * case.real("weights", dtype)).sum(), leaves)
