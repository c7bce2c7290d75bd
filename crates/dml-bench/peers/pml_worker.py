"""PyTorch Metric Learning as a worker: set up one workload, then time it once for every line `run` on standard input.

    python pml_worker.py triplet EMBEDDINGS LABELS ROWS DIM THREADS DEVICE
    python pml_worker.py component ROLE CONFIG EMBEDDINGS LABELS ROWS DIM THREADS DEVICE
    python pml_worker.py eval search REFERENCES QUERIES K THREADS DEVICE
    python pml_worker.py eval filtered REFERENCES QUERIES K EVERY THREADS DEVICE
    python pml_worker.py eval kmeans ROWS CLUSTERS UPDATES THREADS DEVICE
    python pml_worker.py models NAME step|embed WEIGHTS INPUT BATCH SIDE THREADS DEVICE
    python pml_worker.py mnist FOLDER IMAGES BATCH THREADS DEVICE
    python pml_worker.py images train|evaluate FOLDER COUNT SIZE SIDE FILTER THREADS DEVICE

Each answer is one line of JSON: figures, or {"failed": why}. Needs torch and pytorch-metric-learning, for
`eval` on the CPU faiss-cpu, for `models` torchvision, timm and transformers, for `images` torchvision and Pillow; on a GPU a search is a product of matrices and topk, by torch.
"""

import gzip
import json
import pathlib
import resource
import signal
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

# What a workload may take before it counts as failed.
MEMORY = 14 << 30
SECONDS = 60


DEVICE = torch.device("cpu")


def wait():
    """Until the device has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def triplet(embeddings, labels, rows, dim):
    """Semihard mining, triplet margin loss and backward, with PML's defaults and margin 0.2."""
    data = torch.from_numpy(np.fromfile(embeddings, np.float32).reshape(int(rows), int(dim))).to(DEVICE)
    classes = torch.from_numpy(np.fromfile(labels, np.int64)).to(DEVICE)
    miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard")
    loss_of = losses.TripletMarginLoss(margin=0.2)

    def run():
        leaf = data.clone().requires_grad_(True)
        start = time.perf_counter()
        mined = miner(leaf, classes)
        loss = loss_of(leaf, classes, mined)
        loss.backward()
        wait()
        elapsed = time.perf_counter() - start
        return {"ms": 1000 * elapsed, "loss": loss.item(), "tuples": len(mined[0])}

    return run


def build(config):
    """The object that a configuration names, with those that it names in turn."""
    if not (isinstance(config, dict) and "name" in config):
        return config
    arguments = {key: build(value) for key, value in config.items() if key != "name"}
    for module in (losses, miners, distances, reducers, regularizers):
        if hasattr(module, config["name"]):
            return getattr(module, config["name"])(**arguments)
    raise NotImplementedError(f"PML has no {config['name']}")


def component(role, config, embeddings, labels, rows, dim):
    """One distance or loss, forward and backward, or one miner."""
    data = torch.from_numpy(np.fromfile(embeddings, np.float32).reshape(int(rows), int(dim))).to(DEVICE)
    classes = torch.from_numpy(np.fromfile(labels, np.int64)).to(DEVICE)
    made = []

    def run():
        if not made:
            made.append(build(json.loads(config)))
            if hasattr(made[0], "to"):
                made[0].to(DEVICE)
        leaf = data.clone().requires_grad_(role != "miner")
        start = time.perf_counter()
        if role == "miner":
            tuples = made[0](leaf, classes)
            loss, count = 0.0, len(tuples[0]) + (len(tuples[2]) if len(tuples) == 4 else 0)
        else:
            if role == "distance":
                value = made[0](leaf).sum()
            elif isinstance(made[0], losses.VICRegLoss):
                value = made[0](leaf, ref_emb=leaf)
            else:
                value = made[0](leaf, classes)
            value.backward()
            wait()
            loss, count = value.item(), 0
        wait()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": loss, "tuples": count}

    return run


