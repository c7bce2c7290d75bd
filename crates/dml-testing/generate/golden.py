"""Makes reference cases of components by running PyTorch Metric Learning in double precision.

    python golden.py --out FOLDER TripletMarginLoss MultiSimilarityMiner
    python golden.py --out FOLDER --kind distance all

README.md says how a case is drawn, and how to follow a new version of PyTorch Metric Learning.
"""

import argparse
import pathlib
import sys

import torch

import check
import known_errors
import pml
from case import Case, store
from draw import Draw
from kinds import KINDS

SEED = 20261130
ATTEMPTS = 40


def case_from(recipe, evaluate, seed: int):
    """The first draw that is of use, its outputs and its tolerances; or a sentence that says why there is none."""
    why = "no attempt"
    for attempt in range(ATTEMPTS):
        case = Case(recipe, recipe.make(Draw(seed, recipe.path, attempt)))
        wrong = known_errors.reason(case)
        if wrong is not None:
            return f"PML is wrong here: {wrong}"
        try:
            outputs = {name: value.detach() for name, value in evaluate(case, torch.float64).items()}
            wider = check.tolerances(outputs, evaluate(case, torch.float32))
        except Exception as error:  # noqa: BLE001 — a combination that PML refuses is no case.
            return f"PML raises {type(error).__name__}: {error}".splitlines()[0]
        if isinstance(wider, str):
            why = wider
            continue
        why = None if recipe.exact else check.instability(evaluate, case, outputs)
        if why is None:
            return case, outputs, wider
    return f"no draw of {ATTEMPTS} is of use: {why}"


def chosen(wanted: list[str], kinds: list[str]):
    """Kinds and components that were asked for, in the order of the kinds."""
    for kind in kinds:
        for name in KINDS[kind].names():
            if "all" in wanted or name in wanted:
                yield kind, name


def main() -> int:
    parser = argparse.ArgumentParser(description="Make reference cases by running PyTorch Metric Learning.")
    parser.add_argument("names", nargs="+", metavar="NAME", help="components by their class names, or `all`")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the cases")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="kinds to make; default all")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of all draws; default {SEED}")
    arguments = parser.parse_args()
    pairs = list(chosen(arguments.names, arguments.kind or list(KINDS)))
    unknown = set(arguments.names) - {"all"} - {name for _, name in pairs}
    if unknown:
        parser.error(f"no cases are made for {', '.join(sorted(unknown))}")
    made = 0
    for kind, name in pairs:
        for recipe in KINDS[kind].recipes(name):
            result = case_from(recipe, KINDS[kind].evaluate, arguments.seed)
            if isinstance(result, str):
                print(f"{recipe.path}: left out: {result}", file=sys.stderr)
                continue
            store(arguments.out, *result, arguments.seed, pml.REFERENCE)
            made += 1
    print(f"{made} cases in {arguments.out}, by {pml.REFERENCE}")
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main())
