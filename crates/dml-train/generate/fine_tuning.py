"""Rates by depth of timm and schedules of transformers (README.md).

    python generate/fine_tuning.py tests/golden
"""

import json
import sys
from pathlib import Path

import timm
import torch
import transformers
from timm.optim import param_groups_layer_decay

MODELS = ["vit_tiny_patch16_224", "resnet18", "convnext_atto", "efficientnet_b0"]
DECAY, WEIGHT_DECAY = 0.75, 0.05


def layer_decay(model):
    network = timm.create_model(model, pretrained=False)
    groups = param_groups_layer_decay(network, WEIGHT_DECAY, layer_decay=DECAY)
    settings = {id(p): (g["lr_scale"], g["weight_decay"]) for g in groups for p in g["params"]}
    parameters = [[name, list(p.shape), *settings[id(p)]] for name, p in network.named_parameters()]
    return {"model": model, "parameters": parameters}


def schedule(make, warm_up, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer, warm_up, steps)
    rates = []
    for _ in range(steps + 1):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def schedules():
    kinds = {
        "cosine": transformers.get_cosine_schedule_with_warmup,
        "linear": transformers.get_linear_schedule_with_warmup,
    }
    return [
        {"kind": kind, "warm_up": warm_up, "steps": steps, "factors": schedule(make, warm_up, steps)}
        for kind, make in kinds.items()
        for warm_up, steps in [(4, 20), (0, 7), (1, 2)]
    ]


def write(path, value, peer):
    lines = ",\n".join(json.dumps(part) for part in value)
    path.write_text(f'{{"peer": "{peer}", "cases": [\n{lines}\n]}}\n')


folder = Path(sys.argv[1])
write(folder / "layer_decay.json", [layer_decay(model) for model in MODELS], f"timm {timm.__version__}")
versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
write(folder / "schedules.json", schedules(), versions)
