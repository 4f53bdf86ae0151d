"""Figures of a run for notebooks and exports. Pure: events in, Plotly's JSON out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pahq.discovery.events import EdgeTested, Event
from pahq.errors import UsageError
from pahq.graph.nodes import ReceiverKind
from pahq.viz.layout import HEAD_HEIGHT, Layout, bezier
from pahq.viz.theme import SYMBOLS, THEMES, WIDTHS, Theme, bits, borderline, width_bin
from pahq.viz.view import View, component, ends, view_at

if TYPE_CHECKING:
    import plotly.graph_objects as go

BUDGET = 1500  # edges drawn; the strongest of them
SHIFT = {"q": -0.16, "k": 0.0, "v": 0.16}  # where on a head an edge arrives
BARE = {"showgrid": False, "zeroline": False, "showline": False, "ticks": ""}
Trace = dict[str, Any]


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
    bands = [
        {
            "type": "rect", "layer": "below", "xref": "paper", "x0": 0, "x1": 1,
            "y0": layout.floor(layer), "y1": layout.floor(layer) + layout.band,
            "line": {"width": 0}, "fillcolor": colours.band,
        }
        for layer in range(0, view.shape.n_layers, 2)
    ]  # fmt: skip
    rows = [0.0, *(layout.floor(i) + HEAD_HEIGHT / 2 for i in range(view.shape.n_layers))]
    names = ["embed", *(f"L{i}" for i in range(view.shape.n_layers)), "logits"]
    return {
        "data": data,
        "layout": _layout(
            colours,
            title=title,
            shapes=bands,
            xaxis={**BARE, "showticklabels": False, "range": [-0.75, layout.width - 0.25]},
            yaxis={
                **BARE, "range": [-0.55, layout.height + 0.55],
                "tickvals": [*rows, layout.height], "ticktext": names,
            },
            height=max(460, int(70 * layout.height)),
        ),
    }  # fmt: skip


def _edges(kept: Sequence[EdgeTested], view: View, layout: Layout, colours: Theme) -> list[Trace]:
    largest = max((abs(d.effect) for d in kept), default=0.0)
    groups: dict[tuple[float, str, str], Trace] = {}
    for decision in kept:
        kind = _kind(decision.edge)
        width = WIDTHS[width_bin(decision.effect, threshold=view.run.threshold, largest=largest)]
        near = borderline(decision.effect, threshold=view.run.threshold)
        key = (width, "7px,4px" if near else "solid", colours.reads[kind])
        trace = groups.setdefault(key, _line(*key))
        xs, ys = _curve(decision.edge, layout)
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
    middles = [_curve(decision.edge, layout, points=3) for decision in kept]
    unit = view.run.unit
    return {
        "type": "scatter", "mode": "markers", "x": [xs[1] for xs, _ in middles],
        "y": [ys[1] for _, ys in middles], "marker": {"size": 10, "color": "rgba(0,0,0,0)"},
        "text": [f"{_plain(d.edge)}<br>effect {d.effect:.3g} {unit}" for d in kept],
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


def precision_json(view: View, *, theme: str = "light") -> dict[str, Any]:
    """Return data and layout of the precision map: squares with their bits as a letter."""
    colours, layout = THEMES[theme], Layout(view.shape)
    cells = layout.cells
    widths = {name: str(bits(view.formats.get(name, "fp32"))) for name in cells}
    inside = view.in_circuit
    heads = view.shape.n_heads
    data = {
        "type": "scatter", "mode": "markers+text",
        "x": [x for x, _ in cells.values()], "y": [y for _, y in cells.values()],
        "text": list(widths.values()), "textposition": "middle center",
        "textfont": {"size": 11, "color": [colours.bits_ink[w] for w in widths.values()]},
        "customdata": [f"{name}: {view.formats.get(name, 'fp32')}" for name in cells],
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {
            "symbol": "square", "size": 30, "color": [colours.bits[w] for w in widths.values()],
            "line": {
                "color": [colours.accent if n == view.focus else colours.ink for n in cells],
                "width": [3 if n == view.focus else 1.6 if n in inside else 0 for n in cells],
            },
        },
    }  # fmt: skip
    columns = [*map(str, range(heads)), *(["MLP"] if view.shape.mlp else [])]
    rows = ["embed", *(f"L{i}" for i in range(view.shape.n_layers)), "logits"]
    return {
        "data": [data],
        "layout": _layout(
            colours,
            title=f"{view.run.policy}: number format of every component",
            xaxis={
                **BARE, "side": "top", "tickvals": list(range(len(columns))), "ticktext": columns
            },
            yaxis={**BARE, "tickvals": list(range(len(rows))), "ticktext": rows},
            height=80 + 40 * len(rows),
        ),
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
        "layout": _layout(
            colours,
            title=f"{view.run.metric} while edges are cut",
            xaxis={"title": {"text": "edges remaining"}, "autorange": "reversed"},
            yaxis={"title": {"text": f"{view.run.metric} ({view.run.unit})"}},
            height=360,
        ),
    }


def _layout(colours: Theme, *, title: str, **more: Any) -> dict[str, Any]:
    # Colours are explicit: importing Streamlit replaces Plotly's default template by placeholders.
    return {
        "template": colours.template,
        "paper_bgcolor": colours.surface,
        "plot_bgcolor": colours.surface,
        "font": {"color": colours.ink, "size": 13},
        "title": {"text": _plain(title), "font": {"size": 15}},
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 60, "r": 20, "t": 60, "b": 30},
        **more,
    }


def _curve(edge: str, layout: Layout, points: int = 14) -> tuple[list[float], list[float]]:
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


def _plain(text: str) -> str:
    """Return text that Plotly does not read as HTML: ``a1.h2<q>`` is a name, not a tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
