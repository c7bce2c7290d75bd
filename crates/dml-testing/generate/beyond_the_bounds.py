"""Reference cases where a cosine leaves [-1, 1], a row has no length, or a row is NaN.

    python beyond_the_bounds.py ../cases/beyond_the_bounds.tar.gz

The same seed as golden.py and the same files give the same archive, byte for byte.
"""

import argparse
import gzip
import io
import pathlib
import sys
import tarfile
import tempfile

import torch

import check
import pml
from case import Case, Inputs, Recipe, store
from draw import CLASSES, DIM, Draw
from golden import ATTEMPTS, SEED
from kinds import loss, variants

ZERO_ROW = (
    "PML divides rows by at least 1e-12, so that the gradient of a row of zeros is 1e12 times the one that reaches it; "
    "alt.*: a row of zeros has gradient 0"
)
NAN_ROW = (
    "PML loses NaN in comparisons, or leaves the gradient of the other rows finite; alt.*: the loss of a batch in which a "
    "row is NaN is NaN, with gradient NaN in every row"
)
#: Beside a bound the slope of an angle is steep.
WIDEST = 1e-3
NORMS = {"3": 3, "inf": "inf"}
#: Losses over classes: centres of a class, and the parameter's name.
OVER_CLASSES = {
    "ArcFaceLoss": (1, "W"),
    "CosFaceLoss": (1, "W"),
    "LargeMarginSoftmaxLoss": (1, "W"),
    "NormalizedSoftmaxLoss": (1, "W"),
    "ProxyAnchorLoss": (1, "proxies"),
    "ProxyNCALoss": (1, "proxies"),
    "SoftTripleLoss": (2, "fc"),
    "SphereFaceLoss": (1, "W"),
    "SubCenterArcFaceLoss": (2, "W"),
}
ROW_OF_ZEROS, ROW_OF_NAN = 2, 1
MARGINS = {
    "ArcFaceLoss": [(28.6, 64), (57.3, 4), (-20, 8), (200, 2)],
    "CosFaceLoss": [(0.35, 64), (0.2, 4)],
    "LargeMarginSoftmaxLoss": [(2, 1), (3, 0.5), (4, 0.2)],
    "SphereFaceLoss": [(2, 1), (3, 0.5), (4, 0.2)],
    "SubCenterArcFaceLoss": [(28.6, 64), (57.3, 4), (0, 8)],
}


def over_classes(draw, name, p, sign=1.0, **further) -> Inputs:
    """A batch whose rows point the way of their class, or the opposite way."""
    centers, parameter = OVER_CLASSES[name]
    key = "sub_centers" if name == "SubCenterArcFaceLoss" else "centers_per_class"
    config = {"name": name, "num_classes": CLASSES, "embedding_size": DIM, **further}
    config |= {key: centers} if centers > 1 else {}
    config |= {"distance": {"name": "CosineSimilarity", "p": p}, "reducer": {"name": "MeanReducer"}}
    labels = draw.classes()
    directions = draw.normal(CLASSES, DIM)
    rows = directions[labels] + draw.normal(len(labels), DIM, scale=0.5)
    weights = sign * directions.repeat_interleave(centers, dim=0)
    weights = weights + draw.normal(*weights.shape, scale=0.4)
    weights = weights if parameter == "proxies" else weights.t().contiguous()
    tensors = {"in.embeddings": rows, "in.labels": labels, f"param.{parameter}": weights}
    return Inputs(pml.written_out(config), tensors)


def is_beyond(inputs: Inputs, p: float, least: int) -> bool:
    """Whether at least so many rows have a cosine with their own class beyond ±1, and none is near ±1."""
    rows, weights = (tensor.double() for tensor in (inputs.tensors["in.embeddings"], inputs.tensors["param.W"].t()))
    rows, weights = (x / x.norm(p=p, dim=1, keepdim=True) for x in (rows, weights))
    cosines = (rows @ weights.t()).reshape(len(rows), CLASSES, -1).amax(dim=2)
    own = cosines.gather(1, inputs.tensors["in.labels"].reshape(-1, 1)).abs()
    return int((own > 1).sum()) >= least and not bool(((own - 1).abs() < 1e-3).any())


