"""Proof by other means: decisions of a finished run, evaluated again by plain full forwards.

FP32 runs are asked of the loaded model itself, through its hooks; runs in low precision of the
reference engine, under the same plan. Nothing of what found the circuit is used. Where that says
something else, it is asked again after changes in last bits: a tipped rounding is no contradiction.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pahq.discovery.acdc import Rule
from pahq.discovery.events import EdgeTested
from pahq.engine.bridge import BridgeEvaluator
from pahq.engine.problem import Cuts
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.shaken import SHAKES, shaken
from pahq.errors import BadRunFolder
from pahq.runs.pipeline import Session
from pahq.runs.store import RunFolder
from pahq.runs.summary import NEAR, near_threshold

SAMPLE = 20
# Of 18 draws from anywhere the last lies outside of the others' range one time in nine, but seldom
# by much: by less than this share of the range it may.
BEYOND = 0.5
FULL = {"policy": "fp32", "policy_recipe": None}

Evaluator = BridgeEvaluator | ReferenceEvaluator


@dataclass(frozen=True)
class Said:
    """What full forwards say of a number, and within which bounds it may be meant.

    Attributes:
        value: the number.
        allowed: what FP32 may make of it, up or down.
        least: the least that was said of it, where last bits were changed.
        most: the most.
    """

    value: float
    allowed: float
    least: float
    most: float

    @classmethod
    def of(cls, value: float, damage: float) -> "Said":
        """FP32 rounds a large damage in proportion to it."""
        return cls(value, NEAR * max(1.0, abs(damage)), value, value)

    @property
    def low(self) -> float:
        """The least that may be meant."""
        return self.least - BEYOND * (self.most - self.least) - self.allowed

    @property
    def high(self) -> float:
        """The most that may be meant."""
        return self.most + BEYOND * (self.most - self.least) + self.allowed

    def allows(self, value: float) -> bool:
        """Return whether a number may be meant."""
        return math.isfinite(self.value) and self.low <= value <= self.high

    def also(self, other: "Said") -> "Said":
        """Return the same after another answer; one that is not finite says nothing."""
        if not math.isfinite(other.value):
            return self
        return replace(self, least=min(self.least, other.value), most=max(self.most, other.value))


@dataclass(frozen=True)
class Checked:
    """One decision, twice.

    Attributes:
        edge: the edge's name.
        recorded: its effect in the run.
        verified: its effect by full forwards.
        least: the least that full forwards said, where last bits were changed.
        most: the most.
        low: the least that may be meant, by what FP32 resolves and what last bits move.
        high: the most.
        kept: what the run decided.
        agrees: whether full forwards decide so too, or might within these bounds.
    """

    edge: str
    recorded: float
    verified: float
    least: float
    most: float
    low: float
    high: float
    kept: bool
    agrees: bool


def verify(
    folder: RunFolder,
    session: Session,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Evaluate a run's circuit, a sample of its decisions and every near one again.

    Args:
        folder: a run that has ended.
        session: loads the model.
        sample: number of decisions drawn: a quarter of them were made without a test, a quarter
            kept their edge.
        seed: of the draw.
        on_progress: called with the decisions done and their number.

    Returns:
        ``engine`` (bridge or reference), ``tolerance``, ``damage`` (``recorded``, ``verified``,
        and bounds as in ``Checked``), ``decisions`` (one dict each, as ``Checked``),
        ``largest_difference``, ``shakes``: how often last bits were changed to see what they move,
        0 where nothing asked for it, and ``contradictions``: the edges on which full forwards
        decide otherwise everywhere within the bounds; ``holds`` is True if there is none and the
        circuit's damage lies within its own.

    Raises:
        PahqError: if the run has no circuit, or its model or prompts are not here any more.
    """
    summary = folder.summary
    if summary is None or folder.circuit is None:
        raise folder.no_circuit()
    config = folder.config
    # A policy that only screens promises FP32's decisions, and is held to them.
    fp32 = set(summary["formats"]) == {"fp32"} or "screening" in summary
    changes = {"engine": "bridge", **FULL} if fp32 else {"engine": "reference"}
    engine = changes["engine"]
    prepared = session.prepare(config.model_copy(update=changes))
    evaluator = prepared.measurer(prepared.policy)
    assert isinstance(evaluator, BridgeEvaluator | ReferenceEvaluator)
    decisions = [event for event in folder.events() if isinstance(event, EdgeTested)]
    if len(decisions) != summary["edges_decided"]:
        raise BadRunFolder(
            f"The run {folder.id} is not complete.",
            why=f"{len(decisions)} decisions are recorded, its summary tells of "
            f"{summary['edges_decided']}",
            fix=f"finish it with `pahq resume {folder.path}`",
        )
    near = near_threshold(decisions, config.threshold, absolute=config.absolute)
    chosen = _chosen(decisions, sample, seed, {item["edge"] for item in near})
    questions = [Question(decisions, number, prepared.rule) for number in chosen]
    cuts, recorded = _cuts(decisions), summary["damage_under_policy"]

    def whole(asked: Evaluator) -> Said:
        final = asked.damage(cuts)
        return Said.of(final, final)

    final, said = whole(evaluator), []
    for done, question in enumerate(questions):
        on_progress(done, len(questions))
        said.append(question.ask(evaluator))
    doubted = [i for i, question in enumerate(questions) if not question.agrees(said[i])]
    shakes = 0
    if not fp32 and (doubted or not final.allows(recorded)):
        assert isinstance(evaluator, ReferenceEvaluator)
        problem, multiply = evaluator.problem, evaluator.multiply
        for other in shaken(problem, prepared.weights, multiply=multiply):
            on_progress(len(questions) + shakes, len(questions) + SHAKES)
            shakes += 1
            final = final.also(whole(other))
            for i in doubted:
                said[i] = said[i].also(questions[i].ask(other))
            doubted = [i for i in doubted if not questions[i].agrees(said[i])]
            if not doubted and final.allows(recorded):
                break
    total = len(questions) + shakes
    on_progress(total, total)
    checked = [question.checked(found) for question, found in zip(questions, said, strict=True)]
    wrong = [item.edge for item in checked if not item.agrees]
    return {
        "engine": engine,
        "tolerance": NEAR,
        "damage": {
            "recorded": recorded, "verified": final.value, "least": final.least,
            "most": final.most, "low": final.low, "high": final.high,
        },
        "decisions": [asdict(item) for item in checked],
        "largest_difference": max(
            (abs(item.recorded - item.verified) for item in checked), default=0.0
        ),
        "shakes": shakes,
        "contradictions": wrong,
        "holds": not wrong and final.allows(recorded),
    }  # fmt: skip


