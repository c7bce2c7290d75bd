"""Losses: one call, logits of classes, two views, several losses, and a memory over several steps."""

import torch
from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.utils import loss_and_miner_utils

import pml
from case import Inputs, Recipe
from draw import CLASSES, DIM, ROWS
from kinds import variants
from kinds.outputs import gradients, reduced

SIZES = {"num_classes": CLASSES, "embedding_size": DIM, "descriptors_dim": DIM, "l": DIM}
WRAPPED = ("ContrastiveLoss", "MultiSimilarityLoss", "NTXentLoss", "SupConLoss", "TripletMarginLoss")
STEPS = 3
#: The first compares two views, the second reads a proxy of each row in the place of tuples.
WITHOUT_LABELS = ("VICRegLoss", "ManifoldLoss")
REGULARIZER = {"embedding_regularizer": {"name": "LpRegularizer"}, "embedding_reg_weight": 0.5}


def names() -> list[str]:
    return pml.names("loss", BaseMetricLossFunction) + ["CrossBatchMemory", "MultipleLosses", "SelfSupervisedLoss"]


def recipes(name: str):
    if name in WRAPPERS:
        yield from WRAPPERS[name]()
        return
    for id, config in configurations(name):
        yield forward(name, id, "a batch", config)
    base = variants.required(name, SIZES)
    if name not in WITHOUT_LABELS:
        yield forward(name, "reference", "a batch against references", base, reference=True)
        yield forward(name, "triplets", "given triplets", base, tuples="triplets")
        yield forward(name, "pairs", "given pairs", base, tuples="pairs")
    if hasattr(pml.find(name), "get_logits"):
        yield logits(name, base)


def configurations(name: str):
    """Defaults, other arguments, and every collaborator that the constructor takes."""
    base = variants.required(name, SIZES)
    yield "defaults", base
    yield from variants.changed(name, SIZES)
    collaborators = [("distance", variants.DISTANCES), ("reducer", variants.REDUCERS)]
    for role, choices in collaborators:
        for id, choice in choices.items():
            config = {**base, role: choice}
            if variants.has(name, role) and variants.is_refused(config) is None:
                yield f"{role}-{id}", config
    if variants.has(name, "embedding_regularizer"):
        yield "regularized", {**base, **REGULARIZER}
    if variants.has(name, "weight_regularizer"):
        yield "regularized-weights", {**base, "weight_regularizer": {"name": "RegularFaceRegularizer"}}


def batch(draw, config: dict, tensors: dict) -> dict:
    """The inputs of a loss with that configuration, by what its constructor and its module say."""
    name = config["name"]
    if name == "VICRegLoss":
        tensors |= {"in.embeddings": draw.normal(ROWS, DIM), "in.ref_emb": draw.normal(ROWS, DIM)}
    elif name == "ManifoldLoss":
        tensors |= {"in.embeddings": draw.normal(ROWS, DIM), "in.meta_classes": draw.classes(least=1)}
    elif name == "SmoothAPLoss":
        # PML takes blocks of as many rows as there are classes for the classes.
        labels = torch.arange(CLASSES).repeat_interleave(CLASSES)
        tensors |= {"in.embeddings": draw.rows(labels), "in.labels": labels}
    else:
        labels = draw.classes()
        tensors |= {"in.embeddings": draw.rows(labels), "in.labels": labels}
    return tensors


def forward(name, id, description, config, reference=False, tuples=None):
    def make(draw):
        tensors = batch(draw, config, {})
        labels = tensors.get("in.labels")
        if reference:
            others = draw.classes(9)
            tensors |= {"in.ref_emb": draw.rows(others), "in.ref_labels": others}
        if tuples == "triplets":
            columns = draw.some(loss_and_miner_utils.get_all_triplets_indices(labels), 20)
            tensors |= dict(zip(("in.tuples.a", "in.tuples.p", "in.tuples.n"), columns))
        if tuples == "pairs":
            columns = loss_and_miner_utils.get_all_pairs_indices(labels)
            positives, negatives = draw.some(columns[:2], 9), draw.some(columns[2:], 14)
            columns = dict(zip(("in.tuples.a1", "in.tuples.p"), positives))
            tensors |= columns | dict(zip(("in.tuples.a2", "in.tuples.n"), negatives))
        tensors |= variants.parameters(pml.make(config), draw)
        return Inputs(variants.shown(id, config), tensors)

    return Recipe("loss", name, id, description, make, "forward")


