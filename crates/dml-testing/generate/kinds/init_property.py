"""The shape of what a loss learns, and the distribution of its first values."""

import json
import math

import torch

import pml
from case import Inputs, Recipe
from kinds import loss as losses
from kinds import variants

SIZES = {"num_classes": 60, "embedding_size": 40, "descriptors_dim": 40, "l": 40}
DRAWS = 200


def names() -> list[str]:
    made = (variants.required(name, SIZES) for name in losses.names() if name not in losses.WRAPPERS)
    return [config["name"] for config in made if list(pml.make(config).named_parameters())]


def recipes(name: str):
    config = variants.required(name, SIZES)
    for parameter, _ in pml.make(config).named_parameters():

        def make(_, parameter=parameter):
            rule = observed_rule(config, parameter)
            return Inputs(pml.written_out(config), {}, {"param": parameter, "rule": json.dumps(rule)})

        yield Recipe("init_property", name, f"{parameter.lower()}-defaults", "first values", make, "init")


def observed_rule(config: dict, parameter: str) -> dict:
    """The distribution of many first values: uniform if they stay within √3 standard deviations, normal otherwise."""
    torch.manual_seed(0)
    drawn = torch.stack([dict(pml.make(config).named_parameters())[parameter].detach() for _ in range(DRAWS)])
    lengths = drawn[0].norm(dim=0)
    if drawn[0].dim() == 2 and torch.allclose(lengths, torch.ones_like(lengths), atol=1e-3):
        return {"dist": "unit_columns"}
    deviation, largest = float(drawn.std()), float(drawn.abs().max())
    if deviation == 0.0:
        return {"dist": "constant", "value": largest}
    if largest < 1.05 * math.sqrt(3.0) * deviation:
        return {"dist": "uniform", "bound": largest}
    return {"dist": "normal", "std": deviation}


def evaluate(case, _):
    parameters = pml.make(case.config).named_parameters()
    return {f"out.shape.{name}": torch.tensor(list(parameter.shape)) for name, parameter in parameters}
