"""States and gradients of the text encoders in evaluation, and embeddings of sentences (README.md).

    python generate/text.py parity tests/golden [NAME ...]
    python generate/text.py embeddings MODEL OUT.json
    python generate/text.py read_back FOLDER OUT.json
"""

import json
import sys
from pathlib import Path

import torch
import transformers

from formula import digest, draw, fill, rounded, write

torch.set_num_threads(1)

SMALL = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
}
FAMILIES = {
    "bert": ("Bert", SMALL),
    "roberta": ("Roberta", {**SMALL, "type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "mpnet": ("MPNet", SMALL),
    # Rotary positions and the softmax are in single precision.
    "modernbert": (
        "ModernBert",
        {
            "vocab_size": 50,
            "hidden_size": 24,
            "intermediate_size": 20,
            "num_hidden_layers": 4,
            "num_attention_heads": 3,
            "max_position_embeddings": 24,
            # Every token of padding sees one that is none: upstream gives NaN otherwise.
            "local_attention": 16,
            "pad_token_id": 0,
        },
    ),
    "distilbert": (
        "DistilBert",
        {
            "vocab_size": 50,
            "dim": 24,
            "n_layers": 2,
            "n_heads": 3,
            "hidden_dim": 40,
            "max_position_embeddings": 24,
        },
    ),
}


def parity(out, *names):
    for name in names or FAMILIES:
        prefix, sizes = FAMILIES[name]
        config = getattr(transformers, prefix + "Config")(**sizes)
        config._attn_implementation = "eager"
        heads = {} if name in ("distilbert", "modernbert") else {"add_pooling_layer": False}
        network = getattr(transformers, prefix + "Model")(config, **heads).double().eval()
        fill(network)
        pad = config.pad_token_id
        ids = [[3 + (7 * i * i + 3 * i + row) % 40 for i in range(20)] for row in range(3)]
        # Padding behind, in front, and none.
        ids[0][13:] = [pad] * 7
        ids[1][:4] = [pad] * 4
        ids = torch.tensor(ids)
        mask = (ids != pad).long()
        states = network(input_ids=ids, attention_mask=mask).last_hidden_state
        features = states * mask[:, :, None]
        probe = draw("probe.features", tuple(features.shape), -1.0, 1.0)
        (features * probe).sum().backward()
        case = {
            "config": {"model_type": name, **sizes},
            "ids": ids.tolist(),
            "features": digest("features", features),
            "first_row": [rounded(x) for x in features[0, 0, :8].detach()],
            "gradients": {n: digest(n, p.grad) for n, p in network.named_parameters()},
        }
        write(Path(out, f"text_{name}.json"), case)
        print(name, len(case["gradients"]), case["features"])


SENTENCES = [
    "The cat sleeps.",
    "A quick brown fox jumps over the lazy dog.",
    "Wie heißt du? ÄÖÜ, naïve café, 東京は大きい。",
    "x",
    "def main():\n    return 42  # a comment",
    "Numbers: 3.14159, 1,000,000 and -7e-12!",
    "unbelievably antidisestablishmentarianism-like words",
    "word " * 400,
    "  leading and trailing spaces  ",
    "[CLS] special [SEP] tokens [MASK] in a text",
    "😀 emoji",
    "ALL CAPITALS AND lower",
] + [f"sentence number {i} is about {'deep metric learning ' * i}" for i in range(20)]


def embeddings(model, out):
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    rows = encoder.encode(SENTENCES, batch_size=32)
    case = {"texts": SENTENCES, "embeddings": [[float(x) for x in row] for row in rows]}
    Path(out).write_text(json.dumps(case))
    print(rows.shape, encoder.max_seq_length)


def read_back(folder, out):
    """The encoder that `TextEncoder::write` wrote has the embeddings of the one that it was read from."""
    from sentence_transformers import SentenceTransformer

    case = json.loads(Path(out).read_text())
    rows = SentenceTransformer(folder, device="cpu").encode(case["texts"], batch_size=32)
    gap = abs(torch.tensor(rows) - torch.tensor(case["embeddings"])).max().item()
    print("largest difference", gap)
    assert gap < 1e-6, gap


{"parity": parity, "embeddings": embeddings, "read_back": read_back}[sys.argv[1]](*sys.argv[2:])
