"""Searches for neighbours, and matches."""

import json

import torch

import pml
from case import Inputs, Recipe
from draw import DIM
from kinds import variants


def names() -> list[str]:
    return ["CustomKNN", "FaissKNN", "MatchFinder"]


def recipes(name: str):
    if name == "MatchFinder":
        for id, threshold in {"l2": 1.1, "cosine": 0.3, "snr": 1.5}.items():
            config = {"name": name, "distance": variants.DISTANCES[id], "threshold": threshold}
            yield matches(name, f"{id}-pairs", config, "get_matching_pairs")
            yield matches(name, f"{id}-row-by-row", config, "is_match")
        return
    configs = {"defaults": {"name": name}, "inner-products": {"name": name, "index_init_fn": "IndexFlatIP"}}
    if name == "CustomKNN":
        configs = {id: {"name": name, "distance": variants.DISTANCES[id]} for id in ("l1", "cosine", "snr")}
    for id, config in configs.items():
        for k in (1, 4):
            yield search(name, f"{id}-k-{k}", config, k)


def search(name, id, config, k):
    def make(draw):
        tensors = {"in.embeddings": draw.normal(7, DIM), "in.ref_emb": draw.normal(15, DIM)}
        call = {"k": k, "ref_includes_query": False}
        return Inputs(variants.shown(id, config), tensors, {"call": json.dumps(call)})

    return Recipe("inference", name, id, f"the {k} nearest references", make, "knn")


def matches(name, id, config, op):
    def make(draw):
        tensors = {"in.embeddings": draw.normal(8, DIM), "in.ref_emb": draw.normal(8, DIM)}
        return Inputs(variants.shown(id, config), tensors, {"call": "{}"})

    return Recipe("inference", name, id, "which rows match", make, op)


def evaluate(case, dtype):
    component, call = pml.make(case.config), case.metadata("call")
    # faiss computes in single precision only.
    dtype = torch.float32 if case.config["name"] == "FaissKNN" else dtype
    rows, others = case.real("embeddings", dtype), case.real("ref_emb", dtype)
    if case.op == "knn":
        distances, indices = component(rows, call["k"], others, call["ref_includes_query"])
        return {"out.distances": distances, "out.indices": indices.to(torch.int64)}
    if case.op == "is_match":
        return {"out.is_match": torch.as_tensor(component.is_match(rows, others)).to(torch.int64)}
    found = component.get_matching_pairs(rows, others)
    pairs = component.get_matching_pairs(rows, others, return_tuples=True)
    return {
        "out.matches": torch.as_tensor(found).to(torch.int64),
        "out.pairs": torch.tensor([[int(i), int(j)] for i, j in pairs], dtype=torch.int64).reshape(-1, 2),
    }
