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


class Attention(nn.Module):
    """Attention alone, of packed queries, keys and values."""

    def __init__(self, heads):
        super().__init__()
        self.heads = heads

    def forward(self, qkv):
        batch, tokens, width = qkv.shape
        q, k, v = qkv.reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return y.transpose(1, 2).reshape(batch, tokens, width // 3)


def attention_rows():
    width = 384
    for network, batch, tokens, heads in [("vit-s", 16, 197, 6), ("minilm", 64, 64, 12)]:
        for inputs, outputs in [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]:
            name = f"{network} linear {inputs}>{outputs}"
            yield name, nn.Linear(inputs, outputs), (batch, tokens, inputs), True
        yield f"{network} attention {heads} heads", Attention(heads), (batch, tokens, 3 * width), True
        whole = nn.Sequential(nn.Linear(width, 3 * width), Attention(heads), nn.Linear(width, width))
        yield f"{network} attention with its layers", whole, (batch, tokens, width), True
        form = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        yield f"{network} feed-forward", form, (batch, tokens, width), True
    yield "long attention 6 heads", Attention(6), (2, 1024, 3 * width), True


def steps():
    """Steps of optimisers over 22 million numbers in 150 tensors."""
    shapes = [(384, 768), (197, 384), (384,), (384,), (1000, 384), (1000,)]
    for _ in range(12):
        for rows, columns in [(1152, 384), (384, 384), (1536, 384), (384, 1536)]:
            shapes += [(rows, columns), (rows,)]
        shapes += [(384,)] * 4
    parameters = [nn.Parameter(torch.rand(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.rand_like(parameter)
    for form in ("foreach", "fused"):
        yield f"vit-s step of AdamW {form}", torch.optim.AdamW(parameters, **{form: True}).step
        sgd = torch.optim.SGD(parameters, momentum=0.9, **{form: True})
        yield f"vit-s step of SGD with momentum {form}", sgd.step


# Each family of layers adds its generator here.
ROWS = [convolution_rows, norm_rows, attention_rows]


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
    for name, step in steps():
        if arguments.filter in name:
            print(f"{name:<44} {median(arguments.seconds, step):>9.2f}", flush=True)


if __name__ == "__main__":
    main()
