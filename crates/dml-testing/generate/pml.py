"""Components of PyTorch Metric Learning from configurations, and configurations with every argument written out.

An argument of a configuration is the constructor's argument of that name. What JSON cannot hold is named: functions by the
names in `FUNCTIONS`, infinity as "inf".
"""

import functools
import importlib.metadata
import inspect
import math
import os
import warnings

os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers, samplers  # noqa: E402
from pytorch_metric_learning.reducers import per_anchor_reducer  # noqa: E402
from pytorch_metric_learning.utils import accuracy_calculator, common_functions, inference  # noqa: E402

import beyond_pml  # noqa: E402

torch.set_num_threads(1)
# Above 25 rows `torch.cdist` takes squared norms and products apart, which loses half of the digits near 0.
torch.cdist = functools.partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")

REFERENCE = (
    f"pytorch-metric-learning {importlib.metadata.version('pytorch-metric-learning')}, torch {torch.__version__}, float64"
)
MODULES = {
    "distance": distances,
    "loss": losses,
    "miner": miners,
    "reducer": reducers,
    "regularizer": regularizers,
    "sampler_property": samplers,
    "accuracy": accuracy_calculator,
    "inference": inference,
}
#: Arguments that a class sets itself, or that a configuration has no word for.
UNWRITTEN = {
    "CosineSimilarity": {"normalize_embeddings", "is_inverted"},
    "DotProductSimilarity": {"is_inverted"},
    "LpDistance": {"is_inverted"},
    "SNRDistance": {"is_inverted"},
    "BatchedDistance": {"iter_fn"},
    "AvgNonZeroReducer": {"low"},
    "BatchHardMiner": {"pos_strategy", "neg_strategy"},
    "VICRegLoss": {"distance", "embedding_regularizer", "embedding_reg_weight"},
}
#: Collaborators that have a default where they are None.
DEFAULTS = ("distance", "reducer", "default_reducer")
GIVEN_CLUSTERS = "given_cluster_labels"


def sum_of_row(values, _):
    return values.sum(dim=1)


FUNCTIONS = {
    "aggregation_func": {"default": per_anchor_reducer.aggregation_func, "row_sum": sum_of_row},
    "index_init_fn": {"IndexFlatIP": inference.faiss.IndexFlatIP},
}


def find(name: str):
    """The class of that name: PML's, or one that stands in for what PML lacks."""
    for module in [*MODULES.values(), beyond_pml]:
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(f"neither PyTorch Metric Learning nor beyond_pml.py has {name}")


def names(kind: str, base: type) -> list[str]:
    """The components of a kind: the concrete classes that its module exports."""
    modules = (MODULES[kind], beyond_pml)
    exported = (getattr(module, name) for module in modules for name in dir(module))
    classes = {cls for cls in exported if inspect.isclass(cls) and issubclass(cls, base)}
    return sorted(cls.__name__ for cls in classes if not cls.__name__.startswith(("Base", "Generic")))


def arguments(cls: type) -> dict:
    """Constructor arguments with their defaults, those that are passed on to base classes included."""
    found: dict = {}
    for owner in cls.__mro__:
        if owner is torch.nn.Module:
            break
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(owner.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter.default)
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    # The first is bookkeeping, the second what a pair loss passes to its own base.
    unwritten = UNWRITTEN.get(cls.__name__, set()) | {"collect_stats", "mat_based_loss"}
    return {name: default for name, default in found.items() if name not in unwritten}


def make(config, given: dict | None = None):
    """The object that a configuration describes. `given`: what a configuration can only name, such as clusters."""
    if isinstance(config, list):
        return [make(part, given) for part in config]
    if not isinstance(config, dict):
        return math.inf if config == "inf" else config
    if "name" not in config:
        return {key: make(part, given) for key, part in config.items()}
    if config["name"] == GIVEN_CLUSTERS:
        return lambda rows, clusters: given["cluster_labels"]
    inner = {key: part for key, part in (given or {}).items() if key != "arguments"}
    values = {key: value(config["name"], key, part, inner) for key, part in config.items() if key != "name"}
    # Only the outermost component takes what no configuration can hold.
    extra = (given or {}).get("arguments", {})
    return find(config["name"])(**values, **extra)


def value(owner: str, key: str, part, given):
    """An argument as the constructor wants it."""
    if key in FUNCTIONS and isinstance(part, str):
        return FUNCTIONS[key][part]
    if owner == "ClassWeightedReducer" and key == "weights":
        return torch.tensor(part)
    if key in ("include", "exclude"):
        return tuple(part)
    if key == "device" and part is not None:
        return torch.device(part)
    return make(part, given)


def written_out(config: dict, given: dict | None = None) -> dict:
    """The same configuration with every argument, default collaborators included."""
    return described(make(config, given), config)


def described(component, config: dict | None = None) -> dict:
    """The configuration of an object; arguments that `config` gives are taken from there."""
    cls = type(component)
    result = {"name": cls.__name__}
    for name, default in arguments(cls).items():
        part = default if config is not None else getattr(component, name)
        part = config[name] if config is not None and name in config else part
        if part is None and name in DEFAULTS:
            part = default_collaborator(component, name)
        result[name] = plain(nested(part))
    return result


def default_collaborator(component, name: str):
    """What a component has where its configuration names none; None where it has none."""
    default = getattr(component, f"get_default_{name}", None)
    # A loss of several terms puts its reducer into one for each term, so the attribute is not the argument.
    own = default() if default is not None else getattr(component, name, None)
    return None if own is None else described(own)


def nested(parts):
    """Components within lists and dictionaries, written out."""
    if isinstance(parts, dict) and "name" in parts:
        return parts if parts["name"] == GIVEN_CLUSTERS else written_out(parts)
    if isinstance(parts, dict):
        return {key: nested(part) for key, part in parts.items()}
    if isinstance(parts, list):
        return [nested(part) for part in parts]
    return parts


def plain(part):
    """A value that JSON can hold."""
    if part == math.inf:
        return "inf"
    if callable(part) and part is per_anchor_reducer.aggregation_func:
        return "default"
    if isinstance(part, tuple):
        return list(part)
    return part
