"""A miner, then a loss over what it chose."""

import torch

import pml
from case import Inputs, Recipe
from draw import DIM
from kinds import loss as losses
from kinds import variants
from kinds.outputs import gradients, reduced

MINERS = {
    "semihard": {"name": "TripletMarginMiner", "type_of_triplets": "semihard"},
    "multi-similarity": {"name": "MultiSimilarityMiner"},
    "batch-hard": {"name": "BatchHardMiner"},
    "pair-margin": {"name": "PairMarginMiner", "pos_margin": 0.9, "neg_margin": 1.2},
}


def names() -> list[str]:
    return [name for name in losses.names() if name not in (*losses.WRAPPERS, *losses.WITHOUT_LABELS) and not refuses_tuples(name)]


def refuses_tuples(name: str) -> bool:
    """Whether a loss refuses tuples, or reads something else in their place."""
    loss = pml.make(variants.required(name, losses.SIZES))
    labels = torch.tensor([0, 0, 1, 1])
    rows = torch.randn(4, DIM, generator=torch.Generator().manual_seed(0))
    triplets = tuple(torch.tensor([row]) for row in (0, 1, 2))
    try:
        loss(rows, labels, triplets)
    except Exception:  # noqa: BLE001 — a loss without tuples says so in several ways.
        return True
    return False


def recipes(name: str):
    for id, miner in MINERS.items():
        yield recipe(name, f"{id}-self", "rows among themselves", miner, reference=False)
        yield recipe(name, f"{id}-ref", "rows against references", miner, reference=True)


def recipe(name, id, description, miner, reference):
    def make(draw):
        config = variants.required(name, losses.SIZES)
        tensors = losses.batch(draw, config, {})
        if reference:
            others = draw.classes(10)
            tensors |= {"in.ref_emb": draw.rows(others), "in.ref_labels": others}
        tensors |= variants.parameters(pml.make(config), draw)
        parts = {"name": "pipeline", "miner": pml.written_out(miner), "loss": pml.written_out(config)}
        return Inputs(parts, tensors)

    return Recipe("pipeline", name, id, description, make, "forward")


def evaluate(case, dtype):
    miner, loss = pml.make(case.config["miner"]), pml.make(case.config["loss"])
    leaves = losses.learned(loss, case, dtype)
    rows, others = case.leaf("embeddings", dtype), case.leaf("ref_emb", dtype)
    leaves["embeddings"] = rows
    labels, known = case.whole("labels"), case.whole("ref_labels")
    if others is not None:
        leaves["ref_emb"] = others
    tuples = miner(rows.detach(), labels, None if others is None else others.detach(), known)
    total, outputs = reduced(loss(rows, labels, tuples, others, known))
    sizes = [len(tuples[0])] if len(tuples) == 3 else [len(tuples[0]), len(tuples[2])]
    return outputs | gradients(total, leaves) | {"out.num_tuples": torch.tensor(sizes)}