def beyond_one():
    for name, choices in MARGINS.items():
        for margin, scale in choices:
            for text, p in NORMS.items():
                for way, sign in (("near", 1.0), ("far", -1.0)):
                    # The nearest of several centres that all point away is rarely beyond -1.
                    least = 1 if sign < 0 else 3

                    def make(draw, name=name, p=p, sign=sign, least=least, margin=margin, scale=scale):
                        while True:
                            inputs = over_classes(draw, name, p, sign, margin=margin, scale=scale)
                            if is_beyond(inputs, float(p), least):
                                return inputs

                    id = f"beyond-cosp{text}-m{margin}-{way}".replace("--", "-minus-")
                    bound = "1" if sign > 0 else "-1"
                    yield recipe(name, id, f"cosines by the {text}-norm, beyond {bound} for some rows", make)


def rows_of_zeros():
    names = set(OVER_CLASSES) - {"LargeMarginSoftmaxLoss", "SphereFaceLoss"}
    for name in sorted(names):
        for text, p in NORMS.items():

            def make(draw, name=name, p=p):
                inputs = over_classes(draw, name, p)
                inputs.tensors["in.embeddings"][ROW_OF_ZEROS] = 0
                inputs.metadata["disputed"] = ZERO_ROW
                return inputs

            yield recipe(name, f"zero-row-cosp{text}", f"a row of zeros, cosines by the {text}-norm", make, exact=True)


def rows_of_nan():
    def spoiled(inputs: Inputs) -> Inputs:
        inputs.tensors["in.embeddings"][ROW_OF_NAN] = float("nan")
        inputs.metadata["disputed"] = NAN_ROW
        return inputs

    for name in ("ArcFaceLoss", "CosFaceLoss", "LargeMarginSoftmaxLoss", "SphereFaceLoss"):
        for p in (2, 3):

            def make(draw, name=name, p=p):
                return spoiled(over_classes(draw, name, p))

            yield recipe(name, f"nan-row-cosp{p}", "a row is NaN", make, exact=True)
    for name in ("CircleLoss", "ContrastiveLoss", "MultiSimilarityLoss", "NTXentLoss", "SupConLoss", "TripletMarginLoss"):

        def make_pairs(draw, name=name):
            config = variants.required(name)
            return spoiled(Inputs(pml.written_out(config), loss.batch(draw, config, {})))

        yield recipe(name, "nan-row", "a row is NaN", make_pairs, exact=True)


def recipe(name, id, description, make, exact=False):
    return Recipe("loss", name, id, description, make, "forward", exact)


def corrected(case: Case, outputs: dict) -> dict:
    """`alt.*` of a disputed case, beside the reference's own outputs."""
    disputed = case.inputs.metadata.get("disputed")
    gradient = outputs["grad.embeddings"].clone()
    if disputed == ZERO_ROW:
        gradient[ROW_OF_ZEROS] = 0
        return outputs | {"alt.grad.embeddings": gradient}
    if disputed == NAN_ROW:
        # Where nothing can be said of the rows, the weights of the classes take no part.
        kept = {name: value for name, value in outputs.items() if not name.startswith("grad.param")}
        nan = float("nan")
        return kept | {"alt.out.loss": torch.tensor([nan]), "alt.grad.embeddings": torch.full_like(gradient, nan)}
    return outputs


def made(recipe: Recipe, folder: pathlib.Path) -> bool:
    """Writes the first draw that single precision can be held to; disputed cases are taken as they are."""
    for attempt in range(ATTEMPTS):
        case = Case(recipe, recipe.make(Draw(SEED, recipe.path, attempt)))
        outputs = {name: value.detach() for name, value in loss.evaluate(case, torch.float64).items()}
        wider: dict | str = {}
        if not recipe.exact:
            wider = check.tolerances(outputs, loss.evaluate(case, torch.float32), widest=WIDEST)
        unstable = None if recipe.exact else check.instability(loss.evaluate, case, outputs, curvature=WIDEST)
        if isinstance(wider, dict) and unstable is None:
            store(folder, case, corrected(case, outputs), wider, SEED, pml.REFERENCE)
            return True
    print(f"{recipe.path}: no draw is of use: {unstable or wider}", file=sys.stderr)
    return False


def pack(folder: pathlib.Path, target: pathlib.Path) -> None:
    """An archive whose bytes follow from the files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*.safetensors")):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(entry, file)
    with target.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(plain.getvalue())


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the cases beyond the bounds.")
    parser.add_argument("archive", type=pathlib.Path, help="the archive to write")
    target = parser.parse_args().archive
    recipes = [*beyond_one(), *rows_of_zeros(), *rows_of_nan()]
    with tempfile.TemporaryDirectory() as folder:
        written = [made(recipe, pathlib.Path(folder)) for recipe in recipes]
        pack(pathlib.Path(folder), target)
    print(f"{sum(written)} of {len(recipes)} cases in {target}")
    return 0 if all(written) else 1


if __name__ == "__main__":
    sys.exit(main())
