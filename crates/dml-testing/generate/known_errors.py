"""Where PyTorch Metric Learning 2.9.0 is known to be wrong: no case is made there.

`docs/deviations.md` says what is right instead, and the public cases hold the library to it.
"""

import json

#: Losses whose terms are a logarithm of sums `[P, 1]`, which reducers by class and by anchor misread.
OVER_SUMS = {
    "AngularLoss",
    "CircleLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MultiSimilarityLoss",
    "TupletMarginLoss",
}
IGNORE_THE_REFERENCE = {"LiftedStructureLoss", "ThresholdConsistentMarginLoss"}


def reason(case) -> str | None:
    """Why the reference's answer to a case is wrong; None if it is not known to be."""
    config, tensors = case.config, case.inputs.tensors
    loss = config.get("loss", config) if case.recipe.kind == "pipeline" else config
    name, text = loss.get("name"), json.dumps(config)
    has_reference = "in.ref_emb" in tensors
    if name == "DynamicSoftMarginLoss":
        return "its histogram has a gradient"
    if name in OVER_SUMS and ("ClassWeightedReducer" in text or "PerAnchorReducer" in text):
        return "the reducer misreads terms of shape [P, 1]"
    if "PerAnchorReducer" in text and (has_reference or "in.tuples.a" in tensors):
        return "PerAnchorReducer gives every repeat of a pair the whole gradient"
    if name in IGNORE_THE_REFERENCE and has_reference:
        return "it takes rows of the references for rows of the batch"
    if name == "TripletMarginLoss" and loss.get("swap") and has_reference:
        return "swap takes rows of the references for rows of the batch"
    if name == "CrossBatchMemory" and loss["loss"]["name"] in IGNORE_THE_REFERENCE | {"NCALoss"}:
        return "its loss reads a row's own copy, or confuses batch and memory"
    return None
