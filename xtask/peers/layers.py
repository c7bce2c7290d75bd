"""Milliseconds of single layers in PyTorch: the rows of `cargo run --release -p dml-nn --example layers`.

    python xtask/peers/layers.py [FILTER [SECONDS]] [--threads N]

Measures both memory layouts, NCHW and channels last, and prints the median of the forward pass and of forward with backward
pass in the layout in which the latter is faster.
"""

import argparse
import statistics
import time

import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

BATCH = 64

# Network, count, inputs, outputs, kernel, stride, groups, side of the image: as in convolution.rs.
CONVOLUTIONS = [
    ("resnet18", 1, 3, 64, 7, 2, 1, 128),
    ("resnet18", 4, 64, 64, 3, 1, 1, 32),
    ("resnet18", 1, 64, 128, 3, 2, 1, 32),
    ("resnet18", 1, 64, 128, 1, 2, 1, 32),
    ("resnet18", 3, 128, 128, 3, 1, 1, 16),
    ("resnet18", 1, 128, 256, 3, 2, 1, 16),
    ("resnet18", 1, 128, 256, 1, 2, 1, 16),
    ("resnet18", 3, 256, 256, 3, 1, 1, 8),
    ("resnet18", 1, 256, 512, 3, 2, 1, 8),
    ("resnet18", 1, 256, 512, 1, 2, 1, 8),
    ("resnet18", 3, 512, 512, 3, 1, 1, 4),
    ("mobilenet2", 1, 3, 32, 3, 2, 1, 128),
    ("mobilenet2", 1, 32, 32, 3, 1, 32, 64),
    ("mobilenet2", 1, 32, 16, 1, 1, 1, 64),
    ("mobilenet2", 1, 16, 96, 1, 1, 1, 64),
    ("mobilenet2", 1, 96, 96, 3, 2, 96, 64),
    ("mobilenet2", 1, 96, 24, 1, 1, 1, 32),
    ("mobilenet2", 2, 24, 144, 1, 1, 1, 32),
    ("mobilenet2", 1, 144, 144, 3, 1, 144, 32),
    ("mobilenet2", 1, 144, 24, 1, 1, 1, 32),
    ("mobilenet2", 1, 144, 144, 3, 2, 144, 32),
    ("mobilenet2", 1, 144, 32, 1, 1, 1, 16),
    ("mobilenet2", 3, 32, 192, 1, 1, 1, 16),
    ("mobilenet2", 2, 192, 192, 3, 1, 192, 16),
    ("mobilenet2", 2, 192, 32, 1, 1, 1, 16),
    ("mobilenet2", 1, 192, 192, 3, 2, 192, 16),
    ("mobilenet2", 1, 192, 64, 1, 1, 1, 8),
    ("mobilenet2", 4, 64, 384, 1, 1, 1, 8),
    ("mobilenet2", 4, 384, 384, 3, 1, 384, 8),
    ("mobilenet2", 3, 384, 64, 1, 1, 1, 8),
    ("mobilenet2", 1, 384, 96, 1, 1, 1, 8),
    ("mobilenet2", 3, 96, 576, 1, 1, 1, 8),
    ("mobilenet2", 2, 576, 576, 3, 1, 576, 8),
    ("mobilenet2", 2, 576, 96, 1, 1, 1, 8),
    ("mobilenet2", 1, 576, 576, 3, 2, 576, 8),
    ("mobilenet2", 1, 576, 160, 1, 1, 1, 4),
    ("mobilenet2", 3, 160, 960, 1, 1, 1, 4),
    ("mobilenet2", 3, 960, 960, 3, 1, 960, 4),
    ("mobilenet2", 2, 960, 160, 1, 1, 1, 4),
    ("mobilenet2", 1, 960, 320, 1, 1, 1, 4),
    ("mobilenet2", 1, 320, 1280, 1, 1, 1, 4),
    ("convnext", 1, 96, 96, 7, 1, 96, 32),
    ("efficientnet", 1, 240, 240, 5, 1, 240, 16),
    ("resnext", 1, 256, 256, 3, 1, 32, 16),
    ("vgg", 1, 64, 128, 3, 1, 1, 56),
]


class Gem(nn.Module):
    """Generalised-mean pooling (arXiv 1711.02512)."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return x.clamp(min=1e-6).pow(self.p).mean((2, 3), keepdim=True).pow(1 / self.p)


def convolution_rows():
    """Name, layer, shape of the input, whether the input needs a gradient."""
    for network, count, inputs, outputs, kernel, stride, groups, side in CONVOLUTIONS:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        name = f"{network} {count}x conv {inputs}>{outputs} k{kernel} s{stride} g{groups} @{side}"
        yield name, layer, (BATCH, inputs, side, side), inputs != 3
    yield "resnet18 1x maxpool k3 s2 @64", nn.MaxPool2d(3, 2, 1), (BATCH, 64, 64, 64), True
    yield "resnet18 1x global @4", nn.AdaptiveAvgPool2d(1), (BATCH, 512, 4, 4), True
    yield "mobilenet2 1x global @4", nn.AdaptiveAvgPool2d(1), (BATCH, 1280, 4, 4), True
    yield "pool avgpool k3 s2 @64", nn.AvgPool2d(3, 2, 1), (BATCH, 64, 64, 64), True
    yield "pool gem 512 @7", Gem(), (BATCH, 512, 7, 7), True
    squeeze = SqueezeExcitation(96, 24, scale_activation=nn.ReLU)
    yield "pool squeeze-excitation 96 @32", squeeze, (BATCH, 96, 32, 32), True


# Each family of layers adds its generator here.
ROWS = [convolution_rows]


def median(seconds, f):
    f()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds / 2:
        start = time.perf_counter()
        f()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def measure(layer, shape, needs_input, seconds, memory_format):
    x = torch.rand(shape) * 2 - 1
    if len(shape) == 4:
        x = x.contiguous(memory_format=memory_format)
    layer = layer.to(memory_format=memory_format)

    def forward():
        with torch.no_grad():
            layer(x)

    forward_time = median(seconds, forward)
    x = x.detach().requires_grad_(needs_input)
    gradient = torch.ones_like(layer(x)).detach()

    def both():
        x.grad = None
        for parameter in layer.parameters():
            parameter.grad = None
        layer(x).backward(gradient)

    return forward_time, median(seconds, both)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("seconds", nargs="?", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{'layer':<44} {'forward':>9} {'both':>9}")
    for rows in ROWS:
        for name, layer, shape, needs_input in rows():
            if arguments.filter not in name:
                continue
            formats = [torch.contiguous_format]
            if len(shape) == 4:
                formats.append(torch.channels_last)
            times = [measure(layer, shape, needs_input, arguments.seconds, f) for f in formats]
            forward, both = min(times, key=lambda t: t[1])
            print(f"{name:<44} {forward:>9.2f} {both:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
