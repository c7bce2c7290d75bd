"""Features and gradients of every network, in evaluation and in training (README.md).

    python generate/parity.py tests/golden [NAME ...]
"""

import sys
from pathlib import Path

import torch
import torchvision.models as tv
from efficientnet_lite_pytorch import EfficientNet as Lite

from formula import digest, draw, fill, rounded, write

torch.set_num_threads(1)
SHAPE = (3, 3, 64, 64)


class Trunk(torch.nn.Module):
    """A network up to its pooled features; `classifier` is the name of what comes behind."""

    def __init__(self, network, classifier, pooled):
        super().__init__()
        setattr(network, classifier, torch.nn.Identity())
        self.network, self.pooled = network, pooled

    def forward(self, x):
        return self.pooled(self.network, x)


def whole(network, x):
    return network(x).flatten(1)


def lite(network, x):
    return network.extract_features(x).mean((2, 3))


NETWORKS = {
    "mobilenet_v2": lambda: Trunk(tv.mobilenet_v2(), "classifier", whole),
    "resnet18": lambda: Trunk(tv.resnet18(), "fc", whole),
    "resnet34": lambda: Trunk(tv.resnet34(), "fc", whole),
    "resnet50": lambda: Trunk(tv.resnet50(), "fc", whole),
    "resnet101": lambda: Trunk(tv.resnet101(), "fc", whole),
    "mobilenet_v3_small": lambda: Trunk(tv.mobilenet_v3_small(), "classifier", whole),
    "mobilenet_v3_large": lambda: Trunk(tv.mobilenet_v3_large(), "classifier", whole),
    "efficientnet_b0": lambda: Trunk(
        tv.efficientnet_b0(stochastic_depth_prob=0.0), "classifier", whole
    ),
    "efficientnet_lite0": lambda: Trunk(
        Lite.from_name("efficientnet-lite0", drop_connect_rate=0.0), "_fc", lite
    ),
    "convnext_tiny": lambda: Trunk(
        tv.convnext_tiny(stochastic_depth_prob=0.0), "classifier", whole
    ),
}


def run(network, trunk, mode):
    fill(network)
    trunk.train(mode == "train")
    trunk.zero_grad()
    features = trunk(draw("image", SHAPE, -1.0, 1.0))
    probe = draw("probe.features", tuple(features.shape), -1.0, 1.0)
    (features * probe).sum().backward()
    case = {
        "features": digest("features", features),
        "first_row": [rounded(x) for x in features[0, :8].detach()],
        "gradients": {n: digest(n, p.grad) for n, p in network.named_parameters()},
    }
    if mode == "train":
        buffers = network.named_buffers()
        case["buffers"] = {n: digest(n, b) for n, b in buffers if b.is_floating_point()}
    return case


def main():
    out, *names = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    for name in names or NETWORKS:
        trunk = NETWORKS[name]().double()
        network = trunk.network
        cases = {mode: run(network, trunk, mode) for mode in ("eval", "train")}
        write(Path(out, f"{name}.json"), {"shape": SHAPE, **cases})
        print(name, sum(p.numel() for p in network.parameters()))


main()
