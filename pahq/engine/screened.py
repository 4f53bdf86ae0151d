"""Damages to screen with: those of a fast evaluator in FP32, with approximations where they pay.

- Changes of MLPs are multiplied in low precision (moved.py).
- KL is read out over the tokens that hold nearly all probability (likely.py).

Everything else is the exact evaluator's own: what stands, what receivers read, heads. An effect is
therefore off by a small share of itself, and the exact evaluator tells how far.
"""

from collections.abc import Sequence

from pahq.engine.fast import FastEvaluator
from pahq.graph.nodes import Receiver, Sender


class ScreenedDamages:
    """The approximate damages of an exact evaluator, which also commits.

    Attributes:
        evaluations: alternatives whose damage was asked for.
    """

    def __init__(self, exact: FastEvaluator):
        self.exact = exact
        self.evaluations = 0

    def focus(self, component: str) -> dict[str, str]:
        """Put ``component`` under test; nothing is raised."""
        return self.exact.focus(component)

    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return about the damage of the cuts so far plus each set of senders cut."""
        self.evaluations += len(cut_sets)
        return self.exact.damages(receiver, cut_sets, screened=True)

    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Do nothing: the exact evaluator is told."""
