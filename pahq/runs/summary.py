"""What a run found: circuit.json and summary.json from its events."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pahq import catalog
from pahq.discovery.events import EdgeTested, Event
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import NOTHING_CUT, cuts_of, everything_cut
from pahq.graph.circuit import FORMAT_VERSION, Circuit
from pahq.precision.formats import find_format
from pahq.precision.native import describe
from pahq.precision.policy import RECIPES
from pahq.runs.prepare import Baseline, Prepared

NEAR = 1e-5  # two correct FP32 evaluators may disagree on an effect so close to the threshold


@dataclass(frozen=True)
class Spent:
    """What a search cost: seconds, evaluations of damage, and resident bytes."""

    wall_s: float
    evaluations: int
    peak_bytes: int
    baseline_bytes: int


def circuit_of(prepared: Prepared, events: Sequence[Event], *, status: str) -> Circuit:
    """Return the circuit; edges that were not decided stay in it."""
    decisions = {event.edge: event for event in events if isinstance(event, EdgeTested)}
    undecided = [e.name for e in prepared.graph.edges() if e.name not in decisions]
    return Circuit(
        shape=prepared.graph.shape,
        effects={
            **{name: event.effect for name, event in decisions.items()},
            **dict.fromkeys(undecided, 0.0),
        },
        kept=frozenset([name for name, event in decisions.items() if event.kept] + undecided),
        undecided=frozenset(undecided),
        about={
            "format_version": FORMAT_VERSION,
            "status": status,
            "config": prepared.config.model_dump(),
        },
    )


def measure(
    prepared: Prepared, circuit: Circuit, events: Sequence[Event], before: Baseline, spent: Spent
) -> tuple[Circuit, dict[str, Any]]:
    """Return the circuit with its damage filled in, and summary.json's content."""
    graph, config, policy = prepared.graph, prepared.config, prepared.policy
    cuts = cuts_of(graph, circuit.kept)
    full = prepared.measurer(RECIPES["fp32"])
    damage = damage_under_policy = full.damage(cuts)
    if prepared.judged.rounds(graph):
        damage_under_policy = prepared.measurer(prepared.judged).damage(cuts)
    nothing, everything = full.damage(everything_cut(graph)), full.damage(NOTHING_CUT)
    gap = nothing - everything
    decisions = [event for event in events if isinstance(event, EdgeTested)]
    summary = {
        "status": circuit.about["status"],
        "edges_total": graph.edge_count,
        "edges_decided": len(decisions),
        "edges_kept": len(circuit.kept),
        "nodes_kept": len(circuit.nodes),
        "damage": damage,
        "damage_under_policy": damage_under_policy,
        "damage_nothing_kept": nothing,
        "damage_everything_kept": everything,
        "damage_held_out": _held_out(prepared, circuit),
        "recovered": (nothing - damage) / gap if gap else None,
        "unit": catalog.find(catalog.METRICS, config.metric, kind="metric").unit,
        "tests_run": sum(not event.skipped for event in decisions),
        "tests_skipped": sum(event.skipped for event in decisions),
        **asdict(spent),
        **asdict(before),
        "near_threshold": near_threshold(decisions, config.threshold, absolute=config.absolute),
        "formats": {
            name: describe(find_format(name), prepared.device.type)
            for name in policy.formats_used(graph)
        },
    }
    about = {**circuit.about, "damage": damage, "damage_under_policy": damage_under_policy}
    return replace(circuit, about=about), summary


def memory_of(evaluator: FastEvaluator, spent: Spent) -> dict[str, Any]:
    """Return the peak by what it was for, in bytes.

    ``weights_low weights_high caches`` as the evaluator has them; ``workspace`` is the rest: what
    tests and loading needed at the peak, above the libraries. Where FP32 weights are fetched from
    the host's memory, ``prefetch`` tells for how many components: see ``Fetched``.
    """
    found = evaluator.memory()
    rest = spent.peak_bytes - spent.baseline_bytes - sum(found.values())
    fetched = evaluator.prefetch.as_dict()
    told = {} if fetched is None else {"prefetch": fetched}
    return {**found, "workspace": max(0, rest), **told}


def near_threshold(
    decisions: Sequence[EdgeTested], threshold: float, *, absolute: bool
) -> list[dict[str, Any]]:
    """Return the tested edges whose effect lies so close to tau that rounding may decide."""
    return [
        {"edge": event.edge, "effect": event.effect, "kept": event.kept}
        for event in decisions
        if not event.skipped
        and abs((abs(event.effect) if absolute else event.effect) - threshold) < NEAR
    ]


def _held_out(prepared: Prepared, circuit: Circuit) -> float | None:
    prompts = prepared.held_out()
    if prompts is None:
        return None
    evaluator = prepared.measurer(RECIPES["fp32"], prompts=prompts)
    return evaluator.damage(cuts_of(prepared.graph, circuit.kept))