def _chosen(
    decisions: Sequence[EdgeTested], sample: int, seed: int, near: Iterable[str]
) -> list[int]:
    """Return the numbers of the decisions to check, in visit order."""
    draw = random.Random(seed)
    kinds: dict[str, list[int]] = {"skipped": [], "kept": [], "removed": []}
    for number, event in enumerate(decisions):
        kinds["skipped" if event.skipped else "kept" if event.kept else "removed"].append(number)
    found: set[int] = set()
    for left, numbers in zip((4, 3, 1), kinds.values(), strict=True):
        # A quarter skipped, a quarter kept, the rest removed; what one kind lacks others fill.
        share = -(-(sample - len(found)) // left)
        found.update(draw.sample(numbers, min(share, len(numbers))))
    nearby = set(near)
    found.update(i for i, event in enumerate(decisions) if event.edge in nearby)
    return sorted(found)


class Question:
    """One decision, to be made again."""

    def __init__(self, decisions: Sequence[EdgeTested], number: int, rule: Rule):
        self._event, self._rule = decisions[number], rule
        sender, receiver = self._event.edge.split("->")
        self._component = receiver.partition("<")[0]
        self._before = _cuts(decisions[:number])
        cut = self._before.get(receiver, frozenset())
        self._after = {**self._before, receiver: cut | {sender}}

    def ask(self, evaluator: Evaluator) -> Said:
        """Return the edge's effect."""
        evaluator.focus(self._component)
        base = evaluator.damage(self._before)
        return Said.of(evaluator.damage(self._after) - base, base)

    def agrees(self, said: Said) -> bool:
        """Return whether the run's decision may be the one that full forwards make."""
        if not math.isfinite(said.value):
            return False
        nearest_to_0 = min(max(said.low, 0.0), said.high)
        if self._event.skipped:  # without a test, since it can have no effect
            return nearest_to_0 == 0
        possible = (said.low, nearest_to_0, said.high)
        return any(self._rule.keeps(value) == self._event.kept for value in possible)

    def checked(self, said: Said) -> Checked:
        """Return the decision beside what was recorded."""
        event = self._event
        return Checked(
            event.edge, event.effect, said.value, said.least, said.most, said.low, said.high,
            event.kept, self.agrees(said),
        )  # fmt: skip


def _cuts(decisions: Sequence[EdgeTested]) -> Cuts:
    """Return the cuts that these decisions made; what they say nothing of is not cut."""
    cut: dict[str, set[str]] = {}
    for event in decisions:
        if not event.kept:
            sender, receiver = event.edge.split("->")
            cut.setdefault(receiver, set()).add(sender)
    return {receiver: frozenset(senders) for receiver, senders in cut.items()}
