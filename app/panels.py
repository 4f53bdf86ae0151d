"""What the pictures of page Compare are sent: plain facts and Plotly's JSON. No session."""

from collections.abc import Sequence
from typing import Any

from columns import seconds
from comparing import Finished, Seen
from pahq.runs.compare import CAUSES, Comparison
from pahq.viz.differences import (
    BOTH,
    Difference,
    difference_json,
    edge_path,
    small_circuit_json,
    small_precision_json,
    telling_focus,
)
from pahq.viz.figures import BUDGET
from pahq.viz.layout import Layout
from pahq.viz.theme import THEMES, encoding

MOST_FLIPS = 300  # sent to the list


def multiples(runs: Sequence[tuple[Finished, Seen]]) -> dict[str, Any]:
    """Return every run's precision plan and circuit, the reference first."""
    reference = runs[0][1]
    return {
        "kind": "multiples",
        "encoding": encoding(),
        "focus": telling_focus(reference.circuit),
        "runs": [_run(entry, seen, "A" if i == 0 else "") for i, (entry, seen) in enumerate(runs)],
    }


def difference(
    reference: tuple[Finished, Seen], other: tuple[Finished, Seen], comparison: Comparison
) -> dict[str, Any]:
    """Return two circuits in one graph, and the edges on which they disagree."""
    (a, seen_a), (b, seen_b) = reference, other
    found = Difference(
        seen_a.circuit,
        seen_b.circuit,
        names=names_of(a, b),
        threshold=a.config.threshold,
        unit=comparison.unit,
    )
    counts = {kind: len(edges) for kind, edges in found.edges.items()}
    shown = sum(map(len, found.drawn(BUDGET).values()))
    layout = Layout(seen_a.circuit.shape)
    return {
        "kind": "difference",
        "encoding": encoding(),
        "reference": a.id,
        "other": b.id,
        "names": found.names,
        "counts": counts,
        "shown": shown,
        "hidden": sum(counts.values()) - shown,
        "words": f"{counts[BOTH]} edges kept by both; {comparison.sentence}",
        "figures": {name: difference_json(found, theme=name) for name in THEMES},
        "flipped": len(comparison.flips),
        "flips": [
            {
                "edge": flip.edge,
                "effects": [flip.reference_effect, flip.effect],
                "kept": [flip.reference_kept, flip.kept],
                "distance": flip.distance,
                "cause": flip.cause,
                "path": edge_path(flip.edge, layout),
            }
            for flip in comparison.flips[:MOST_FLIPS]
        ],
        "causes": CAUSES,
        "unit": comparison.unit,
        "threshold": a.config.threshold,
    }


def names_of(a: Finished, b: Finished) -> tuple[str, str]:
    """Return what to call two runs: their policies, with the time where these are the same."""
    if a.policy != b.policy:
        return a.policy, b.policy
    return f"{a.policy}, {a.when}", f"{b.policy}, {b.when}"


def _run(entry: Finished, seen: Seen, role: str) -> dict[str, Any]:
    return {
        "id": entry.id,
        "role": role,
        "title": entry.policy,
        "line": _line(entry),
        "kept": sorted(seen.circuit.kept),
        "formats": seen.view.run.formats,
        "moments": seen.moments,
        "figures": {
            name: {
                "map": small_precision_json(seen.view, seen.moments, theme=name),
                "circuit": small_circuit_json(seen.view, theme=name),
            }
            for name in THEMES
        },
    }


def _line(entry: Finished) -> str:
    summary = entry.summary
    kept = f"{summary['edges_kept']:,} edges"
    time = summary.get("wall_s")
    return kept if time is None else f"{kept} in {seconds(time)}"
