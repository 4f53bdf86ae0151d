"""Weights that seem to lie elsewhere: a search must fetch them, or it reads nothing but NaN."""

from dataclasses import replace

import torch

from pahq.models.placement import MATRICES
from pahq.precision.residency import Residency

CPU = torch.device("cpu")


class FarAway(Residency):
    """Copies real weights to where products are made, given the decoys that stand for them.

    Attributes:
        copies: number of copies made, of weights that were brought or used without.
        begun: the weights whose copies were asked for in advance.
    """

    def __init__(self):
        super().__init__(CPU)
        self.copies, self.begun = 0, []
        self._real = {}

    def decoy(self, weight):
        """Return what stands for a weight until it is fetched."""
        real = weight.contiguous()
        false = torch.full_like(real, torch.nan)
        self._real[false.untyped_storage().data_ptr()] = (false, real)
        return false

    def is_away(self, weight):
        return weight.untyped_storage().data_ptr() in self._real

    def _begun(self, weight):
        self.begun.append(weight)
        return super()._begun(weight)

    def _copied(self, weight):
        self.copies += 1
        _, real = self._real[weight.untyped_storage().data_ptr()]
        # A part of a weight is the same part of the real one.
        return real.as_strided(weight.shape, weight.stride(), weight.storage_offset()).clone()


def far_away(model, components):
    """Return a model of which some components' matrices are decoys, and what fetches them."""
    residency = FarAway()

    def part(owner, name):
        if owner is None or name not in components:
            return owner
        names = [field for field in MATRICES if hasattr(owner, field)]
        return replace(owner, **{each: residency.decoy(getattr(owner, each)) for each in names})

    blocks = tuple(
        replace(
            block,
            heads=tuple(part(head, f"a{i}.h{h}") for h, head in enumerate(block.heads)),
            mlp=part(block.mlp, f"m{i}"),
        )
        for i, block in enumerate(model.blocks)
    )
    last = model.unembedding
    if "logits" in components:
        last = residency.decoy(last)
    return replace(model, blocks=blocks, unembedding=last), residency
