"""Reference cases where a cosine leaves [-1, 1], a row has no length, or a row is NaN.

    python beyond_the_bounds.py REFERENCE cases/beyond_the_bounds.tar.gz

REFERENCE is the folder with casebook.py, compute.py and pmlbuild.py, which run PyTorch Metric Learning itself and write
the format dml-conformance-1. Made with pytorch-metric-learning 2.9.0 and torch 2.15.0; the draws depend on SEED and the
names of the cases alone, and the archive on the cases alone, so another run gives the same bytes.
"""
import gzip
import io
import os
import sys
import tarfile
import tempfile

import torch

SEED = 20261130
ZERO_ROW = (
    "PML divides rows by at least 1e-12, so that the gradient of a row of zeros is 1e12 times the one that reaches it; "
    "alt.*: a row of zeros has gradient 0"
)
NAN_ROW = (
    "PML loses NaN in comparisons, or leaves the gradient of the other rows finite; alt.*: the loss of a batch in which a "
    "row is NaN is NaN, with gradient NaN in every row"
)

reference, target = sys.argv[1:3]
sys.path.insert(0, reference)
from casebook import Book, Level  # noqa: E402
from pmlbuild import full  # noqa: E402

P = {"3": 3, "inf": float("inf")}
CENTERS = {"SubCenterArcFaceLoss": 2, "SoftTripleLoss": 2}
WEIGHT = {"ProxyNCALoss": "proxies", "ProxyAnchorLoss": "proxies", "SoftTripleLoss": "fc"}


def drawn(data, name, sign, distance, **args):
    """configuration and tensors of a loss over classes whose weights point the way of their rows, or the other way"""
    classes, dim, n = 4, int(data.pick([4, 6])), data.n()
    labels = data.labels(n, c=classes, values=list(range(classes)))
    centers = data.f(classes, dim)
    rows = centers[labels] + 0.5 * data.f(n, dim)
    per_class = CENTERS.get(name, 1)
    if name == "SubCenterArcFaceLoss":
        args["sub_centers"] = per_class
    if name == "SoftTripleLoss":
        args["centers_per_class"] = per_class
    weights = sign * centers.repeat_interleave(per_class, dim=0) + 0.4 * data.f(classes * per_class, dim)
    parameter = WEIGHT.get(name, "W")
    if parameter != "proxies":
        weights = weights.t()
    config = full(
        name, num_classes=classes, embedding_size=dim, distance=distance, reducer=full("MeanReducer"), **args
    )
    tensors = {"in.embeddings": rows, "in.labels": labels, f"param.{parameter}": weights.contiguous()}
    return config, tensors


def beyond(p, least):
    """whether enough own cosines are beyond the bounds, and some are within"""

    def check(case, _):
        T = case["tensors"]
        unit = lambda rows: rows / rows.norm(p=p, dim=1, keepdim=True)
        rows, weights = unit(T["in.embeddings"].double()), unit(T["param.W"].double().t())
        per_class = len(weights) // 4
        own = (rows @ weights.t()).view(len(rows), 4, per_class).max(2).values
        own = own.gather(1, T["in.labels"].view(-1, 1)).abs()
        if (own > 1).sum() < least:
            return "too few cosines beyond the bounds"
        if ((own - 1).abs() < 1e-3).any():
            return "a cosine at a bound"
        return None

    return check


def zero_row(row):
    def alt(case):
        gradient = case["out"]["grad.embeddings"].clone()
        gradient[row] = 0
        return {"grad.embeddings": gradient}

    return alt


