"""A recipe for a case, the case that one draw makes of it, and the file."""

import dataclasses
import json
import pathlib
import struct
import typing

import torch

FORMAT = "dml-conformance-1"
RTOL, ATOL = 1e-4, 1e-6


@dataclasses.dataclass
class Inputs:
    """What a recipe draws: the configuration, the tensors `in.*` and `param.*`, and further metadata."""

    config: dict
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Recipe:
    """How to make one case."""

    kind: str
    name: str
    id: str
    description: str
    make: typing.Callable[[typing.Any], Inputs]
    op: str
    #: The inputs contain ties that are exact by construction, so moving them by a rounding error changes the answer.
    exact: bool = False

    @property
    def path(self) -> str:
        return f"{self.kind}/{self.name}/{self.id}"


@dataclasses.dataclass
class Case:
    """A recipe with drawn inputs; what an evaluation reads."""

    recipe: Recipe
    inputs: Inputs

    @property
    def config(self) -> dict:
        return self.inputs.config

    @property
    def op(self) -> str:
        return self.recipe.op

    def whole(self, name: str):
        """`in.NAME` as whole numbers, or None."""
        tensor = self.inputs.tensors.get(f"in.{name}")
        return None if tensor is None else tensor.clone()

    def real(self, name: str, dtype: torch.dtype):
        """`in.NAME` in that precision, or None."""
        tensor = self.inputs.tensors.get(f"in.{name}")
        return None if tensor is None else tensor.to(dtype)

    def leaf(self, name: str, dtype: torch.dtype):
        """`in.NAME` in that precision with a gradient, or None."""
        tensor = self.real(name, dtype)
        return None if tensor is None else tensor.clone().requires_grad_()

    def tuples(self, prefix: str = "tuples."):
        """The triplets or pairs of the case, or None."""
        for names in (("a", "p", "n"), ("a1", "p", "a2", "n")):
            columns = [self.whole(prefix + name) for name in names]
            if all(column is not None for column in columns):
                return tuple(columns)
        return None

    def metadata(self, name: str, default=None):
        """An entry of the metadata that holds JSON."""
        text = self.inputs.metadata.get(name)
        return default if text is None else json.loads(text)


def store(folder: pathlib.Path, case: Case, outputs: dict, tolerances: dict, seed: int, reference: str) -> None:
    """Writes the file of a case."""
    recipe = case.recipe
    metadata = {
        "format": FORMAT,
        "kind": recipe.kind,
        "name": recipe.name,
        "id": recipe.id,
        "op": recipe.op,
        "description": recipe.description,
        "config": json.dumps(case.config),
        "rtol": repr(RTOL),
        "atol": repr(ATOL),
        "reference": reference,
        "level": "golden",
        "seed": str(seed),
        **case.inputs.metadata,
    }
    if recipe.exact:
        metadata["exact"] = "true"
    if tolerances:
        metadata["tolerances"] = json.dumps(tolerances, sort_keys=True)
    tensors = {name: stored(name, tensor, recipe.kind) for name, tensor in {**case.inputs.tensors, **outputs}.items()}
    if not tensors:
        tensors = {"in.none": torch.zeros(1)}
    path = folder / f"{recipe.path}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(safetensors_bytes(tensors, metadata))


def stored(name: str, tensor: torch.Tensor, kind: str) -> torch.Tensor:
    """A tensor in the element type that the format gives it."""
    tensor = tensor.detach()
    if not tensor.is_floating_point():
        return tensor.to(torch.int64)
    is_wide = name.startswith("out.loss") or (kind == "accuracy" and name.startswith("out."))
    return tensor.to(torch.float64 if is_wide else torch.float32)


def safetensors_bytes(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose bytes follow from its content. (The library's own writer orders its header at random.)"""
    names = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32"}
    # Wide elements first, so that every tensor is aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, typing.Any] = {"__metadata__": dict(sorted(metadata.items()))}
    data = bytearray()
    for name in order:
        tensor = tensors[name].contiguous()
        begin = len(data)
        data += tensor.numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)
