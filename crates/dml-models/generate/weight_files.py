"""Small files of weights in every format that `Weights` reads, with the same three tensors.

    python generate/weight_files.py tests/files
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)

base = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 4
state = OrderedDict(
    [
        ("fc.weight", base),
        # Shares its storage, and is neither contiguous nor at its beginning.
        ("fc.view", base.t()[1:, :2]),
        ("fc.bias", torch.tensor([1.5, -2.0, 0.25])),
        ("bn.num_batches_tracked", torch.tensor(7)),
    ]
)
halves = OrderedDict(
    [
        ("f16", state["fc.bias"].half()),
        ("bf16", state["fc.bias"].bfloat16()),
        ("f64", state["fc.bias"].double()),
        ("bool", torch.tensor([True, False])),
        ("i32", torch.tensor([-1, 2], dtype=torch.int32)),
        ("parameter", torch.nn.Parameter(state["fc.bias"].clone())),
    ]
)

torch.save(state, out / "archive.pth")
torch.save(state, out / "sequence.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "lr": 0.1, "state_dict": state, "best": None}, out / "checkpoint.pth")
torch.save({"model": state, "args": {"lr": [1, 2.5, "x"]}}, out / "protocol4.pth", pickle_protocol=4)
torch.save(halves, out / "types.pth")
torch.save(torch.nn.Linear(2, 1), out / "module.pth")
torch.save({"epoch": 3}, out / "nothing.pth")

dense = {name: tensor.contiguous() for name, tensor in state.items()}
save_file(dense, out / "dense.safetensors", metadata={"format": "pt"})
save_file({name: t for name, t in halves.items()}, out / "types.safetensors")

folder = out / "sharded"
folder.mkdir(exist_ok=True)
first = {"fc.weight": dense["fc.weight"], "fc.view": dense["fc.view"]}
second = {name: tensor for name, tensor in dense.items() if name not in first}
shards = {"model-00001-of-00002.safetensors": first, "model-00002-of-00002.safetensors": second}
for name, tensors in shards.items():
    save_file(tensors, folder / name, metadata={"format": "pt"})
index = {name: file for file, tensors in shards.items() for name in tensors}
(folder / "model.safetensors.index.json").write_text(
    json.dumps({"metadata": {"total_size": 0}, "weight_map": index}, indent=1) + "\n"
)
