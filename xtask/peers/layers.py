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

# Channels and side of the image, as in norms.rs.
BATCH_NORMS = [(64, 64), (64, 32), (128, 16), (256, 8), (512, 4), (96, 64), (144, 32), (576, 8), (1280, 4)]


class LayerNorm2d(nn.LayerNorm):
    """torchvision's and timm's: channels last for the normalisation."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30522, 384)
        self.ids = torch.tensor([i * i % 30011 for i in range(64 * 64)]).reshape(64, 64)

    def forward(self, x):
        return self.embedding(self.ids)


class DropPath(nn.Module):
    def forward(self, x):
        return x * x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(0.9).div_(0.9)


class Rotary(nn.Module):
    def __init__(self, interleaved):
        super().__init__()
        self.interleaved = interleaved
        angles = torch.outer(torch.arange(256.0), 10000 ** (-torch.arange(0, 64, 2) / 64))
        angles = angles.repeat_interleave(2, -1) if interleaved else torch.cat([angles, angles], -1)
        self.cos, self.sin = angles.cos(), angles.sin()

    def forward(self, x):
        if self.interleaved:
            turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        else:
            turned = torch.cat([-x[..., 32:], x[..., :32]], -1)
        return x * self.cos + turned * self.sin


def norm_rows():
    """Name, layer, shape of the input, whether the input needs a gradient."""
    for channels, side in BATCH_NORMS:
        yield f"batchnorm {channels} @{side}", nn.BatchNorm2d(channels), (64, channels, side, side), True
    yield "batchnorm rows 512", nn.BatchNorm1d(512), (256, 512), True
    yield "frozen batchnorm 64 @32", nn.BatchNorm2d(64).eval(), (64, 64, 32, 32), True
    for network, shape in [("vit-s", (16, 197, 384)), ("minilm", (64, 64, 384)), ("vit-b", (16, 197, 768))]:
        yield f"layernorm {network}", nn.LayerNorm(shape[2]), shape, True
        yield f"rmsnorm {network}", nn.RMSNorm(shape[2]), shape, True
    for channels, side in [(96, 56), (384, 14), (768, 7)]:
        yield f"layernorm2d {channels} @{side}", LayerNorm2d(channels, 1e-6), (16, channels, side, side), True
    yield "groupnorm 32 of 64 @32", nn.GroupNorm(32, 64), (64, 64, 32, 32), True
    for name, layer in [("gelu", nn.GELU()), ("gelu tanh", nn.GELU("tanh")), ("gelu quick", QuickGelu())]:
        yield f"{name} vit-s", layer, (16, 197, 1536), True
    image = (64, 96, 64, 64)
    activations = [nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh()]
    for layer in activations:
        yield f"{type(layer).__name__.lower()} mobilenet2", layer, image, True
    yield "embedding minilm", Lookup(), (1,), True
    yield "droppath vit-s", DropPath(), (16, 197, 384), True
    for interleaved in [False, True]:
        name = "rotary interleaved" if interleaved else "rotary half-split"
        yield name, Rotary(interleaved), (16, 12, 256, 64), True


# Each family of layers adds its generator here.
ROWS = [norm_rows]


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
