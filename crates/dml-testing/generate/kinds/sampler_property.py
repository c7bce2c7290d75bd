"""Samplers: their length, and what their batches are made of."""

import torch
from pytorch_metric_learning.utils.common_functions import EmbeddingDataset

import pml
from case import Inputs, Recipe

CONFIGS = {
    "MPerClassSampler": {
        "defaults": {"m": 3},
        "batches": {"m": 2, "batch_size": 6, "length_before_new_iter": 60},
        "short-classes": {"m": 5, "length_before_new_iter": 100},
    },
    "HierarchicalSampler": {
        "one-each": {"batch_size": 6, "samples_per_class": 1, "super_classes_per_batch": 2},
        "all": {"batch_size": 8, "samples_per_class": "all", "super_classes_per_batch": 2},
    },
    "FixedSetOfTriplets": {"ten": {"num_triplets": 10}},
    "TuplesToWeightsSampler": {
        "multi-similarity": {"miner": {"name": "MultiSimilarityMiner"}},
        "subset": {"miner": {"name": "MultiSimilarityMiner"}, "subset_size": 12},
    },
}


def names() -> list[str]:
    return list(CONFIGS)


def recipes(name: str):
    for id, further in CONFIGS[name].items():
        yield recipe(name, id, {"name": name, **further})


def recipe(name, id, config):
    def make(draw):
        labels = draw.labels(24)
        tensors = {"in.labels": labels}
        if name == "HierarchicalSampler":
            # Each class belongs to one of three super classes.
            classes = draw.classes(36, 9, 3)
            tensors["in.labels"] = torch.stack([classes, classes % 3], dim=1)
        if name == "TuplesToWeightsSampler":
            tensors["in.embeddings"] = draw.rows(labels)
        return Inputs(with_collaborators(config), tensors)

    return Recipe("sampler_property", name, id, "length and rules of a sampler", make, "property")


def with_collaborators(config):
    """The configuration with its miner written out."""
    return {key: pml.written_out(part) if isinstance(part, dict) else part for key, part in config.items()}


def evaluate(case, _):
    name, labels = case.config["name"], case.whole("labels")
    given: dict = {"labels": labels}
    if name == "TuplesToWeightsSampler":
        rows = case.real("embeddings", torch.float32)
        given = {"model": torch.nn.Identity(), "dataset": EmbeddingDataset(rows, labels), "dataloader_num_workers": 0}
    sampler = pml.make(case.config, {"arguments": given})
    if name == "TuplesToWeightsSampler":
        drawn = list(iter(sampler))
        outputs = {"out.length": torch.tensor([len(drawn)])}
        return outputs if sampler.subset_size is not None else outputs | {"out.weights": sampler.weights}
    outputs = {"out.length": torch.tensor([len(sampler)])}
    if name == "HierarchicalSampler":
        outputs["out.super_labels"] = labels[:, 1].unique()
    if name == "MPerClassSampler":
        outputs["out.yielded"] = torch.tensor([len(list(iter(sampler)))])
    return outputs
