"""Accuracies: metrics of nearest neighbours, and of given clusters."""

import json

import torch

import pml
from case import Inputs, Recipe
from kinds import variants


def names() -> list[str]:
    return ["AccuracyCalculator"]


def recipes(name: str):
    neighbours = {"name": name, "exclude": ["AMI", "NMI"], "device": "cpu", "knn_func": {"name": "FaissKNN"}}
    options = {
        "defaults": {},
        "k-3": {"k": 3},
        "k-max-bin-count": {"k": "max_bin_count"},
        "averages-of-averages": {"avg_of_avgs": True},
        "per-class": {"return_per_class": True},
    }
    for id, option in options.items():
        for way in ("self", "ref", "queries-among-references"):
            yield recipe(name, f"{id}-{way}", {**neighbours, **option}, way)
    clusters = {**neighbours, "include": ["AMI", "NMI"], "exclude": [], "kmeans_func": {"name": pml.GIVEN_CLUSTERS}}
    yield recipe(name, "given-clusters", clusters, "self", clusters=True)


def recipe(name, id, config, way, clusters=False):
    def make(draw):
        labels = draw.labels(20)
        tensors = {"in.embeddings": draw.rows(labels, spread=1.6), "in.labels": labels}
        call = {"ref_includes_query": way == "queries-among-references"}
        if way != "self":
            others = labels[draw.rows_in_order(15)]
            rows = draw.rows(others, spread=1.6)
            if call["ref_includes_query"]:
                others, rows = torch.cat([labels, others]), torch.cat([tensors["in.embeddings"], rows])
            tensors |= {"in.ref_emb": rows, "in.ref_labels": others}
        if clusters:
            tensors["in.cluster_labels"] = draw.classes(20)
        given = {"cluster_labels": tensors.get("in.cluster_labels")}
        return Inputs(variants.shown(id, config, given), tensors, {"call": json.dumps(call)})

    return Recipe("accuracy", name, id, "metrics of the neighbours of every row", make, "get_accuracy")


def evaluate(case, _):
    calculator = pml.make(case.config, {"cluster_labels": case.whole("cluster_labels")})
    # PML computes metrics in single precision.
    given = [case.real("embeddings", torch.float32), case.whole("labels")]
    if "in.ref_emb" in case.inputs.tensors:
        given += [case.real("ref_emb", torch.float32), case.whole("ref_labels")]
    scores = calculator.get_accuracy(*given, **case.metadata("call", {}))
    as_list = {name: score if isinstance(score, list) else [score] for name, score in scores.items()}
    return {f"out.{name}": torch.tensor(score, dtype=torch.float64) for name, score in as_list.items()}
