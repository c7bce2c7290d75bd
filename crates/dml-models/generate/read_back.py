"""Loads a file that `dml_models::save` wrote into the upstream network of that name, strictly.

    python generate/read_back.py resnet18 FILE.safetensors
"""

import sys

import torch
import torchvision.models as tv
from safetensors import safe_open
from safetensors.torch import load_file

name, path = sys.argv[1:]
if name == "efficientnet_lite0":
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network._fc = torch.nn.Identity()
elif name.startswith("vit_"):
    import timm

    network = timm.create_model(name, num_classes=0)
else:
    network = getattr(tv, name)()
    setattr(network, "fc" if name.startswith("resnet") else "classifier", torch.nn.Identity())
print(name, network.load_state_dict(load_file(path)))
with safe_open(path, "pt") as file:
    assert file.metadata()["format"] == "pt", file.metadata()
if not name.startswith("efficientnet_lite"):
    import timm

    # timm's ResNets and MobileNets have torchvision's names where both have the network.
    if name.startswith("resnet"):
        timm.create_model(name, num_classes=0).load_state_dict(load_file(path))
        print("timm:", name)
