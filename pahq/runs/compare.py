"""Two runs side by side: which verdicts changed, how near they were, and why. No torch."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pahq import catalog
from pahq.discovery.events import EdgeTested
from pahq.errors import UsageError
from pahq.graph.circuit import Circuit, read_circuit
from pahq.runs.config import RunConfig, knobs
from pahq.runs.store import RunFolder

BORDERLINE = 0.2  # of the threshold, as in the app
ZERO = 1e-12  # an effect below it came out as nothing at all
CAUSES = {
    "near threshold": "One of the effects lies within 20% of the threshold.",
    "underflow": "In one run the effect is exactly zero: nothing was left of the difference.",
    "not tested": "In one run nothing kept led on from the receiver, so its edges went untested.",
    "other": "The effects differ by more than closeness to the threshold explains.",
}
# What two runs may differ in and still ask the same question.
_FREE = (
    "policy",
    "noise_budget",
    "engine",
    "batch_size",
    "threads",
    "memory_limit",
    "native_only",
    "device",
)


@dataclass(frozen=True)
class Flip:
    """An edge with different verdicts.

    Attributes:
        edge: its name.
        reference_effect: effect in the reference run, in the metric's unit; 0.0 untested.
        effect: effect in the other run.
        reference_kept: whether the reference kept it.
        kept: whether the other did.
        distance: of the effect nearer to the threshold, as a share of the threshold.
        cause: a key of ``CAUSES``.
    """

    edge: str
    reference_effect: float
    effect: float
    reference_kept: bool
    kept: bool
    distance: float
    cause: str


@dataclass(frozen=True)
class Comparison:
    """What another run found, measured against a reference.

    Attributes:
        reference: id of the run taken as the truth.
        other: id of the run compared with it.
        policies: titles of their policies, reference first.
        differing: settings, besides the policy, in which they differ.
        edges: edges decided by both.
        kept_reference: of these, kept by the reference.
        kept: kept by the other.
        kept_both: kept by both.
        rank_correlation: Spearman's, of the effects of edges tested in both; None for fewer than
            three of them, or where all are equal.
        speedup: how many times faster the other search was; None if a time is missing.
        damages: damage of both circuits in the FP32 model, reference first; None where missing.
        unit: of damage and effects.
        flips: edges with different verdicts, nearest to the threshold first.
    """

    reference: str
    other: str
    policies: tuple[str, str]
    differing: tuple[str, ...]
    edges: int
    kept_reference: int
    kept: int
    kept_both: int
    rank_correlation: float | None
    speedup: float | None
    damages: tuple[float | None, float | None]
    unit: str
    flips: tuple[Flip, ...]

    @property
    def precision(self) -> float | None:
        """Share of the other's edges that the reference kept; None if it kept none."""
        return self.kept_both / self.kept if self.kept else None

    @property
    def recall(self) -> float | None:
        """Share of the reference's edges that the other kept; None if the reference kept none."""
        return self.kept_both / self.kept_reference if self.kept_reference else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None if neither kept an edge."""
        total = self.kept + self.kept_reference
        return 2 * self.kept_both / total if total else None

    @property
    def jaccard(self) -> float | None:
        """Edges kept by both as a share of those kept by either; None if neither kept one."""
        either = self.kept + self.kept_reference - self.kept_both
        return self.kept_both / either if either else None

    @property
    def sentence(self) -> str:
        """The comparison in one sentence."""
        full, other = self.policies
        text = f"{other} keeps {self.kept_both} of {full}'s {_count(self.kept_reference, 'edge')}"
        added = self.kept - self.kept_both
        text += f" and adds {added}" if added else ""
        if self.speedup is not None:
            faster = self.speedup >= 1
            ratio = self.speedup if faster else 1 / self.speedup
            number = f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"
            times = "" if number == "1" else f"{number} times "
            text += f", {times}as {'fast' if faster or not times else 'slow'}"
        if not self.flips:
            return text + ": the same circuit."
        near = [flip for flip in self.flips if flip.cause == "near threshold"]
        count, alone = len(self.flips), len(self.flips) == 1
        if len(near) == count:
            # Rounded up: no difference is a distance of 0%.
            furthest = max(math.ceil(100 * max(flip.distance for flip in near)), 1)
            what = "the one that differs is" if alone else f"all {count} that differ are"
            return text + f"; {what} within {furthest}% of the threshold."
        causes = ", ".join(sorted({flip.cause for flip in self.flips} - {"near threshold"}))
        if not near:
            what = "the one that differs is not" if alone else f"of {count} that differ, none is"
            return text + f"; {what} near the threshold: {causes}."
        return (
            text + f"; of {count} that differ, {len(near)} within {BORDERLINE:.0%} of the "
            f"threshold, the rest: {causes}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON writes it."""
        names = ("precision", "recall", "f1", "jaccard", "sentence")
        return asdict(self) | {name: getattr(self, name) for name in names}


