"""Figures of a run for notebooks and exports. Pure: events in, Plotly's JSON out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pahq.discovery.events import EdgeTested, Event
from pahq.errors import UsageError
from pahq.graph.build import GraphShape
from pahq.graph.nodes import ReceiverKind
from pahq.viz.frame import BARE, Trace, frame, plain
from pahq.viz.layout import HEAD_HEIGHT, Layout, bezier
from pahq.viz.maps import precision_json, sensitivity_json
from pahq.viz.sensitivity import sensitivity_of
from pahq.viz.theme import SYMBOLS, THEMES, WIDTHS, Theme, bits, borderline, width_bin
from pahq.viz.view import View, component, ends, view_at

if TYPE_CHECKING:
    import plotly.graph_objects as go

BUDGET = 1500  # edges drawn; the strongest of them
SHIFT = {"q": -0.16, "k": 0.0, "v": 0.16}  # where on a head an edge arrives


def circuit_figure(
    events: Sequence[Event], *, step: int | None = None, theme: str = "light"
) -> "go.Figure":
    """Return the circuit after ``step`` decisions (all of them by default).

    Raises:
        UsageError: if the log holds no start of a run.
    """
    return _figure(circuit_json(_view(events, step), theme=theme))


def precision_figure(
    events: Sequence[Event], *, step: int | None = None, theme: str = "light"
) -> "go.Figure":
    """Return the number format of every component at one moment.

    Raises:
        UsageError: if the log holds no start of a run.
    """
    return _figure(precision_json(_view(events, step), theme=theme))


def sensitivity_figure(
    sensitivity: dict[str, Any], shape: GraphShape, *, theme: str = "light"
) -> "go.Figure":
    """Return how far the prediction moves when one component alone computes in a low format.

    Args:
        sensitivity: the content of a run's sensitivity.json.
        shape: the model's shape.
        theme: ``light`` or ``dark``.

    Raises:
        UsageError: if ``sensitivity`` holds no measurement.
    """
    found = sensitivity_of(sensitivity)
    if found is None:
        raise UsageError(
            "There is no sensitivity to draw.",
            why="what was given holds no cost of any component",
            fix="give the content of the sensitivity.json of a run with the policy pahq-auto",
        )
    return _figure(sensitivity_json(found, shape, theme=theme))


def damage_figure(events: Sequence[Event], *, theme: str = "light") -> "go.Figure":
    """Return damage against the number of edges that remain.

    Raises:
        UsageError: if the log holds no start of a run.
    """
    return _figure(damage_json(_view(events, None), theme=theme))


def circuit_json(view: View, *, theme: str = "light", budget: int = BUDGET) -> dict[str, Any]:
    """Return data and layout of the circuit graph."""
    colours, layout = THEMES[theme], Layout(view.shape)
    kept = sorted(view.kept, key=lambda d: abs(d.effect))[-budget:]
    data = [*_edges(kept, view, layout, colours), _handles(kept, view, layout)]
    data.append(_nodes(view, layout, colours))
    shown = f"{len(kept):,} strongest of " if len(kept) < len(view.kept) else ""
    title = (
        f"{view.run.task} in {view.run.model}: {shown}{len(view.kept):,} of "
        f"{view.run.edges:,} edges kept at τ = {view.run.threshold:g} {view.run.unit}"
    )
    height = max(460, int(70 * layout.height))
    return {"data": data, "layout": graph_frame(layout, colours, title=title, height=height)}


def graph_frame(layout: Layout, colours: Theme, *, title: str, height: int) -> dict[str, Any]:
    """Return what surrounds the nodes of a graph: bands, the names of the rows, both axes."""
    bands = [
        {
            "type": "rect", "layer": "below", "xref": "paper", "x0": 0, "x1": 1,
            "y0": layout.floor(layer), "y1": layout.floor(layer) + layout.band,
            "line": {"width": 0}, "fillcolor": colours.band,
        }
        for layer in range(0, layout.shape.n_layers, 2)
    ]  # fmt: skip
    rows = [layout.floor(layer) + HEAD_HEIGHT / 2 for layer in range(layout.shape.n_layers)]
    names = ["embed", *(f"L{layer}" for layer in range(layout.shape.n_layers)), "logits"]
    return frame(
        colours,
        title=title,
        shapes=bands,
        xaxis={**BARE, "showticklabels": False, "range": [-0.75, layout.width - 0.25]},
        yaxis={
            **BARE, "range": [-0.55, layout.height + 0.55],
            "tickvals": [0.0, *rows, layout.height], "ticktext": names,
        },
        height=height,
    )  # fmt: skip


def _edges(kept: Sequence[EdgeTested], view: View, layout: Layout, colours: Theme) -> list[Trace]:
    largest = max((abs(d.effect) for d in kept), default=0.0)
    groups: dict[tuple[float, str, str], Trace] = {}
    for decision in kept:
        kind = _kind(decision.edge)
        width = WIDTHS[width_bin(decision.effect, threshold=view.run.threshold, largest=largest)]
        near = borderline(decision.effect, threshold=view.run.threshold)
        key = (width, "7px,4px" if near else "solid", colours.reads[kind])
        trace = groups.setdefault(key, _line(*key))
        xs, ys = curve(decision.edge, layout)
        trace["x"] += [*xs, None]
        trace["y"] += [*ys, None]
    return [groups[key] for key in sorted(groups)]


def _line(width: float, dash: str, color: str) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "x": [], "y": [],
        "opacity": 0.85, "line": {"width": width, "dash": dash, "color": color},
    }  # fmt: skip


def _handles(kept: Sequence[EdgeTested], view: View, layout: Layout) -> Trace:
    """Invisible points half-way along the edges, which carry the words."""
    middles = [curve(decision.edge, layout, points=3) for decision in kept]
    unit = view.run.unit
    return {
        "type": "scatter", "mode": "markers", "x": [xs[1] for xs, _ in middles],
        "y": [ys[1] for _, ys in middles], "marker": {"size": 10, "color": "rgba(0,0,0,0)"},
        "text": [f"{plain(d.edge)}<br>effect {d.effect:.3g} {unit}" for d in kept],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _nodes(view: View, layout: Layout, colours: Theme) -> Trace:
    inside = view.in_circuit
    used = [node.name in inside for node in layout.nodes]
    fills = [
        colours.bits[str(bits(view.formats.get(node.name, "fp32")))] if lit else colours.band
        for node, lit in zip(layout.nodes, used, strict=True)
    ]
    return {
        "type": "scatter", "mode": "markers",
        "x": [node.x for node in layout.nodes], "y": [node.y for node in layout.nodes],
        "text": [
            f"{node.name}: {'in the circuit' if lit else 'not in the circuit'}, "
            f"{view.formats.get(node.name, 'fp32')}"
            for node, lit in zip(layout.nodes, used, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": [SYMBOLS[node.kind] for node in layout.nodes], "size": 18, "color": fills,
            "opacity": [1.0 if lit else 0.5 for lit in used],
            "line": {
                "color": [colours.ink if lit else colours.faint for lit in used],
                "width": [1.8 if lit else 0.6 for lit in used],
            },
        },
    }  # fmt: skip


def damage_json(view: View, *, theme: str = "light") -> dict[str, Any]:
    """Return data and layout of damage against edges remaining."""
    colours = THEMES[theme]
    line = {
        "type": "scatter", "mode": "lines", "x": [n for n, _ in view.damages],
        "y": [damage for _, damage in view.damages],
        "line": {"color": colours.sign["up"], "width": 2},
    }  # fmt: skip
    return {
        "data": [line],
        "layout": frame(
            colours,
            title=f"{view.run.metric} while edges are cut",
            xaxis={"title": {"text": "edges remaining"}, "autorange": "reversed"},
            yaxis={"title": {"text": f"{view.run.metric} ({view.run.unit})"}},
            height=360,
        ),
    }


def curve(edge: str, layout: Layout, points: int = 14) -> tuple[list[float], list[float]]:
    """Return x and y of an edge between the drawn nodes."""
    sender, receiver = ends(edge)
    start = layout.nodes[layout.index[sender]]
    end = layout.nodes[layout.index[layout.drawn(component(receiver))]]
    arrive = (end.x + SHIFT.get(_kind(edge), 0.0), end.y - 0.14)
    return bezier((start.x, start.y + 0.1), arrive, points=points)


def _kind(edge: str) -> str:
    """Return how the receiver reads: ``q k v mlp logits``."""
    receiver = ends(edge)[1]
    if receiver.endswith(">"):
        return receiver[-2]
    return ReceiverKind.LOGITS.value if receiver == "logits" else ReceiverKind.MLP.value


def _view(events: Sequence[Event], step: int | None) -> View:
    view = view_at(events, step)
    if view is None:
        raise UsageError(
            "This run has no picture yet.",
            why="its log holds no start of a search",
            fix="wait until the search has begun, or resume the run",
        )
    return view


def _figure(json: dict[str, Any]) -> "go.Figure":
    import plotly.graph_objects as go

    return go.Figure(json)
