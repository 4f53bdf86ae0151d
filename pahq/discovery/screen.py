"""Screening: tests in low precision, and FP32 for whatever lies near the threshold.

Both precisions follow the same decisions. How near is near is measured in the run itself: the first
decision about each component and a share of the later ones are made in both, and the largest error
gives the margin. Errors differ from component to component far more than within one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pahq.discovery.acdc import Rule
from pahq.engine.fast import FastEvaluator
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.screened import ScreenedDamages
from pahq.graph.nodes import Edge, Receiver, Sender

Cut = frozenset[str]
Exact = FastEvaluator | ReferenceEvaluator
Screening = ScreenedDamages | ReferenceEvaluator
FIRST = 1  # decisions about each component that are made in both precisions
SHARE = 1 / 64  # of later decisions, drawn to be audited
CAUTION = 5.0  # an effect is near within this many times the largest error seen
ASSUMED = 0.02  # error, as a share of the effect or threshold, before any is seen


@dataclass
class Screened:
    """What screening did.

    Attributes:
        fp32_tests: decisions made in FP32, for whatever reason.
        audited: those of them that were not near, but first or drawn.
        disagreements: audited decisions that low precision would have made otherwise.
        error: largest error seen of an effect in low precision, as a share of the effect or of
            the threshold, whichever is larger.
    """

    fp32_tests: int = 0
    audited: int = 0
    disagreements: int = 0
    error: float = 0.0


class ScreeningEvaluator:
    """Damage in low precision, and FP32's verdict where it is needed.

    Attributes:
        low: evaluates in low precision.
        high: evaluates in FP32.
        found: what screening did so far.
    """

    def __init__(self, low: Screening, high: Exact, rule: Rule):
        self.low, self.high, self.rule = low, high, rule
        self.found = Screened()
        self._seen = 0  # decisions about the component in focus
        self._screened: dict[Cut, tuple[Sequence[Sender], float]] = {}  # what was asked last
        self._exact: dict[Cut, float] = {}  # FP32's damages of cut sets of this receiver

    @property
    def evaluations(self) -> int:
        """Alternatives whose damage was asked for, in either precision."""
        return self.low.evaluations + self.high.evaluations

    def focus(self, component: str) -> dict[str, str]:
        """Put ``component`` under test; return the formats that differ from the background."""
        self._seen = 0
        return self.low.focus(component)

    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return the damage of each alternative in low precision."""
        found = self.low.damages(receiver, cut_sets)
        self._screened = {
            _cut(each): (each, value) for each, value in zip(cut_sets, found, strict=True)
        }
        return found

    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good, in both precisions."""
        self.low.commit(receiver, senders)
        self.high.commit(receiver, senders)
        self._exact.clear()

    # --- the verdict ------------------------------------------------------------------------

    def confirm(
        self, receiver: Receiver, cut: Sequence[Sender], sender: Sender, effect: float
    ) -> float | None:
        """Return the effect of one more cut in FP32; None where low precision decides.

        Args:
            receiver: the receiver under test.
            cut: its senders cut so far.
            sender: the one to cut as well.
            effect: what low precision says.
        """
        self._seen += 1
        wanted = self._seen <= FIRST or self._drawn(Edge(sender, receiver))
        if not wanted and not self._is_near(effect):
            return None
        self._evaluate(receiver, [cut, [*cut, sender]])
        true = self._exact[_cut([*cut, sender])] - self._exact[_cut(cut)]
        self._learn(true, effect)
        return true

    def repeat(self, receiver: Receiver, cut: Sequence[Sender], sender: Sender) -> None:
        """Evaluate again what ``confirm`` did, so that what follows gets the same numbers."""
        self._evaluate(receiver, [cut, [*cut, sender]])

    def _evaluate(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> None:
        """Learn FP32's damages of these sets, and of those that will probably be asked for next.

        Products of many rows cost less a row. The sets grow, as they do where edges are removed.
        """
        wanted = {_cut(each): each for each in cut_sets}
        if not wanted.keys() - self._exact.keys():
            return
        least = len(cut_sets[0])
        for cut, (senders, damage) in self._screened.items():
            without = senders[:-1]
            before = self._screened.get(_cut(without))
            ahead = len(senders) > least and before is not None
            if ahead and before is not None and self._is_near(damage - before[1]):
                wanted |= {_cut(without): without, cut: senders}
        missing = [each for cut, each in wanted.items() if cut not in self._exact]
        missing = missing[: max(len(cut_sets), self.rule.batch_size)]
        found = self.high.damages(receiver, missing)
        self._exact |= {_cut(each): value for each, value in zip(missing, found, strict=True)}

    def recall(self, effect: float, screened: float | None) -> None:
        """Count a decision of an earlier process, and learn if it was made in both precisions."""
        self._seen += 1
        if screened is not None:
            self._learn(effect, screened)

    def _learn(self, effect: float, screened: float) -> None:
        near = self._is_near(screened)
        self.found.fp32_tests += 1
        self.found.audited += not near
        wrong = self.rule.keeps(effect) != self.rule.keeps(screened)
        self.found.disagreements += wrong and not near
        error = abs(effect - screened) / max(abs(effect), self.rule.threshold)
        self.found.error = max(self.found.error, error)

    def _is_near(self, effect: float) -> bool:
        size = abs(effect) if self.rule.absolute else effect
        error = max(self.found.error, ASSUMED)
        margin = CAUTION * error * max(abs(effect), self.rule.threshold)
        return abs(size - self.rule.threshold) <= margin

    def _drawn(self, edge: Edge) -> bool:
        # By the edge's name, so that a resumed search draws the same ones.
        return random.Random(f"audit/{edge.name}").random() < SHARE


def _cut(senders: Sequence[Sender]) -> Cut:
    return frozenset(sender.name for sender in senders)
