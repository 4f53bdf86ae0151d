"""Positions in a prompt at which something is read or changes.

They are known before a search's tests, so what a test asks of them (how many, from where, whether
there are gaps) is answered without looking into tensors again.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine.components import causal_mask


class Places:
    """Ascending positions.

    Attributes:
        numbers: the positions.
        device: where tensors of them lie.
    """

    def __init__(self, numbers: Iterable[int], device: torch.device):
        self.numbers: Sequence[int] = tuple(numbers)
        self.device = device
        self._masks: dict[int, Tensor] = {}
        self._since: dict[int, Places] = {}
        self._within: dict[Places, Places] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def index(self) -> Int[Tensor, " place"]:
        """The positions as a tensor."""
        return torch.tensor(self.numbers, dtype=torch.long, device=self.device)

    def since(self, first: int) -> "Places":
        """Return those from ``first`` on."""
        if not self.numbers or self.numbers[0] >= first:
            return self
        if first not in self._since:
            later = (number for number in self.numbers if number >= first)
            self._since[first] = Places(later, self.device)
        return self._since[first]

    def before(self, first: int) -> int:
        """Return how many lie before ``first``."""
        return len(self) - len(self.since(first))

    def causal_mask(self, count: int) -> Float[Tensor, "place key_pos"]:
        """Return what is added to the scores of queries at these places, given how many keys."""
        if count not in self._masks:
            self._masks[count] = causal_mask(self.index, count)
        return self._masks[count]

    def take(self, x: Float[Tensor, "batch pos width"]) -> Float[Tensor, "batch place width"]:
        """Return ``x``, known at all positions, at these; a view where there are no gaps."""
        return x.index_select(1, self.index) if self._span is None else x[:, self._span]

    def put(
        self, x: Float[Tensor, "batch pos width"], values: Float[Tensor, "batch place width"]
    ) -> None:
        """Write values at these places into ``x``, known at all positions."""
        x[:, self.index if self._span is None else self._span] = values

    def within(self, own: "Places") -> "Places":
        """Return where these stand among ``own``, of which they must be some."""
        if own not in self._within:
            at = {number: place for place, number in enumerate(own.numbers)}
            self._within[own] = Places((at[number] for number in self.numbers), self.device)
        return self._within[own]

    @cached_property
    def _span(self) -> slice | None:
        """The positions as a slice, where there are no gaps."""
        if not self.numbers:
            return slice(0, 0)
        start, stop = self.numbers[0], self.numbers[-1] + 1
        return slice(start, stop) if stop - start == len(self) else None