def logits(name, config):
    def make(draw):
        tensors = batch(draw, config, {}) | variants.parameters(pml.make(config), draw)
        tensors["in.weights"] = draw.normal(len(tensors["in.embeddings"]), CLASSES)
        return Inputs(pml.written_out(config), tensors)

    return Recipe("loss", name, "logits", "logits of the classes, with the gradients of their weighted sum", make, "get_logits")


def self_supervised():
    for loss in WRAPPED:
        for symmetric in (True, False):
            config = {"name": "SelfSupervisedLoss", "loss": {"name": loss}, "symmetric": symmetric}

            def make(draw, config=config):
                view = draw.normal(7, DIM)
                other = view + draw.normal(7, DIM, scale=0.5)
                return Inputs(pml.written_out(config), {"in.embeddings": view, "in.ref_emb": other})

            id = f"{loss.lower()}-{'symmetric' if symmetric else 'one-way'}"
            yield Recipe("loss", "SelfSupervisedLoss", id, f"two views by {loss}", make, "self_supervised")


def multiple():
    both = [{"name": "ContrastiveLoss"}, {"name": "NTXentLoss"}]
    config = {"name": "MultipleLosses", "losses": both}
    for id, further in {"list": {}, "weights": {"weights": [0.5, 2.0]}}.items():
        recipe = forward("MultipleLosses", id, "two losses", {**config, **further})
        recipe.op = "multiple"
        yield recipe


def memory():
    for loss in WRAPPED:
        for size in (10, 64):
            config = {
                "name": "CrossBatchMemory",
                "loss": {"name": loss},
                "embedding_size": DIM,
                "memory_size": size,
            }

            def make(draw, config=config):
                tensors = {}
                for step in range(STEPS):
                    labels = draw.classes(8)
                    tensors |= {f"in.embeddings.{step}": draw.rows(labels), f"in.labels.{step}": labels}
                return Inputs(pml.written_out(config), tensors, {"steps": str(STEPS)})

            id = f"{loss.lower()}-memory-{size}"
            yield Recipe("loss", "CrossBatchMemory", id, f"{loss} over {STEPS} steps", make, "sequence")


WRAPPERS = {"CrossBatchMemory": memory, "MultipleLosses": multiple, "SelfSupervisedLoss": self_supervised}


def learned(loss: torch.nn.Module, case, dtype) -> dict:
    """The parameters of a loss, set to those of the case."""
    loss.to(dtype)
    parameters = dict(loss.named_parameters())
    for name, parameter in parameters.items():
        parameter.data = case.inputs.tensors[f"param.{name}"].to(dtype).clone()
    return {f"param.{name}": parameter for name, parameter in parameters.items()}


def evaluate(case, dtype):
    loss = pml.make(case.config)
    leaves = learned(loss, case, dtype)
    if case.op == "sequence":
        return sequence(loss, case, dtype)
    rows, others = case.leaf("embeddings", dtype), case.leaf("ref_emb", dtype)
    leaves["embeddings"] = rows
    if others is not None:
        leaves["ref_emb"] = others
    labels, tuples = case.whole("labels"), case.tuples()
    if case.op == "get_logits":
        result = loss.get_logits(rows)
        return {"out.logits": result} | gradients((result * case.real("weights", dtype)).sum(), leaves)
    if case.op == "self_supervised":
        result = loss(rows, others)
    elif case.op == "multiple":
        result = loss(rows, labels, tuples)
    else:
        chosen = case.whole("meta_classes") if tuples is None else tuples
        result = loss(rows, labels, indices_tuple=chosen, ref_emb=others, ref_labels=case.whole("ref_labels"))
    total, outputs = reduced(result)
    outputs |= gradients(total, leaves)
    if case.config["name"] == "P2SGradLoss":
        outputs["out.param.weight"] = loss.weight
    return outputs


def sequence(loss, case, dtype):
    outputs = {}
    for step in range(int(case.inputs.metadata["steps"])):
        rows = case.leaf(f"embeddings.{step}", dtype)
        total, values = reduced(loss(rows, case.whole(f"labels.{step}")))
        values |= gradients(total, {"embeddings": rows})
        outputs |= {f"{name}.{step}": value for name, value in values.items()}
    return outputs | {
        "out.embedding_memory": loss.embedding_memory.clone(),
        "out.label_memory": loss.label_memory.clone().to(torch.int64),
        "out.queue_idx": torch.tensor([loss.queue_idx]),
        "out.has_been_filled": torch.tensor([int(loss.has_been_filled)]),
    }
