"""Configurations of a component that differ from its defaults in one argument."""

import inspect

import torch

import pml

#: Arguments that PML requires, or that make no sense at their default, by class.
REQUIRED = {
    "RankedListLoss": {"margin": 0.4, "Tn": 1.5, "Tp": 0.7},
    "HistogramLoss": {"n_bins": 20},
    "ManifoldLoss": {"K": 4},
    "SparseCentersRegularizer": {"num_classes": 4, "centers_per_class": 3},
    "ThresholdReducer": {"low": 0.1, "high": 1.4},
    "ClassWeightedReducer": {"weights": [1.0, 0.5, 2.0, 0.25]},
    "MultipleReducers": {"reducers": {"pos_loss": {"name": "SumReducer"}}},
}
#: Arguments that have a fixed set of words.
WORDS = {
    "type_of_triplets": ["hard", "semihard", "easy"],
    "pos_strategy": ["hard", "semihard", "all"],
    "neg_strategy": ["hard", "easy", "all"],
    "variant": ["Ds", "Dq", "Iu", "Ib"],
    "aggregation_func": ["row_sum"],
}
#: Arguments whose values are sizes of the inputs.
SIZES = ("num_classes", "embedding_size", "descriptors_dim", "l")
DISTANCES = {
    "l2": {"name": "LpDistance"},
    "l2-squared": {"name": "LpDistance", "power": 2},
    "l2-raw": {"name": "LpDistance", "normalize_embeddings": False},
    "l1": {"name": "LpDistance", "p": 1},
    "cosine": {"name": "CosineSimilarity"},
    "dot-raw": {"name": "DotProductSimilarity", "normalize_embeddings": False},
    "snr": {"name": "SNRDistance"},
}
REDUCERS = {
    "mean": {"name": "MeanReducer"},
    "sum": {"name": "SumReducer"},
    "threshold": {"name": "ThresholdReducer", "low": 0.05, "high": 30.0},
    "avg-non-zero": {"name": "AvgNonZeroReducer"},
    "class-weighted": {"name": "ClassWeightedReducer", "weights": [1.0, 0.5, 2.0, 0.25]},
    "divisor": {"name": "DivisorReducer"},
    "per-anchor": {"name": "PerAnchorReducer"},
    "do-nothing": {"name": "DoNothingReducer"},
}


def required(name: str, sizes: dict | None = None) -> dict:
    """The configuration with mandatory arguments only."""
    known = pml.arguments(pml.find(name))
    given = {key: size for key, size in (sizes or {}).items() if key in known and known[key] is inspect.Parameter.empty}
    return {"name": name, **given, **REQUIRED.get(name, {})}


def changed(name: str, sizes: dict | None = None):
    """Pairs of an id and a configuration: each argument with another value than its default."""
    base = required(name, sizes)
    for key, default in pml.arguments(pml.find(name)).items():
        if key in SIZES:
            continue
        for other in other_values(key, base.get(key, default)):
            yield f"{key}-{other}".lower(), {**base, key: other}


def other_values(key: str, default) -> list:
    if key in WORDS:
        return WORDS[key]
    if isinstance(default, bool):
        return [not default]
    if key.endswith("reg_weight"):
        return []
    if isinstance(default, int):
        return [default + max(1, default // 4)]
    if isinstance(default, float):
        return [round(default * 1.25, 6) or 0.1]
    return []


def shown(id: str, config: dict, given: dict | None = None) -> dict:
    """The configuration as it stands in the file: with every argument, unless the case is about the defaults."""
    return config if id.startswith("defaults") else pml.written_out(config, given)


def is_refused(config: dict) -> str | None:
    """What the constructor says against a configuration; None if it takes it."""
    try:
        pml.make(config)
    except Exception as error:  # noqa: BLE001 — whatever PML raises is its answer.
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def has(name: str, argument: str) -> bool:
    return argument in pml.arguments(pml.find(name))


def parameters(component: torch.nn.Module, draw, prefix: str = "param.") -> dict:
    """A value for everything that a component learns."""
    drawn = {}
    for name, tensor in component.named_parameters():
        drawn[prefix + name] = draw.uniform(0.8, 1.4, *tensor.shape) if name.endswith("beta") else draw.normal(*tensor.shape)
    return drawn
