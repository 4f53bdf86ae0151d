"""How much the fast engine computes at once.

A processor is fastest while what it works on stays in its cache. To launch a kernel takes as long
as a GPU needs for a small product (docs/experiments.md), so it is given larger ones, and fewer.
Amounts change the last bits of sums, and in low precision what these tip; nothing else.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Amounts:
    """Sizes of what is made at once.

    Attributes:
        rows: of the unembedding's product, as many as it takes for its full speed; more would only
            throw away more after a wrong guess.
        most: alternatives in a batch, however few rows they have.
        workspace: bytes of what is followed at once: enough for the products' full speed.
        block: vocabulary columns; of a processor's, what a hundred rows make stays in the cache.
    """

    rows: int
    most: int
    workspace: int
    block: int


PROCESSOR = Amounts(rows=400, most=32, workspace=1 << 25, block=2048)
GPU = Amounts(rows=1600, most=128, workspace=1 << 27, block=8192)


def amounts(device: torch.device) -> Amounts:
    """Return the amounts for a device."""
    return GPU if device.type == "cuda" else PROCESSOR