def product_search(references, queries, k):
    """The same by a product of matrices and topk, as many queries at a time as 8 GB of products have room for."""
    references, queries = torch.from_numpy(references).to(DEVICE), torch.from_numpy(queries).to(DEVICE)
    block = max(1, (8 << 30) // (4 * len(references)))

    def run():
        start = time.perf_counter()
        norms = references.square().sum(1)
        total = 0.0
        for part in queries.split(block):
            keys = torch.addmm(norms, part, references.T, alpha=-2)
            found = keys.topk(k, largest=False).values + part.square().sum(1, keepdim=True)
            total += found.double().sum().item()
        wait()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": total / (len(queries) * k), "tuples": 0}

    return run


def search(references, queries, k):
    """The k nearest references of every query, exactly, by faiss."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(references.shape[1])
    index.add(references)

    def run():
        start = time.perf_counter()
        found, _ = index.search(queries, k)
        elapsed = time.perf_counter() - start
        return {"ms": 1000 * elapsed, "loss": float(found.astype(np.float64).mean()), "tuples": 0}

    return run


def filtered(references, queries, k, every):
    """The k nearest of every so many references, exactly, by faiss' selector of a bitmap."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(references.shape[1])
    index.add(references)
    bits = np.packbits(np.arange(len(references)) % every == 0, bitorder="little")
    some = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))

    def run():
        start = time.perf_counter()
        found, _ = index.search(queries, k, params=some)
        elapsed = time.perf_counter() - start
        return {"ms": 1000 * elapsed, "loss": float(found.astype(np.float64).mean()), "tuples": 0}

    return run


