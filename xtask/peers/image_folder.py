"""The example `image_folder` with a backbone, in PyTorch: the same recipe and the same figures.

    python xtask/peers/image_folder.py --train DIR --test DIR --backbone mobilenet_v2 [--weights FILE] [...]

The arguments have the names and defaults of `cargo run --release -p dml-examples --features images --example image_folder`.
Prints Precision@1 and MAP@R of the test folder before and after training, the loss of every epoch and the time.
"""

import argparse
import collections
import time

import torch
from pytorch_metric_learning import distances, losses, miners, samplers
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

MARGIN = 0.2
PER_CLASS = 4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 224

# Side of the resized image, layer that is the classifier, and what takes its place.
BACKBONES = {
    "mobilenet_v2": (256, "classifier", nn.Identity),
    "resnet18": (256, "fc", nn.Identity),
    "resnet34": (256, "fc", nn.Identity),
    "resnet50": (256, "fc", nn.Identity),
    "resnet101": (256, "fc", nn.Identity),
    "mobilenet_v3_small": (256, "classifier", nn.Identity),
    "mobilenet_v3_large": (256, "classifier", nn.Identity),
    "efficientnet_b0": (256, "classifier", nn.Identity),
    "convnext_tiny": (236, "classifier", nn.Flatten),
}


def read_weights(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def build_backbone(args):
    _, classifier, replacement = BACKBONES[args.backbone]
    network = getattr(models, args.backbone)(weights=None)
    setattr(network, classifier, replacement())
    if args.weights is None:
        print(f"{args.backbone} starts from random weights: no --weights FILE")
    else:
        report = network.load_state_dict(read_weights(args.weights), strict=False)
        surplus = [
            name
            for name in report.unexpected_keys
            if not name.startswith((classifier, "head"))
        ]
        if report.missing_keys or surplus:
            raise SystemExit(
                f"--weights: missing: {report.missing_keys}; surplus: {surplus}"
            )
        print(
            f"{args.backbone} from {args.weights}; left out: {', '.join(report.unexpected_keys)}"
        )
    return network


def freeze_statistics(network):
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def preparations(args):
    interpolation = transforms.InterpolationMode.BILINEAR
    if args.backbone == "efficientnet_b0":
        interpolation = transforms.InterpolationMode.BICUBIC
    size = args.size or SIZE
    resize = BACKBONES[args.backbone][0] * size // SIZE
    last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    training = [
        transforms.Resize(resize, interpolation),
        transforms.CenterCrop(resize),
        transforms.RandomResizedCrop(size, scale=(0.6, 1.0)),
        transforms.RandomHorizontalFlip(),
    ]
    if args.augment:
        training.append(
            transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)
        )
    evaluation = [transforms.Resize(resize, interpolation), transforms.CenterCrop(size)]
    return transforms.Compose(training + last), transforms.Compose(evaluation + last)


def build_sampler(args, labels):
    """Balanced batches; an epoch has as many as a pass over all images takes at least."""
    counts = collections.Counter(labels)
    m = max(args.batch // len(counts), PER_CLASS)
    classes = min(args.batch // m, len(counts))
    runs = [-(-count // m) for count in counts.values()]
    batches = max(max(runs), -(-sum(runs) // classes))
    batch = m * classes
    sampler = samplers.MPerClassSampler(
        labels, m, batch_size=batch, length_before_new_iter=batches * batch
    )
    return sampler, batch


@torch.no_grad()
def embed(backbone, head, images, threads):
    backbone.eval()
    loader = DataLoader(images, batch_size=16, num_workers=threads)
    rows, labels = [], []
    for pixels, numbers in loader:
        rows.append(functional.normalize(head(backbone(pixels))))
        labels.append(numbers)
    return torch.cat(rows), torch.cat(labels)


def evaluate(backbone, head, images, threads):
    embeddings, labels = embed(backbone, head, images, threads)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(distances.CosineSimilarity()),
    )
    return calculator.get_accuracy(embeddings, labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--backbone", required=True, choices=BACKBONES)
    parser.add_argument("--weights")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--embedding", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--backbone-lr", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    backbone = build_backbone(args)
    training, evaluation = preparations(args)
    train = ImageFolder(args.train, training)
    test = ImageFolder(args.test, evaluation)
    for images, purpose in [(train, "to learn from"), (test, "to test with")]:
        print(
            f"{images.root}: {len(images)} images of {len(images.classes)} classes {purpose}"
        )
    head = nn.Identity()
    if args.embedding > 0:
        features = backbone.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
        head = nn.Linear(features, args.embedding)

    rate = args.lr / 10 if args.backbone_lr is None else args.backbone_lr
    groups = [{"params": list(head.parameters()), "lr": args.lr}]
    if args.freeze:
        backbone.requires_grad_(False)
    else:
        groups.append({"params": list(backbone.parameters()), "lr": rate})
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]])

    distance = distances.CosineSimilarity()
    miner = miners.TripletMarginMiner(
        margin=MARGIN, distance=distance, type_of_triplets="semihard"
    )
    objective = losses.TripletMarginLoss(margin=MARGIN, distance=distance)
    sampler, batch = build_sampler(args, train.targets)
    loader = DataLoader(
        train, batch_size=batch, sampler=sampler, num_workers=args.threads
    )

    before = evaluate(backbone, head, test, args.threads)
    start = time.monotonic()
    for epoch in range(1, args.epochs + 1):
        backbone.train(not args.freeze)
        if args.weights is not None:
            freeze_statistics(backbone)
        total, steps = 0.0, 0
        for pixels, labels in loader:
            embeddings = head(backbone(pixels))
            loss = objective(embeddings, labels, miner(embeddings, labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, steps = total + loss.item(), steps + 1
        print(f"epoch {epoch}: loss {total / max(steps, 1):.4f} ({steps} batches)")
    seconds = time.monotonic() - start
    after = evaluate(backbone, head, test, args.threads)

    print(f"{'metric':<28} {'before':>10} {'after':>10}")
    for name in sorted(before):
        print(f"{name:<28} {before[name]:>10.4f} {after[name]:>10.4f}")
    print(f"trained in {seconds:.1f} s")


if __name__ == "__main__":
    main()
