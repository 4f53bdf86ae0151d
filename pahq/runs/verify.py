"""Proof by other means: decisions of a finished run, evaluated again by plain full forwards.

FP32 runs are asked of the loaded model itself, through its hooks; runs in low precision of the
reference engine, under the same plan. Nothing of what found the circuit is used.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pahq.discovery.acdc import Rule
from pahq.discovery.events import EdgeTested
from pahq.engine.bridge import BridgeEvaluator
from pahq.engine.problem import Cuts
from pahq.engine.reference import ReferenceEvaluator
from pahq.errors import BadRunFolder
from pahq.runs.pipeline import Session
from pahq.runs.store import RunFolder
from pahq.runs.summary import NEAR, near_threshold

SAMPLE = 20
FULL = {"policy": "fp32", "policy_recipe": None}


@dataclass(frozen=True)
class Checked:
    """One decision, twice.

    Attributes:
        edge: the edge's name.
        recorded: its effect in the run.
        verified: its effect by full forwards.
        kept: what the run decided.
        agrees: whether full forwards decide so too, or might within the tolerance.
    """

    edge: str
    recorded: float
    verified: float
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
        ``engine`` (bridge or reference), ``tolerance``, ``damage`` (``recorded``, ``verified``),
        ``decisions`` (one dict each, as ``Checked``), ``largest_difference``, and
        ``contradictions``: the edges on which full forwards decide otherwise by more than the
        tolerance; ``holds`` is True if there is none and the circuit's damage agrees.

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
    tolerance = NEAR
    if not fp32:
        # A last bit can tip a rounding, and that others: what the policy's rounding does to this
        # very circuit is the size of such accidents.
        noise = abs(summary["damage_under_policy"] - summary["damage"])
        tolerance = max(NEAR, summary["noise_floor"], noise)
    final = evaluator.damage(_cuts(decisions))
    near = near_threshold(decisions, config.threshold, absolute=config.absolute)
    chosen = _chosen(decisions, sample, seed, {item["edge"] for item in near})
    checked = []
    for done, number in enumerate(chosen):
        on_progress(done, len(chosen))
        checked.append(_check(evaluator, decisions, number, prepared.rule, tolerance))
    on_progress(len(chosen), len(chosen))
    wrong = [item.edge for item in checked if not item.agrees]
    recorded = summary["damage_under_policy"]
    return {
        "engine": engine,
        "tolerance": tolerance,
        "damage": {"recorded": recorded, "verified": final},
        "decisions": [asdict(item) for item in checked],
        "largest_difference": max(
            (abs(item.recorded - item.verified) for item in checked), default=0.0
        ),
        "contradictions": wrong,
        "holds": not wrong and abs(recorded - final) <= _allowed(tolerance, final),
    }


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


def _check(
    evaluator: BridgeEvaluator | ReferenceEvaluator,
    decisions: Sequence[EdgeTested],
    number: int,
    rule: Rule,
    tolerance: float,
) -> Checked:
    event = decisions[number]
    sender, receiver = event.edge.split("->")
    evaluator.focus(receiver.partition("<")[0])
    before = _cuts(decisions[:number])
    after = {**before, receiver: before.get(receiver, frozenset()) | {sender}}
    base = evaluator.damage(before)
    effect = evaluator.damage(after) - base
    allowed = _allowed(tolerance, base)
    if event.skipped:  # without a test, since it can have no effect, whatever the threshold
        agrees = abs(effect) <= allowed
    else:
        possible = (effect - allowed, effect, effect + allowed)
        agrees = any(rule.keeps(value) == event.kept for value in possible)
    return Checked(event.edge, event.effect, effect, event.kept, agrees)


def _cuts(decisions: Sequence[EdgeTested]) -> Cuts:
    """Return the cuts that these decisions made; what they say nothing of is not cut."""
    cut: dict[str, set[str]] = {}
    for event in decisions:
        if not event.kept:
            sender, receiver = event.edge.split("->")
            cut.setdefault(receiver, set()).add(sender)
    return {receiver: frozenset(senders) for receiver, senders in cut.items()}


def _allowed(tolerance: float, damage: float) -> float:
    """FP32 rounds a large damage in proportion to it."""
    return tolerance * max(1.0, abs(damage))
