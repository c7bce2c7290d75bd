"""The rows of `cargo run --release -p dml-nn --example layers`, in PyTorch: median milliseconds.

    python xtask/peers/layers.py [PART OF A ROW'S NAME]
"""

import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(2)
part = sys.argv[1] if len(sys.argv) > 1 else ""


def median(f):
    for _ in range(2):
        f()
    times, start = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < 1 and len(times) < 50):
        begin = time.perf_counter()
        f()
        times.append((time.perf_counter() - begin) * 1e3)
    return sorted(times)[len(times) // 2]


def row(name, forward, both=None):
    if part in name:
        both = f"{median(both):10.2f}" if both else ""
        print(f"{name:42} {median(forward):10.2f} {both}", flush=True)


def layer(name, f, inputs, parameters=()):
    inputs = [x.requires_grad_() for x in inputs]
    ones = torch.ones_like(f(*inputs))

    def forward():
        with torch.no_grad():
            f(*inputs)

    def both():
        for x in (*inputs, *parameters):
            x.grad = None
        f(*inputs).backward(ones)

    row(name, forward, both)


def linear(batch, tokens, inputs, outputs):
    f = torch.nn.Linear(inputs, outputs)
    x = torch.randn(batch, tokens, inputs)
    layer(f"linear {batch}x{tokens} {inputs}->{outputs}", f, [x], list(f.parameters()))


def attention(batch, tokens, heads, width, packed):
    def attend(q, k, v):
        q, k, v = (x.view(batch, tokens, heads, width).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, heads * width)

    def timm(qkv):
        q, k, v = qkv.reshape(batch, tokens, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, heads * width)

    name = f"attention {batch}x{tokens} {heads}x{width}"
    if packed:
        layer(name + " packed", timm, [torch.randn(batch, tokens, 3 * heads * width)])
    else:
        layer(name, attend, [torch.randn(batch, tokens, heads * width) for _ in range(3)])


for batch, tokens, width in [(16, 197, 384), (64, 64, 384)]:
    if tokens == 197:
        linear(batch, tokens, width, 3 * width)
    linear(batch, tokens, width, width)
    linear(batch, tokens, width, 4 * width)
    linear(batch, tokens, 4 * width, width)
attention(16, 197, 6, 64, True)
attention(64, 64, 12, 32, False)
attention(2, 1024, 6, 64, True)

shapes = [(1000, 384), (384, 768), (197, 384), (384,), (384,), (1000,)]
for _ in range(12):
    for rows, columns in [(1152, 384), (384, 384), (1536, 384), (384, 1536)]:
        shapes += [(rows, columns), (rows,)]
    shapes += [(384,)] * 4
parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
for p in parameters:
    p.grad = torch.randn_like(p)
row("AdamW 22M foreach", torch.optim.AdamW(parameters, foreach=True).step)
row("AdamW 22M fused", torch.optim.AdamW(parameters, fused=True).step)
row("SGD with momentum 22M foreach", torch.optim.SGD(parameters, momentum=0.9, foreach=True).step)
row("SGD with momentum 22M fused", torch.optim.SGD(parameters, momentum=0.9, fused=True).step)
