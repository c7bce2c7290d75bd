"""The formula that weights and images are drawn from (README.md)."""

import json
from pathlib import Path

import numpy as np
import torch

MASK = (1 << 64) - 1


def draw(name, shape, low, high):
    """Elements in row-major order, in double precision."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        steps = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(h) + steps * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) >> np.uint64(11)
    u = z.astype(np.float64) / 2.0**53
    return torch.from_numpy((low + (high - low) * u).reshape(shape))


def bounds(name, shape):
    last = name.rsplit(".", 1)[-1]
    if last == "layer_scale":
        return -0.5, 0.5
    if last in ("bias", "running_mean"):
        return -0.1, 0.1
    if last == "running_var" or len(shape) == 1:
        return 0.5, 1.5
    bound = (6.0 / np.prod(shape[1:])) ** 0.5
    return -bound, bound


def fill(module, file_name=str):
    """Sets every parameter and buffer of a module; `file_name` turns its names into those of published files."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                name, shape = file_name(name), tuple(tensor.shape)
                tensor.copy_(draw(name, shape, *bounds(name, shape)))


def write(path, case):
    """Writes JSON with one line for each tensor."""
    lines = json.dumps(case, indent=0)
    lines = lines.replace("[\n", "[").replace(",\n-", ", -").replace("\n]", "]")
    for digit in "0123456789":
        lines = lines.replace(f",\n{digit}", f", {digit}")
    Path(path).write_text(lines + "\n")


def rounded(x):
    return float(f"{float(x):.10g}")


def digest(name, tensor):
    """Norm, product with the probe, first and last element."""
    flat = tensor.detach().double().flatten()
    probe = draw(f"probe.{name}", tuple(flat.shape), -1.0, 1.0)
    return [rounded(x) for x in (flat.norm(), flat @ probe, flat[0], flat[-1])]