def kmeans(rows, clusters, updates):
    """k-means of all rows by faiss, from random rows."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())

    def run():
        # Without the limit it would look at 256 rows a cluster only.
        made = faiss.Kmeans(rows.shape[1], clusters, niter=updates, max_points_per_centroid=len(rows))
        start = time.perf_counter()
        made.train(rows)
        return {"ms": 1000 * (time.perf_counter() - start), "loss": float(made.obj[-1]), "tuples": 0}

    return run


def evaluation(what, rows, *rest):
    """Search or k-means on rows of 128 coordinates."""

    def read(path):
        return np.fromfile(path, np.float32).reshape(-1, 128)

    if what == "search":
        by = search if DEVICE.type == "cpu" else product_search
        return by(read(rows), read(rest[0]), int(rest[1]))
    if what == "filtered":
        return filtered(read(rows), read(rest[0]), int(rest[1]), int(rest[2]))
    return kmeans(read(rows), int(rest[0]), int(rest[1]))


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
    classes = read_idx(folder, "train-labels-idx1-ubyte")[:count].long().to(DEVICE)
    cosine = distances.CosineSimilarity()
    miner = miners.TripletMarginMiner(margin=0.2, distance=cosine, type_of_triplets="semihard")
    loss_of = losses.TripletMarginLoss(margin=0.2, distance=cosine, reducer=reducers.ThresholdReducer(low=0))

    def run():
        torch.manual_seed(0)
        network = Network().to(DEVICE)
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        start = time.perf_counter()
        for rows in torch.randperm(count).split(batch):
            optimizer.zero_grad()
            embeddings = network(inputs[rows].to(DEVICE))
            rows = rows.to(DEVICE)
            mined = miner(embeddings, classes[rows])
            loss = loss_of(embeddings, classes[rows], mined)
            loss.backward()
            optimizer.step()
        wait()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": loss.item(), "tuples": len(mined[0])}

    return run


def images(what, folder, count, size, side, filter):
    """A pass over some photos of a folder, from files to batches, by as many worker processes as there are threads."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    count, size, side = int(count), int(size), int(side)
    mode = transforms.InterpolationMode(filter)
    if what == "train":
        steps = [transforms.RandomResizedCrop(size, interpolation=mode), transforms.RandomHorizontalFlip()]
    else:
        steps = [transforms.Resize(side, mode), transforms.CenterCrop(size)]
    steps += [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    photos = ImageFolder(folder, transforms.Compose(steps))
    rows = [i * len(photos) // count for i in range(count)]
    # Workers stay from pass to pass: starting them is no part of the work.
    loader = DataLoader(
        torch.utils.data.Subset(photos, rows), batch_size=64, num_workers=torch.get_num_threads(), persistent_workers=True
    )

    def run():
        start = time.perf_counter()
        total, seen = 0.0, 0
        for batch, _ in loader:
            total += batch[0].mean().item()
            seen += len(batch)
        return {"ms": 1000 * (time.perf_counter() - start), "loss": total, "tuples": seen}

    return run


def backbone(name, weights):
    """The network of a name without its classifier, with the weights of a file."""
    from safetensors.torch import load_file

    if name == "minilm":
        from transformers import BertConfig, BertModel

        config = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
        network = BertModel(config, add_pooling_layer=False)
    elif name.startswith("vit"):
        import timm

        network = timm.create_model(name, num_classes=0)
    else:
        import torchvision

        network = getattr(torchvision.models, name)()
        for classifier in ("fc", "classifier"):
            if hasattr(network, classifier):
                setattr(network, classifier, torch.nn.Identity())
    missing, surplus = network.load_state_dict(load_file(weights), strict=False)
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or surplus:
        raise KeyError(f"{name}: missing {missing[:3]}, surplus {surplus[:3]}")
    return network.to(DEVICE)


def models(name, what, weights, values, batch, side):
    """A step of AdamW on NT-Xent, or the embeddings of a batch."""
    shape = (int(batch), int(side)) if name == "minilm" else (int(batch), 3, int(side), int(side))
    kind = np.int32 if name == "minilm" else np.float32
    batch = torch.from_numpy(np.fromfile(values, kind).reshape(shape)).to(DEVICE)
    network = backbone(name, weights)
    if name == "minilm":
        mask = torch.ones_like(batch)

        def embed():
            return network(input_ids=batch, attention_mask=mask).last_hidden_state.mean(1)

    else:
        # The layout in which convolutions are faster.
        if not name.startswith("vit"):
            network = network.to(memory_format=torch.channels_last)
            batch = batch.contiguous(memory_format=torch.channels_last)

        def embed():
            return network(batch)

    classes = torch.arange(shape[0], device=DEVICE) // 2
    loss_of = losses.NTXentLoss(temperature=0.07)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    network.train(what == "step")

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(embed(), classes)
        loss.backward()
        optimizer.step()
        wait()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": loss.item(), "tuples": 0}

    def embeddings():
        with torch.inference_mode():
            start = time.perf_counter()
            mean = embed().square().mean().item()
        return {"ms": 1000 * (time.perf_counter() - start), "loss": mean, "tuples": 0}

    return step if what == "step" else embeddings


def main():
    global DEVICE
    workload, *arguments, threads, device = sys.argv[1:]
    torch.set_num_threads(int(threads))
    DEVICE = torch.device(device)
    # Single precision as everywhere else, not the ten bits of TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    workloads = {
        "triplet": triplet,
        "component": component,
        "eval": evaluation,
        "images": images,
        "models": models,
        "mnist": mnist,
    }
    run = workloads[workload](*arguments)
    if workload == "component":
        if DEVICE.type == "cpu":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, too_slow)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            if workload == "component":
                signal.alarm(SECONDS)
            try:
                answer = run() | {"peak_mb": peak_mb()}
            except Exception as error:
                answer = {"failed": (str(error).strip() or type(error).__name__).splitlines()[0][:120]}
            signal.alarm(0)
            print(json.dumps(answer), flush=True)


def too_slow(*_):
    raise TimeoutError(f"over {SECONDS} s")


if __name__ == "__main__":
    main()
