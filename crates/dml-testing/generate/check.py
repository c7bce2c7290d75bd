"""Whether a drawn case is one that single precision can be held to.

Two things make a draw useless: rounding that decides something (a hinge, a threshold, a rank), and numbers so large or so
close that single precision loses the digits that the tolerance asks for.
"""

import math

import torch

from case import ATOL, RTOL, Case

#: The reference in single precision has to stay within the tolerance by this factor.
MARGIN = 4.0
#: How far a tensor's tolerance may be widened, relative to its largest value.
WIDEST = 2e-5
#: Inputs are moved by this much, relatively; no decision may change.
STEP = 4e-6
#: Largest second difference over such a step, relative to a tensor's largest value: a kink shows as more.
CURVATURE = 3e-5


def tolerances(exact: dict, single: dict, widest: float = WIDEST) -> dict | str:
    """Wider tolerances where rounding asks for them, by tensor; a sentence if the draw is no use."""
    wider = {}
    if exact.keys() != single.keys():
        return "single precision has other outputs"
    for name, want in exact.items():
        got = single[name]
        if want.shape != got.shape:
            return f"single precision has another shape of {name}"
        if not want.is_floating_point():
            if not torch.equal(want, got):
                return f"single precision decides {name} otherwise"
            continue
        want, got = want.double(), got.double()
        if not torch.isfinite(want).all() or not torch.isfinite(got).all():
            return f"{name} is not finite"
        if want.numel() == 0:
            continue
        needed = float((MARGIN * (want - got).abs() - RTOL * want.abs()).max())
        if needed <= ATOL:
            continue
        if needed > widest * float(want.abs().max()):
            return f"{name} loses too many digits in single precision"
        wider[name] = {"atol": rounded_up(needed)}
    return wider


def instability(evaluate, case: Case, outputs: dict, curvature: float = CURVATURE) -> str | None:
    """Which output changes its course when the inputs move a little; None if none does."""
    ahead, behind = (evaluate(moved(case, step), torch.float64) for step in (STEP, -STEP))
    for name, here in outputs.items():
        before, after = behind.get(name), ahead.get(name)
        if before is None or after is None or not before.shape == here.shape == after.shape:
            return f"{name} changes its shape"
        if not here.is_floating_point():
            if not (torch.equal(here, before) and torch.equal(here, after)):
                return f"{name} is decided by rounding"
            continue
        if here.numel() == 0:
            continue
        bend = (before.double() + after.double() - 2.0 * here.double()).abs().max()
        if float(bend) > 1e-7 + curvature * float(here.abs().max()):
            return f"{name} has a kink close by"
    return None


def moved(case: Case, step: float) -> Case:
    """The case with every real input multiplied by `1 + step · noise`; labels that are real numbers stay.

    The noise follows from the number, so that equal numbers move alike.
    """
    tensors = {}
    for name, tensor in case.inputs.tensors.items():
        if tensor.is_floating_point() and "label" not in name:
            noise = torch.sin(1e4 * tensor.double())
            tensor = tensor.double() * (1.0 + step * noise)
        tensors[name] = tensor
    inputs = type(case.inputs)(case.inputs.config, tensors, case.inputs.metadata)
    return Case(case.recipe, inputs)


def rounded_up(number: float) -> float:
    """The next number with one digit."""
    unit = 10.0 ** math.floor(math.log10(number))
    return float(f"{math.ceil(number / unit) * unit:.0e}")
