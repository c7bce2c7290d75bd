"""Outputs of a component by the names that the format gives them."""

import torch


def gradients(total, leaves: dict) -> dict:
    """`grad.NAME` of every leaf; zeros where the total does not depend on it."""
    found = [None] * len(leaves)
    if torch.is_tensor(total) and total.requires_grad:
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), found)
    return {f"grad.{name}": torch.zeros_like(leaf) if got is None else got for (name, leaf), got in pairs}


def reduced(loss) -> tuple[torch.Tensor, dict]:
    """What to differentiate, and the outputs of a reduced loss, or of the unreduced terms of `DoNothingReducer`."""
    if not isinstance(loss, dict):
        total = loss if torch.is_tensor(loss) else torch.tensor(float(loss))
        return total.sum(), {"out.loss": total.detach().double().sum().reshape(1)}
    total, outputs = torch.zeros(()), {}
    for name, term in loss.items():
        values = term["losses"]
        values = values if torch.is_tensor(values) else torch.tensor([float(values)])
        total = total + values.sum()
        outputs[f"out.sub.{name}"] = values.detach().reshape(-1)
        columns = term["indices"]
        columns = () if columns is None else columns if isinstance(columns, (tuple, list)) else (columns,)
        outputs.update({f"out.sub.{name}.indices.{i}": column for i, column in enumerate(columns)})
    return total, outputs


def sorted_columns(columns: tuple) -> dict:
    """Triplets by (a, p, n), pairs by (anchor, other)."""
    if len(columns) == 3:
        return dict(zip(("out.a", "out.p", "out.n"), in_order(columns)))
    positives, negatives = in_order(columns[:2]), in_order(columns[2:])
    return dict(zip(("out.a1", "out.p", "out.a2", "out.n"), positives + negatives))


def in_order(columns: tuple) -> tuple:
    rows = sorted(zip(*(column.tolist() for column in columns)))
    split = zip(*rows) if rows else ([] for _ in columns)
    return tuple(torch.tensor(list(column), dtype=torch.int64) for column in split)


def in_given_order(columns: tuple) -> dict:
    names = ("out.a", "out.p", "out.n") if len(columns) == 3 else ("out.a1", "out.p", "out.a2", "out.n")
    return dict(zip(names, columns))
