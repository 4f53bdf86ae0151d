"""Rows whose damage is known already, because the component writes exactly what it wrote before.

A saturated attention pattern does not move when a query or a key moves a little: the head's output
is the same, bit for bit, and so is all that follows from it.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Outputs = Float[Tensor, "seen batch place width"]
Values = Float[Tensor, "seen batch"]


class Repeats:
    """What one receiver's component wrote under the alternatives seen last, and the damage of each.

    The first one remembered is the component's output without any further cut.
    """

    def __init__(
        self,
        standing: Float[Tensor, "batch place width"],
        values: Float[Tensor, " batch"] | None = None,
    ):
        """Remember the output without any further cut, and its damages where they are known."""
        if values is None:
            values = standing.new_full((len(standing),), torch.nan, dtype=torch.float64)
        self.outputs, self.values = standing[None], values[None]

    def damages(
        self,
        outputs: Float[Tensor, "alt batch place width"],
        evaluate: Callable[[Bool[Tensor, "seen batch"], Outputs], Values],
    ) -> Float[Tensor, "alt batch"]:
        """Return the damage of each prompt under each alternative.

        Args:
            outputs: what the component writes.
            evaluate: returns the damages of the prompts marked in a mask; NaN for the others.
        """
        everything = torch.cat([self.outputs, outputs])
        source = _first_equal(everything, start=len(self.outputs))
        known = torch.cat([self.values, torch.full_like(self.values[:1], torch.nan).expand(
            len(outputs), -1)])  # fmt: skip
        wanted = torch.zeros_like(known, dtype=torch.bool).scatter_(0, source, True)
        fresh = evaluate(wanted & known.isnan(), everything)
        known = torch.where(known.isnan(), fresh, known)
        values = known.gather(0, source)
        self.outputs = torch.cat([everything[:1], outputs])
        self.values = torch.cat([known[:1], values])
        return values


def _first_equal(outputs: Outputs, *, start: int) -> Int[Tensor, "new batch"]:
    """Return, for each row from ``start`` on, the first alternative with exactly its output."""
    found = []
    for number in range(start, len(outputs)):
        same = (outputs[: number + 1] == outputs[number]).flatten(2).all(-1)
        same[number] = True  # also where the output is not a number
        found.append(same.int().argmax(0))
    return torch.stack(found)
