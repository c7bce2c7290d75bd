"""Embeddings and gradients of vision transformers and their text towers (README.md).

    python generate/vision.py parity tests/golden [NAME ...]
    python generate/vision.py full NAME OUT.safetensors [WEIGHTS.safetensors]
"""

import sys
from pathlib import Path
from unittest import mock

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from formula import digest, draw, fill, rounded, write

torch.set_num_threads(1)
HIDDEN, HEADS, WIDE, PATCH, SIZE = 36, 3, 72, 5, 20
PROJECTION = 28
SIZES = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
}
VISION = {**SIZES, "image_size": SIZE, "patch_size": PATCH}
# CLIP's token 49 ends and pads texts; SigLIP's texts have all positions.
CLIP_IDS = [[48, 3, 7, 11, 49, 49, 49], [48, 5, 2, 8, 9, 4, 49], [48, 49, 49, 49, 49, 49, 49]]
SIGLIP_IDS = [[3, 7, 11, 1, 1, 1, 1, 1, 1], [5, 2, 8, 9, 4, 6, 40, 2, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]]


def timm_vit(**options):
    return VisionTransformer(
        img_size=SIZE,
        patch_size=PATCH,
        embed_dim=HIDDEN,
        depth=2,
        num_heads=HEADS,
        mlp_ratio=WIDE // HIDDEN,
        num_classes=0,
        dynamic_img_size=True,
        **options,
    )


