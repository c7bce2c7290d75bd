"""Milliseconds of a training step of MiniLM in PyTorch, beside `cargo run --release -p dml-models --example minilm_step`.

    python xtask/peers/minilm_step.py [STEPS] [--threads N]

32 pairs of texts of 64 tokens, in-batch negatives with a temperature of 0.05, dropout of 0.1, AdamW. Random weights.
"""

import argparse
import statistics
import time

import torch
from transformers import BertConfig, BertModel

PAIRS, TOKENS, TEMPERATURE = 32, 64, 0.05

parser = argparse.ArgumentParser()
parser.add_argument("steps", nargs="?", type=int, default=10)
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
args = parser.parse_args()
torch.set_num_threads(args.threads)

torch.manual_seed(0)
config = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
network = BertModel(config, add_pooling_layer=False).train()
optimizer = torch.optim.AdamW(network.parameters(), lr=2e-5)
ids = torch.randint(1000, 30000, (2, PAIRS, TOKENS))
mask = torch.ones(PAIRS, TOKENS, dtype=torch.long)


def embed(view):
    states = network(input_ids=view, attention_mask=mask).last_hidden_state
    return torch.nn.functional.normalize(states.mean(1), dim=1)


times = []
for step in range(args.steps + 2):
    start = time.perf_counter()
    optimizer.zero_grad()
    first, second = embed(ids[0]), embed(ids[1])
    scores = first @ second.T / TEMPERATURE
    torch.nn.functional.cross_entropy(scores, torch.arange(PAIRS)).backward()
    optimizer.step()
    times.append(1000 * (time.perf_counter() - start))
# The first two steps allocate.
print(f"{args.threads} threads: {statistics.median(times[2:]):.0f} ms a step")
