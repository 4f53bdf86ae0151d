"""Several runs side by side, and what differs between two. Pure: events and circuits in, JSON out.

The figures are smaller siblings of those in figures.py, with the same places for the same nodes,
so that a reader's eye can go from one run to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pahq.discovery.events import Event, FocusChanged
from pahq.graph.circuit import Circuit
from pahq.viz.figures import BUDGET, circuit_json, curve, graph_frame
from pahq.viz.frame import Trace, plain
from pahq.viz.layout import Layout, Node
from pahq.viz.maps import precision_json
from pahq.viz.theme import SYMBOLS, THEMES, WIDTHS, Theme, width_bin
from pahq.viz.view import View, component, ends

SMALL_BUDGET = 400  # edges drawn in one of several circuits; the strongest of them
FAINTEST, PLAINEST = 0.25, 0.55  # opacity of edges of both circuits: the more, the fainter
LEAST_WIDTH = 2.0  # px of an edge that only one circuit has: most of them are weak
BOTH, REFERENCE, OTHER = "both", "reference", "other"
DASHES = {BOTH: "solid", REFERENCE: "solid", OTHER: "7px,4px"}
SMALL_MARGIN = {"l": 48, "r": 8, "t": 8, "b": 8}


@dataclass(frozen=True)
class Difference:
    """Two circuits of one graph, laid on top of each other.

    Attributes:
        reference: the circuit taken as the truth.
        other: the circuit compared with it.
        names: what to call them, reference first.
        threshold: tau of the reference, in ``unit``.
        unit: unit of the effects.
    """

    reference: Circuit
    other: Circuit
    names: tuple[str, str]
    threshold: float
    unit: str

    @cached_property
    def edges(self) -> dict[str, list[str]]:
        """Edges kept by both, by the reference only and by the other only, in visit order."""
        found: dict[str, list[str]] = {BOTH: [], REFERENCE: [], OTHER: []}
        for edge in self.reference.effects:
            kind = _whose(edge in self.reference.kept, edge in self.other.kept)
            if kind is not None:
                found[kind].append(edge)
        return found

    @cached_property
    def nodes(self) -> dict[str, str | None]:
        """Node -> which circuit it is in; None for neither."""
        return {
            name: _whose(name in self.reference.nodes, name in self.other.nodes)
            for name in (*(sender.name for sender in self.reference.graph.senders), "logits")
        }

    def strength(self, edge: str) -> float:
        """Return the larger of an edge's two effects, without sign."""
        return max(abs(side.effects.get(edge, 0.0)) for side in (self.reference, self.other))

    def drawn(self, budget: int) -> dict[str, list[str]]:
        """Return the edges to draw: those of one circuit first, then the strongest of both."""
        left = budget
        found: dict[str, list[str]] = {}
        for kind in (REFERENCE, OTHER, BOTH):
            strongest = sorted(self.edges[kind], key=self.strength, reverse=True)
            found[kind] = strongest[:left]
            left -= len(found[kind])
        return found


def difference_json(
    difference: Difference, *, theme: str = "light", budget: int = BUDGET
) -> dict[str, Any]:
    """Return data and layout of two circuits in one graph.

    Edges of both are grey, those of the reference alone blue, those of the other alone orange and
    dashed. Each trace's ``meta`` says which of the three it draws, so that a legend can hide it.
    """
    colours, layout = THEMES[theme], Layout(difference.reference.shape)
    drawn = difference.drawn(budget)
    edges = [edge for some in drawn.values() for edge in some]
    strongest = max(map(difference.strength, edges), default=0.0)
    data: list[Trace] = []
    for kind in (BOTH, REFERENCE, OTHER):  # what differs lies on top
        data += _lines(kind, drawn[kind], difference, layout, colours, strongest)
    data += [_handles(kind, some, difference, layout) for kind, some in drawn.items()]
    data.append(_nodes(difference, layout, colours))
    frame = graph_frame(layout, colours, title="", height=_height(layout, each=64, least=420))
    return {"data": data, "layout": frame | {"margin": SMALL_MARGIN}}


def small_circuit_json(view: View, *, theme: str = "light") -> dict[str, Any]:
    """Return data and layout of a run's circuit, small enough to stand beside others."""
    figure = circuit_json(view, theme=theme, budget=SMALL_BUDGET)
    figure["data"][-1]["marker"]["size"] = 11
    for trace in figure["data"]:
        trace["x"], trace["y"] = _short(trace["x"]), _short(trace["y"])
    height = _height(Layout(view.shape), each=36, least=280)
    frame = figure["layout"] | {"title": None, "margin": SMALL_MARGIN, "height": height}
    return {"data": figure["data"], "layout": frame}


def small_precision_json(
    view: View, raised: dict[str, dict[str, str]], *, theme: str = "light"
) -> dict[str, Any]:
    """Return data and layout of a run's background plan, small enough to stand beside others.

    ``raised`` is what ``moments`` returns: what is raised in its turn has a ring.
    """
    figure = precision_json(view, theme=theme)
    colours = THEMES[theme]
    cells = list(Layout(view.shape).cells)
    ever = {name for formats in raised.values() for name in formats}
    marker = figure["data"][0]["marker"]
    marker["line"] = {
        "color": colours.accent,
        "width": [2.0 if name in ever else 0.0 for name in cells],
    }
    figure["data"][0]["ids"] = cells
    figure["layout"] |= {"title": None, "margin": SMALL_MARGIN | {"t": 22}}
    return figure