def compare(reference: RunFolder, other: RunFolder) -> Comparison:
    """Measure a run against another one.

    Raises:
        BadRunFolder: if one of them has no circuit.
        UsageError: if they searched different graphs.
    """
    a, b = _Side(reference), _Side(other)
    if a.circuit.shape != b.circuit.shape:
        raise UsageError(
            f"The runs {reference.id} and {other.id} cannot be compared.",
            why="their models have different graphs",
            fix="compare runs of one model",
        )
    both = [e for e in a.circuit.effects if not {e} & (a.circuit.undecided | b.circuit.undecided)]
    kept_a, kept_b = (side.circuit.kept.intersection(both) for side in (a, b))
    tested = [e for e in both if e in a.tested and e in b.tested]
    flips = [_flip(edge, a, b) for edge in both if (edge in kept_a) != (edge in kept_b)]
    return Comparison(
        reference=reference.id,
        other=other.id,
        policies=(_title(a.config.policy), _title(b.config.policy)),
        differing=differing(a.config, b.config),
        edges=len(both),
        kept_reference=len(kept_a),
        kept=len(kept_b),
        kept_both=len(kept_a & kept_b),
        rank_correlation=_rank_correlation(
            [a.circuit.effects[e] for e in tested], [b.circuit.effects[e] for e in tested]
        ),
        speedup=_ratio(a.summary.get("wall_s"), b.summary.get("wall_s")),
        damages=(a.summary.get("damage"), b.summary.get("damage")),
        unit=catalog.find(catalog.METRICS, a.config.metric, kind="metric").unit,
        flips=tuple(sorted(flips, key=lambda flip: flip.distance)),
    )


def differing(a: RunConfig, b: RunConfig) -> tuple[str, ...]:
    """Return the settings, besides the policy and what changes no result, that differ."""
    names = [*(name for name in knobs() if name not in _FREE), "model_hash", "task_hash"]
    return tuple(name for name in names if getattr(a, name) != getattr(b, name))


def full_precision_twin(run: RunFolder, among: Iterable[RunFolder]) -> RunFolder | None:
    """Return the latest finished FP32 run of the same settings; None if there is none.

    ``among`` is in any order; damaged folders are passed over.
    """
    wanted = run.config
    found = [
        folder
        for folder in among
        if folder.path != run.path and _is_twin(folder, wanted) and folder.circuit is not None
    ]
    return max(found, key=lambda folder: folder.id, default=None)


def _is_twin(folder: RunFolder, wanted: RunConfig) -> bool:
    try:
        config = folder.config
    except UsageError:
        return False
    finished = (folder.summary or {}).get("status") == "finished"
    return finished and config.policy == "fp32" and not differing(config, wanted)


class _Side:
    def __init__(self, folder: RunFolder):
        path = folder.path / "circuit.json"
        if not path.exists():
            raise folder.no_circuit()
        self.circuit: Circuit = read_circuit(path)
        self.config, self.summary = folder.config, folder.summary or {}
        self._folder = folder

    @cached_property
    def tested(self) -> frozenset[str]:
        """Edges whose effect was measured."""
        decisions = (event for event in self._folder.events() if isinstance(event, EdgeTested))
        return frozenset(event.edge for event in decisions if not event.skipped)


def _flip(edge: str, a: _Side, b: _Side) -> Flip:
    tau = a.config.threshold
    measured = [side.circuit.effects[edge] for side in (a, b) if edge in side.tested]
    sizes = [abs(e) if a.config.absolute else e for e in measured]
    distance = min((abs(size - tau) / tau for size in sizes), default=1.0)
    if len(measured) < 2:
        cause = "not tested"
    elif min(abs(effect) for effect in measured) < ZERO:
        cause = "underflow"
    else:
        cause = "near threshold" if distance <= BORDERLINE else "other"
    return Flip(
        edge=edge,
        reference_effect=a.circuit.effects[edge],
        effect=b.circuit.effects[edge],
        reference_kept=edge in a.circuit.kept,
        kept=edge in b.circuit.kept,
        distance=distance,
        cause=cause,
    )


def _rank_correlation(a: list[float], b: list[float]) -> float | None:
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    import pandas as pd

    return float(pd.Series(a).rank().corr(pd.Series(b).rank()))


def _ratio(a: Any, b: Any) -> float | None:
    return a / b if a and b else None


def _title(policy: str) -> str:
    known = {entry.name: entry.title for entry in catalog.POLICIES}
    return known.get(policy, policy.rpartition("/")[2])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
