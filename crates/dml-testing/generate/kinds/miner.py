"""Miners that choose without chance: the tuples, sorted."""

from pytorch_metric_learning.miners import BaseMiner

import pml
from case import Inputs, Recipe
from kinds import variants
from kinds.outputs import sorted_columns

#: Their draws are random, or their embeddings come as triplets.
LEFT_OUT = {"DistanceWeightedMiner", "UniformHistogramMiner", "EmbeddingsAlreadyPackagedAsTriplets"}


def names() -> list[str]:
    return [name for name in pml.names("miner", BaseMiner) if name not in LEFT_OUT]


def recipes(name: str):
    base = variants.required(name)
    configs = {"defaults": base, **dict(variants.changed(name))}
    configs |= {f"distance-{id}": {**base, "distance": distance} for id, distance in variants.DISTANCES.items()}
    for id, config in configs.items():
        if variants.is_refused(config) is None:
            yield recipe(name, f"{id}-self", "rows among themselves", config, reference=False)
            yield recipe(name, f"{id}-ref", "rows against references", config, reference=True)


def recipe(name, id, description, config, reference):
    def make(draw):
        labels = draw.labels(18)
        tensors = {"in.embeddings": draw.rows(labels), "in.labels": labels}
        if reference:
            others = labels[draw.rows_in_order(14)]
            tensors |= {"in.ref_emb": draw.rows(others), "in.ref_labels": others}
        return Inputs(variants.shown(id, config), tensors)

    return Recipe("miner", name, id, description, make, "mine")


def evaluate(case, dtype):
    given = [case.real("embeddings", dtype), case.whole("labels")]
    if "in.ref_emb" in case.inputs.tensors:
        given += [case.real("ref_emb", dtype), case.whole("ref_labels")]
    return sorted_columns(pml.make(case.config)(*given))
