"""What stands while one receiver is under test, and how much of it is followed at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.engine.propagate import Propagation
from pahq.engine.repeats import Repeats


@dataclass(frozen=True, eq=False)
class Focus:
    """What stands while one receiver is under test.

    Attributes:
        key: the receiver and its component's format.
        flow: the standing values, with the component as the focus raises it.
        standing: (batch,) damages while nothing moves, summed as under a test; None where the
            component is not raised.
        repeats: what its head wrote before and the damages, screened or not; empty where nothing
            repeats.
        case_bytes: most bytes that one case takes while it is followed.
        workspace: bytes for what is followed at once.
    """

    key: tuple[str, str]
    flow: Propagation
    standing: Float[Tensor, " batch"] | None
    repeats: dict[bool, Repeats]
    case_bytes: int
    workspace: int

    def at_once(self, prompts: int) -> int:
        """Return how many alternatives of so many prompts are followed together."""
        return max(1, round(self.workspace / (self.case_bytes * prompts)))

    def portions(self, cases: Tensor, rows: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield about as many cases at once as the workspace has room for."""
        count = max(1, round(len(cases) * self.case_bytes / self.workspace))
        return zip(cases.chunk(count), rows.chunk(count), strict=True)


def joined(parts: list[Tensor]) -> Tensor:
    """Return the parts as one; no copy where there is one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)
