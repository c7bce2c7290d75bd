"""Calls that must fail: collaborators that a constructor refuses, and inputs that do not fit together."""

import pml
from case import Inputs, Recipe
from kinds import loss as losses
from kinds import miner as miners
from kinds import variants


def names() -> list[str]:
    return [name for name in losses.names() if name not in losses.WRAPPERS] + miners.names()


def recipes(name: str):
    of = "miner" if name in miners.names() else "loss"
    sizes = losses.SIZES if of == "loss" else None
    base = variants.required(name, sizes)
    if variants.has(name, "distance"):
        for id, distance in variants.DISTANCES.items():
            config = {**base, "distance": distance}
            if variants.is_refused(config) is not None:
                reason = f"{name} is not defined for this distance"
                yield recipe(name, f"distance-{id}", reason, of, "construct", config, lambda _: {})

    def too_few_labels(draw):
        tensors = losses.batch(draw, base, {}) if of == "loss" else {"in.embeddings": draw.normal(12, 6)}
        tensors["in.labels"] = draw.classes(9)
        tensors.pop("in.meta_classes", None)
        return tensors

    def flat_labels(draw):
        return too_few_labels(draw) | {"in.labels": draw.classes().reshape(-1, 1)}

    reason = "labels are as many as rows, in one dimension"
    yield recipe(name, "labels-length", reason, of, "forward", base, too_few_labels)
    yield recipe(name, "labels-2d", reason, of, "forward", base, flat_labels)


def recipe(name, id, reason, of, stage, config, tensors):
    def make(draw):
        op = "mine" if of == "miner" else "forward"
        drawn = tensors(draw)
        if of == "loss" and stage == "forward":
            drawn |= variants.parameters(pml.make(config), draw)
        return Inputs(config, drawn, {"of": of, "stage": stage, "error": reason, "op": op})

    return Recipe("error", name, id, reason, make, "forward")


def evaluate(case, dtype):
    """No output: the case is of use if PML fails."""
    try:
        if case.inputs.metadata["stage"] == "construct":
            pml.make(case.config)
        elif case.inputs.metadata["of"] == "miner":
            miners.evaluate(case, dtype)
        else:
            losses.evaluate(case, dtype)
    except Exception as error:  # noqa: BLE001 — whatever PML raises is its answer.
        case.inputs.metadata["python_error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        return {}
    raise AssertionError("the call does not fail")
