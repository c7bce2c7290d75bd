"""PyTorch Metric Learning as a worker: set up one workload, then time it once for every line `run` on standard input.

    python pml_worker.py triplet EMBEDDINGS LABELS ROWS DIM THREADS
    python pml_worker.py mnist FOLDER IMAGES BATCH THREADS

Each answer is one line of JSON. Needs torch and pytorch-metric-learning.
"""

import gzip
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning import distances, losses, miners, reducers


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def triplet(embeddings, labels, rows, dim):
    """Semihard mining, triplet margin loss and backward, with PML's defaults and margin 0.2."""
    data = torch.from_numpy(np.fromfile(embeddings, np.float32).reshape(int(rows), int(dim)))
    classes = torch.from_numpy(np.fromfile(labels, np.int64))
    miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard")
    loss_of = losses.TripletMarginLoss(margin=0.2)

    def run():
        leaf = data.clone().requires_grad_(True)
        start = time.perf_counter()
        mined = miner(leaf, classes)
        loss = loss_of(leaf, classes, mined)
        loss.backward()
        elapsed = time.perf_counter() - start
        return {"ms": 1000 * elapsed, "loss": loss.item(), "triplets": len(mined[0])}

    return run


class Network(torch.nn.Module):
    """The network of PML's MNIST example."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 3)
        self.conv2 = torch.nn.Conv2d(32, 64, 3)
        self.dropout = torch.nn.Dropout2d(0.25)
        self.linear = torch.nn.Linear(9216, 128)

    def forward(self, images):
        hidden = torch.relu(self.conv1(images))
        hidden = torch.max_pool2d(torch.relu(self.conv2(hidden)), 2)
        return self.linear(self.dropout(hidden).flatten(1))


def read_idx(folder, name):
    plain = pathlib.Path(folder) / name
    raw = plain.read_bytes() if plain.exists() else gzip.open(f"{plain}.gz").read()
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())


def mnist(folder, images, batch):
    """One epoch over the first `images` training images, from a fresh network."""
    count, batch = int(images), int(batch)
    pixels = read_idx(folder, "train-images-idx3-ubyte")[:count]
    inputs = ((pixels.float() / 255 - 0.1307) / 0.3081).unsqueeze(1)
    classes = read_idx(folder, "train-labels-idx1-ubyte")[:count].long()
    cosine = distances.CosineSimilarity()
    miner = miners.TripletMarginMiner(margin=0.2, distance=cosine, type_of_triplets="semihard")
    loss_of = losses.TripletMarginLoss(margin=0.2, distance=cosine, reducer=reducers.ThresholdReducer(low=0))

    def run():
        torch.manual_seed(0)
        network = Network()
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        start = time.perf_counter()
        for rows in torch.randperm(count).split(batch):
            optimizer.zero_grad()
            embeddings = network(inputs[rows])
            mined = miner(embeddings, classes[rows])
            loss = loss_of(embeddings, classes[rows], mined)
            loss.backward()
            optimizer.step()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": loss.item(), "triplets": len(mined[0])}

    return run


def main():
    workload, *arguments, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    run = {"triplet": triplet, "mnist": mnist}[workload](*arguments)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            answer = run()
            answer["peak_mb"] = peak_mb()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