def margins(book):
    arguments = {
        "ArcFaceLoss": [dict(margin=28.6, scale=64), dict(margin=57.3, scale=4), dict(margin=-20, scale=8), dict(margin=200, scale=2)],
        "SubCenterArcFaceLoss": [dict(margin=28.6, scale=64), dict(margin=57.3, scale=4), dict(margin=0, scale=8)],
        "CosFaceLoss": [dict(margin=0.35, scale=64), dict(margin=0.2, scale=4)],
        "SphereFaceLoss": [dict(margin=2, scale=1), dict(margin=3, scale=0.5), dict(margin=4, scale=0.2)],
        "LargeMarginSoftmaxLoss": [dict(margin=2, scale=1), dict(margin=3, scale=0.5), dict(margin=4, scale=0.2)],
    }
    for name, choices in arguments.items():
        for args in choices:
            for text, p in P.items():
                for way, sign in (("near", 1.0), ("far", -1.0)):
                    # The nearest of several centres of a class that all point away is rarely beyond −1.
                    least = 1 if sign < 0 else 3

                    def make(data, name=name, args=args, p=p, sign=sign):
                        return drawn(data, name, sign, full("CosineSimilarity", p=p), **args)

                    book.add(
                        "loss", name, f"beyond-cosp{text}-m{args['margin']}-{way}",
                        f"cosines by the {text}-norm, beyond {'1' if sign > 0 else '-1'} for some rows",
                        make, check=beyond(p, least), cap=1e-3,
                    )


def zero_rows(book):
    losses = {
        "ArcFaceLoss": {}, "SubCenterArcFaceLoss": {}, "CosFaceLoss": {}, "NormalizedSoftmaxLoss": {},
        "ProxyNCALoss": {}, "ProxyAnchorLoss": {}, "SoftTripleLoss": {},
    }
    for name, args in losses.items():
        for text, p in P.items():
            row = 2

            def make(data, name=name, args=args, p=p):
                config, tensors = drawn(data, name, 1.0, full("CosineSimilarity", p=p), **args)
                tensors["in.embeddings"][row] = 0
                return config, tensors

            book.add(
                "loss", name, f"zero-row-cosp{text}", f"one embedding is the zero vector, cosines by the {text}-norm",
                make, exact=True, disputed=ZERO_ROW, alt=zero_row(row), one_precision=True,
            )


def nan_rows(book):
    def of_rows_alone(_, out):
        """the weights of the classes take no part where nothing can be said of the rows"""
        out.pop("grad.param.W", None)

    def alt(case):
        nan = float("nan")
        gradient = torch.full_like(case["out"]["grad.embeddings"], nan)
        return {"out.loss": torch.tensor([nan]), "grad.embeddings": gradient}

    def add(name, text, make):
        book.add(
            "loss", name, f"nan-row{text}", "one embedding is NaN", make, exact=True, allow_nan=True,
            one_precision=True, check=of_rows_alone, disputed=NAN_ROW, alt=alt,
        )

    for name in ("ArcFaceLoss", "CosFaceLoss", "SphereFaceLoss", "LargeMarginSoftmaxLoss"):
        for text, p in {"2": 2, "3": 3}.items():

            def make(data, name=name, p=p):
                config, tensors = drawn(data, name, 1.0, full("CosineSimilarity", p=p))
                tensors["in.embeddings"][1] = float("nan")
                return config, tensors

            add(name, f"-cosp{text}", make)
    for name in ("CircleLoss", "ContrastiveLoss", "MultiSimilarityLoss", "NTXentLoss", "SupConLoss", "TripletMarginLoss"):

        def make_pairs(data, name=name):
            labels = data.labels(data.n(), c=3, min_count=2)
            rows = data.emb(labels, 6)
            rows[1] = float("nan")
            return full(name), {"in.embeddings": rows, "in.labels": labels}

        add(name, "", make_pairs)


def pack(folder, path):
    """an archive whose bytes depend on the files only"""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        names = sorted(os.path.join(d, f) for d, _, files in os.walk(folder) for f in files)
        for name in names:
            info = tarfile.TarInfo(os.path.relpath(name, folder))
            info.size = os.path.getsize(name)
            info.mode = 0o644
            with open(name, "rb") as file:
                archive.addfile(info, file)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(plain.getvalue())
    return len(names)


with tempfile.TemporaryDirectory() as folder:
    torch.set_num_threads(1)
    book = Book(folder, Level("public", SEED))
    margins(book)
    zero_rows(book)
    nan_rows(book)
    for key, why in book.failures:
        print(f"{key}: {why}", file=sys.stderr)
    print(pack(folder, target), "cases")