def dinov2(prefix):
    return getattr(transformers, f"{prefix}Model")(
        getattr(transformers, f"{prefix}Config")(**VISION, mlp_ratio=WIDE // HIDDEN)
    )


def two_towers(prefix, text, **options):
    wide = {"intermediate_size": WIDE}
    config = getattr(transformers, f"{prefix}Config")(
        vision_config={**VISION, **wide},
        text_config={**SIZES, **wide, "vocab_size": 50, **text},
        **options,
    )
    return getattr(transformers, f"{prefix}Model")(config)


def plain(network, x):
    return network(x), {}


def pooled(network, x):
    return network(x).pooler_output, {}


def authors_positions(network, x):
    """The resizing in the code of DINOv2's authors: by a factor, 0.1 beyond the size."""
    interpolate = torch.nn.functional.interpolate

    def by_factor(grid, size, **options):
        factors = tuple((new + 0.1) / old for new, old in zip(size, grid.shape[2:]))
        return interpolate(grid, scale_factor=factors, **options)

    with mock.patch("torch.nn.functional.interpolate", by_factor):
        return pooled(network, x)


def logits(ids):
    def run(network, x):
        both = {"input_ids": torch.tensor(ids), "pixel_values": x}
        image = network.get_image_features(x, interpolate_pos_encoding=True).pooler_output
        text = network.get_text_features(both["input_ids"]).pooler_output
        towers = {"ids": ids, "image": digest("image_features", image)}
        towers["text"] = digest("text_features", text)
        return network(**both, interpolate_pos_encoding=True).logits_per_image, towers

    return run


NATIVE, OTHER = (SIZE, SIZE), (15, 30)
CASES = {
    "vit": (timm_vit, plain, NATIVE),
    "vit_resized": (timm_vit, plain, OTHER),
    "vit_average": (lambda: timm_vit(global_pool="avg", fc_norm=False), plain, NATIVE),
    "vit_average_norm": (lambda: timm_vit(global_pool="avg"), plain, NATIVE),
    "timm_dinov2": (lambda: timm_vit(init_values=1e-5), plain, OTHER),
    "timm_dinov2_registers": (
        lambda: timm_vit(init_values=1e-5, reg_tokens=4, no_embed_class=True),
        plain,
        OTHER,
    ),
    "dinov2": (lambda: dinov2("Dinov2"), pooled, NATIVE),
    "dinov2_resized": (lambda: dinov2("Dinov2"), pooled, OTHER),
    "dinov2_authors": (lambda: dinov2("Dinov2"), authors_positions, OTHER),
    "dinov2_registers": (lambda: dinov2("Dinov2WithRegisters"), pooled, OTHER),
    "clip": (
        lambda: two_towers(
            "CLIP",
            {"max_position_embeddings": 8, "eos_token_id": 49},
            projection_dim=PROJECTION,
        ),
        logits(CLIP_IDS),
        NATIVE,
    ),
    "siglip": (
        lambda: two_towers("Siglip", {"max_position_embeddings": 9}),
        logits(SIGLIP_IDS),
        OTHER,
    ),
}


def file_name(name):
    """The name in published files of DINOv2, which transformers renames when it reads them."""
    for new, old in [
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
    ]:
        name = name.replace(f".{new}.", f".{old}.")
    return name


def case(network, run, size, train):
    network.train(train).zero_grad()
    shape = (3, 3, *size)
    features, others = run(network, draw("image", shape, -1.0, 1.0))
    probe = draw("probe.features", tuple(features.shape), -1.0, 1.0)
    (features * probe).sum().backward()
    named = [(file_name(n), p.grad) for n, p in network.named_parameters()]
    return {
        "shape": shape,
        **others,
        "features": digest("features", features),
        "first_row": [rounded(x) for x in features[0, :8].detach()],
        "gradients": {n: digest(n, grad) for n, grad in named if grad is not None},
    }


def parity(out, *names):
    for name in names or CASES:
        build, run, size = CASES[name]
        network = build().double()
        fill(network, file_name)
        result = case(network, run, size, False)
        assert result == case(network, run, size, True)
        write(Path(out, f"vision_{name}.json"), result)
        print(name, len(result["gradients"]), result["features"])


def full(name, out, weights=None):
    """A network of full size, with its own or random weights, two images and, of two towers, two texts; their embeddings and
    the gradients of all parameters, of the embeddings times random numbers, in one file."""
    torch.manual_seed(0)
    ids = None
    if name.startswith("vit_"):
        network, run = timm.create_model(name, num_classes=0), plain
    elif name.startswith("dinov2"):
        prefix = "Dinov2WithRegisters" if "registers" in name else "Dinov2"
        width = 384 if name.endswith("small") else 768
        config = getattr(transformers, f"{prefix}Config")(
            image_size=518, patch_size=14, hidden_size=width, num_attention_heads=width // 64
        )
        network, run = getattr(transformers, f"{prefix}Model")(config), pooled
    else:
        prefix = "CLIP" if name.startswith("clip") else "Siglip"
        network = getattr(transformers, f"{prefix}Model")(getattr(transformers, f"{prefix}Config")())
        if prefix == "CLIP":
            start, end, length, words = [49406], 49407, 77, 49000
        else:
            start, end, length, words = [], 1, 64, 32000
        ids = [draw(f"ids.{row}", (20 + 9 * row,), 2, words).long().tolist() for row in range(2)]
        ids = [(start + own + [end] * length)[:length] for own in ids]

        def run(network, x):
            return network.get_image_features(x).pooler_output, {}

    names = {file_name(n): n for n in network.state_dict()}
    if weights:
        loaded = {names[n]: t for n, t in load_file(weights).items() if n in names}
        assert not network.load_state_dict(loaded, strict=False).missing_keys
    images = draw("image", (2, 3, 224, 224), -2.0, 2.0).float()
    features, _ = run(network.eval(), images)
    checks = {"images": images, "features": features}
    if ids:
        checks["ids"] = torch.tensor(ids)
        checks["text"] = network.get_text_features(checks["ids"]).pooler_output
    probes = {n: draw(f"probe.{n}", tuple(checks[n].shape), -1.0, 1.0).float() for n in ("features", "text") if n in checks}
    sum((checks[n] * probe).sum() for n, probe in probes.items()).backward()
    gradients = {file_name(n): p.grad for n, p in network.named_parameters() if p.grad is not None}
    checks.update({f"gradients.{n}": gradient for n, gradient in gradients.items()})
    state = network.state_dict()
    tensors = {n: state[own].contiguous() for n, own in names.items()}
    checks = {f"check.{n}": tensor.detach().contiguous() for n, tensor in checks.items()}
    save_file({**tensors, **checks}, out)
    print(name, tuple(features.shape), features.norm().item(), len(gradients), "gradients")


{"parity": parity, "full": full}[sys.argv[1]](*sys.argv[2:])