def moments(events: Sequence[Event]) -> dict[str, dict[str, str]]:
    """Return what each component in focus raised: focus -> component -> number format."""
    return {event.focus: event.formats for event in events if isinstance(event, FocusChanged)}


def telling_focus(circuit: Circuit) -> str | None:
    """Return the head that reads the strongest kept edge, to show a moment of the search with."""
    into = {
        edge: abs(circuit.effects[edge])
        for edge in circuit.kept
        if ends(edge)[1].endswith(">")  # only heads have queries, keys and values
    }
    return component(ends(max(sorted(into), key=into.__getitem__))[1]) if into else None


def edge_path(edge: str, layout: Layout) -> dict[str, list[float]]:
    """Return where an edge runs, so that it can be lit up in any of the graphs."""
    xs, ys = curve(edge, layout)
    return {"x": _short(xs), "y": _short(ys)}


def _whose(in_reference: bool, in_other: bool) -> str | None:
    if in_reference and in_other:
        return BOTH
    return REFERENCE if in_reference else OTHER if in_other else None


def _colour(kind: str | None, colours: Theme) -> str:
    of_one = {REFERENCE: colours.sign["up"], OTHER: colours.sign["down"]}
    return of_one.get(kind or "", colours.muted)


def _lines(
    kind: str,
    edges: Sequence[str],
    difference: Difference,
    layout: Layout,
    colours: Theme,
    strongest: float,
) -> list[Trace]:
    groups: dict[float, Trace] = {}
    faint = min(max(60 / max(len(edges), 1), FAINTEST), PLAINEST)
    opacity = faint if kind == BOTH else 0.95
    for edge in edges:
        strength = difference.strength(edge)
        width = WIDTHS[width_bin(strength, threshold=difference.threshold, largest=strongest)]
        width = width if kind == BOTH else max(width, LEAST_WIDTH)
        trace = groups.setdefault(width, _line(kind, width, opacity, colours))
        xs, ys = curve(edge, layout)
        trace["x"] += [*_short(xs), None]
        trace["y"] += [*_short(ys), None]
    return [groups[width] for width in sorted(groups)]


def _line(kind: str, width: float, opacity: float, colours: Theme) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "meta": kind, "x": [], "y": [],
        "opacity": opacity,
        "line": {"width": width, "dash": DASHES[kind], "color": _colour(kind, colours)},
    }  # fmt: skip


def _handles(kind: str, edges: Sequence[str], difference: Difference, layout: Layout) -> Trace:
    """Invisible points half-way along the edges, which carry the words."""
    middles = [curve(edge, layout, points=3) for edge in edges]
    return {
        "type": "scatter", "mode": "markers", "meta": kind, "customdata": list(edges),
        "x": [round(xs[1], 3) for xs, _ in middles], "y": [round(ys[1], 3) for _, ys in middles],
        "marker": {"size": 11, "color": "rgba(0,0,0,0)"},
        "text": [_words(kind, edge, difference) for edge in edges],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _words(kind: str, edge: str, difference: Difference) -> str:
    a, b = map(plain, difference.names)
    kept = {BOTH: "kept by both", REFERENCE: f"kept by {a} only", OTHER: f"kept by {b} only"}
    sides = zip((a, b), (difference.reference, difference.other), strict=True)
    effects = [f"{name} {side.effects.get(edge, 0.0):+.3g}" for name, side in sides]
    return (
        f"<b>{plain(edge)}</b><br>{kept[kind]}<br>effect: {', '.join(effects)} {difference.unit}"
        f"<br>threshold {difference.threshold:g}"
    )


def _nodes(difference: Difference, layout: Layout, colours: Theme) -> Trace:
    whose = [difference.nodes.get(node.name) for node in layout.nodes]
    return {
        "type": "scatter", "mode": "markers", "meta": "nodes",
        "x": [node.x for node in layout.nodes], "y": [node.y for node in layout.nodes],
        "text": [
            _standing(node, kind, difference.names)
            for node, kind in zip(layout.nodes, whose, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": [SYMBOLS[node.kind] for node in layout.nodes], "size": 16,
            "color": [_colour(kind, colours) if kind else colours.band for kind in whose],
            "opacity": [1.0 if kind else 0.5 for kind in whose],
            "line": {
                "color": [colours.ink if kind else colours.faint for kind in whose],
                "width": [1.4 if kind else 0.6 for kind in whose],
            },
        },
    }  # fmt: skip


def _standing(node: Node, kind: str | None, names: tuple[str, str]) -> str:
    where = {
        BOTH: "in both circuits",
        REFERENCE: f"only in the circuit of {plain(names[0])}",
        OTHER: f"only in the circuit of {plain(names[1])}",
    }
    return f"{node.name}: {where.get(kind or '', 'in neither circuit')}"


def _height(layout: Layout, *, each: int, least: int) -> int:
    return int(min(max(least, each * layout.height), 2 * least))


def _short(values: Sequence[Any]) -> list[Any]:
    """Return coordinates with as many digits as a screen needs; None ends a line."""
    return [None if value is None else round(value, 3) for value in values]
