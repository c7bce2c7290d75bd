"""Losses that PyTorch Metric Learning lacks, in its interface: the definition of each, from its paper, in plain torch.

A class here is found by `pml.find` as PML's own are, and its arguments are read from its constructor.
"""

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import GenericPairLoss


class DecoupledContrastiveLoss(GenericPairLoss):
    """Equation 6 of Yeh et al., arXiv:2110.06848, for every positive pair, with all negatives of its anchor."""

    def __init__(self, temperature: float = 0.1, **kwargs):
        super().__init__(mat_based_loss=False, **kwargs)
        self.temperature = temperature

    def _compute_loss(self, positives, negatives, tuples):
        anchors, _, negative_anchors, _ = tuples
        if len(positives) == 0 or len(negatives) == 0:
            return self.zero_losses()
        sign = 1 if self.distance.is_inverted else -1
        positives, negatives = sign * positives / self.temperature, sign * negatives / self.temperature
        own = negative_anchors.unsqueeze(0) == anchors.unsqueeze(1)  # [positives, negatives]
        sums = torch.where(own, negatives.unsqueeze(0), -torch.inf).logsumexp(1)
        values = torch.where(own.any(1), sums - positives, 0 * positives)
        return {"loss": {"losses": values, "indices": (anchors, tuples[1]), "reduction_type": "pos_pair"}}

    def get_default_distance(self):
        return CosineSimilarity()
