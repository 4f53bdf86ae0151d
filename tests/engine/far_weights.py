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
        false = torch.full_like(weight, torch.nan)
        self._real[false.untyped_storage().data_ptr()] = (false, weight)
        return false

    def is_away(self, weight):
        return weight.untyped_storage().data_ptr() in self._real

    def _begun(self, weight):
        self.begun.append(weight)
        return super()._begun(weight)

    def _copied(self, weight):
        self.copies += 1
        _, real = self._real[weight.untyped_storage().data_ptr()]
        # A part of a weight is the same part of the real one, and laid out alike: the same bits.
        return real.clone().as_strided(weight.shape, weight.stride(), weight.storage_offset())


def far_away(model, components):
    """Return a model with decoys for some components' matrices, and what fetches them."""
    residency = FarAway()
    far = _changed(model, lambda name, w: residency.decoy(w) if name in components else w)
    return far, residency


def in_pieces(model):
    """Return the same model, each matrix in a piece of memory of its own."""
    return _changed(model, lambda name, weight: weight.contiguous())


def _changed(model, change):
    def part(owner, name):
        fields = [field for field in MATRICES if hasattr(owner, field)]
        return owner and replace(owner, **{f: change(name, getattr(owner, f)) for f in fields})

    blocks = tuple(
        replace(
            block,
            heads=tuple(part(head, f"a{i}.h{h}") for h, head in enumerate(block.heads)),
            mlp=part(block.mlp, f"m{i}"),
        )
        for i, block in enumerate(model.blocks)
    )
    return replace(model, blocks=blocks, unembedding=change("logits", model.unembedding))
