"""Prompt pairs as tensors: rows of one length form a batch, so there is never padding or a mask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.tasks.base import EncodedPair

NO_TOKEN = -1  # fills up rows of ``answers`` and ``wrong`` that are shorter than the longest


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Rows of one length. A *target* is one position of one row whose prediction counts.

    Attributes:
        clean: (batch, pos) token ids of the prompts whose behaviour we explain.
        corrupt: (batch, pos) token ids of their counterfactual twins.
        row: (target,) row of each target.
        position: (target,) position of each target.
        weight: (target,) share of the target in the damage; over all batches they sum to 1,
            so a weighted sum is the mean over positions, then over rows.
        answers: (target, answer) right next tokens, filled up with ``NO_TOKEN``.
        wrong: (target, wrong) wrong next tokens, filled up with ``NO_TOKEN``.
    """

    clean: Int[Tensor, "batch pos"]
    corrupt: Int[Tensor, "batch pos"]
    row: Int[Tensor, " target"]
    position: Int[Tensor, " target"]
    weight: Float[Tensor, " target"]
    answers: Int[Tensor, "target answer"]
    wrong: Int[Tensor, "target wrong"]

    def to(self, device: torch.device) -> "PromptBatch":
        """Return the same batch on ``device``."""
        return replace(self, **{name: t.to(device) for name, t in vars(self).items()})


def batches(pairs: Sequence[EncodedPair]) -> tuple[PromptBatch, ...]:
    """Group ``pairs`` by length (shortest first; within a length, in the order given)."""
    by_length: dict[int, list[EncodedPair]] = {}
    for pair in pairs:
        by_length.setdefault(len(pair.clean), []).append(pair)
    return tuple(_batch(by_length[n], total=len(pairs)) for n in sorted(by_length))


def _batch(pairs: list[EncodedPair], *, total: int) -> PromptBatch:
    targets = [(row, target) for row, pair in enumerate(pairs) for target in pair.targets]
    return PromptBatch(
        clean=torch.tensor([pair.clean for pair in pairs]),
        corrupt=torch.tensor([pair.corrupt for pair in pairs]),
        row=torch.tensor([row for row, _ in targets]),
        position=torch.tensor([target.position for _, target in targets]),
        weight=torch.tensor(
            [1 / (len(pairs[row].targets) * total) for row, _ in targets], dtype=torch.float64
        ),
        answers=_filled([target.answers for _, target in targets]),
        wrong=_filled([target.wrong for _, target in targets]),
    )


def _filled(lists: list[tuple[int, ...]]) -> Tensor:
    width = max(map(len, lists))
    filled = [[*ids, *[NO_TOKEN] * (width - len(ids))] for ids in lists]
    return torch.tensor(filled, dtype=torch.long).reshape(len(lists), width)
