"""FP32 matrices that wait in the host's memory, and those of them that are on the device now.

A matrix is copied on a load stream of its own, beside what the device computes; the compute stream
waits for the copy where it is first used. What was not brought is copied for that use alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

EVERYTHING = slice(None)


@dataclass(eq=False)
class _Copy:
    """A copy on the device.

    Attributes:
        weight: what was copied; kept, so that nothing else may get its id.
        copy: the same on the device.
        ready: tells when it is complete; None once the compute stream waits for it.
    """

    weight: Tensor
    copy: Tensor
    ready: torch.cuda.Event | None


class Residency:
    """Copies of one model's matrices on one device.

    Attributes:
        device: where products are made.
        most_bytes: of the copies that were brought, the most at one time.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.most_bytes = 0
        self._copies: dict[int, _Copy] = {}
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def is_away(self, weight: Tensor) -> bool:
        """Return whether a weight lies in the host's memory, and products are made elsewhere."""
        return weight.device.type != self.device.type

    def bring(self, weights: Iterable[Tensor]) -> None:
        """Begin to copy weights to the device; they stay there until they are let go."""
        for weight in weights:
            if self.is_away(weight) and id(weight) not in self._copies:
                self._copies[id(weight)] = self._begun(weight)
        held = sum(each.copy.numel() * each.copy.element_size() for each in self._copies.values())
        self.most_bytes = max(self.most_bytes, held)

    def let_go(self, weights: Iterable[Tensor]) -> None:
        """Forget copies; their memory is free as soon as the device is done with them."""
        for weight in weights:
            self._copies.pop(id(weight), None)

    def here(
        self,
        weight: Float[Tensor, "fan_in fan_out"],
        columns: slice | Tensor = EVERYTHING,
    ) -> Float[Tensor, "fan_in columns"]:
        """Return a weight, or some of its columns, on the device."""
        found = self._copies.get(id(weight))
        if found is not None:
            self._wait(found)
            return found.copy if columns is EVERYTHING else found.copy[:, columns]
        if not self.is_away(weight):
            return weight if columns is EVERYTHING else weight[:, columns]
        if isinstance(columns, Tensor):
            columns = columns.to(weight.device)
        return self._copied(weight if columns is EVERYTHING else weight[:, columns])

    def _begun(self, weight: Tensor) -> _Copy:
        if self._stream is None:
            return _Copy(weight, self._copied(weight), None)
        with torch.cuda.stream(self._stream):
            copy, ready = self._copied(weight), torch.cuda.Event()
            ready.record(self._stream)
        return _Copy(weight, copy, ready)

    def _wait(self, found: _Copy) -> None:
        if found.ready is not None:
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(found.ready)
            # Its memory belongs to the load stream, which must not use it again before this one
            # is done with it.
            found.copy.record_stream(computing)
            found.ready = None

    def _copied(self, weight: Tensor) -> Tensor:
        return weight.to(self.device, non_blocking=True)
