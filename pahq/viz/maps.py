"""Maps of a model: one square a component, layers upwards, heads and MLP from left to right."""

import math
from typing import Any

from pahq.graph.build import GraphShape
from pahq.viz.frame import BARE, Trace, frame
from pahq.viz.layout import Layout
from pahq.viz.sensitivity import Sensitivity
from pahq.viz.theme import THEMES, Theme, bits, ink_on, ramp
from pahq.viz.view import View


def precision_json(view: View, *, theme: str = "light") -> dict[str, Any]:
    """Return data and layout of the precision map: squares with their bits as a letter."""
    colours, cells = THEMES[theme], Layout(view.shape).cells
    widths = {name: str(bits(view.formats.get(name, "fp32"))) for name in cells}
    inside = view.in_circuit
    squares = _squares(
        cells,
        letters=widths,
        inks={name: colours.bits_ink[width] for name, width in widths.items()},
        words={name: f"{name}: {view.formats.get(name, 'fp32')}" for name in cells},
    )
    squares["marker"] |= {
        "color": [colours.bits[width] for width in widths.values()],
        "line": {
            "color": [colours.accent if n == view.focus else colours.ink for n in cells],
            "width": [3 if n == view.focus else 1.6 if n in inside else 0 for n in cells],
        },
    }
    title = f"{view.run.policy}: number format of every component"
    return {"data": [squares], "layout": _map_layout(colours, view.shape, title=title)}


def sensitivity_json(
    found: Sensitivity, shape: GraphShape, *, theme: str = "light"
) -> dict[str, Any]:
    """Return data and layout of the sensitivity map; the letter is the bits a component got.

    Costs span orders of magnitude, so colours follow their logarithm.
    """
    colours = THEMES[theme]
    cells = {name: at for name, at in Layout(shape).cells.items() if name in found.costs}
    fills = {name: ramp(colours.cost, found.share(name)) for name in cells}
    least, most = found.span
    squares = _squares(
        cells,
        letters={
            name: str(bits(found.formats[name])) if name in found.formats else "" for name in cells
        },
        inks={name: ink_on(fill, colours) for name, fill in fills.items()},
        words={name: _words(found, name) for name in cells},
    )
    squares["marker"] |= {"color": list(fills.values()), "line": {"width": 0}}
    scale: Trace = {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "hoverinfo": "skip",
        "marker": {
            "color": [0.0], "cmin": 0, "cmax": 1, "showscale": True,
            "colorscale": [
                [i / (len(colours.cost) - 1), stop] for i, stop in enumerate(colours.cost)
            ],
            "colorbar": {
                "title": {"text": found.unit}, "thickness": 12, "outlinewidth": 0,
                **_ticks(least, most),
            },
        },
    }  # fmt: skip
    title = f"Cost of {found.compared} in one component alone"
    return {
        "data": [squares, scale],
        "layout": _map_layout(colours, shape, title=title),
    }


def _words(found: Sensitivity, name: str) -> str:
    """Return what one component's formats cost, and the one it got."""
    costs = ", ".join(
        f"{fmt}{' costs' if i == 0 else ''} {cost:.2g}{f' {found.unit}' if i == 0 else ''}"
        for i, (fmt, cost) in enumerate(found.costs[name].items())
    )
    given = found.formats.get(name)
    return f"{name}: {costs}" + (f"; assigned {given}" if given else "")


def _ticks(least: float, most: float) -> dict[str, Any]:
    """Return ticks of a scale from 0 to 1: both ends, and powers of ten that are clear of them."""
    if least == most:
        return {"tickvals": [0.0], "ticktext": [f"{least:.2g}"]}
    span = math.log(most / least)
    powers = [
        10.0**p for p in range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1)
    ]
    inner = [(math.log(power / least) / span, f"{power:g}") for power in powers]
    clear = [(at, text) for at, text in inner if 0.08 < at < 0.92]
    marks = [(0.0, f"{least:.2g}"), *clear, (1.0, f"{most:.2g}")]
    return {"tickvals": [at for at, _ in marks], "ticktext": [text for _, text in marks]}


def _squares(
    cells: dict[str, tuple[float, float]],
    *,
    letters: dict[str, str],
    inks: dict[str, str],
    words: dict[str, str],
) -> Trace:
    return {
        "type": "scatter", "mode": "markers+text",
        "x": [x for x, _ in cells.values()], "y": [y for _, y in cells.values()],
        "text": [letters[name] for name in cells], "textposition": "middle center",
        "textfont": {"size": 11, "color": [inks[name] for name in cells]},
        "customdata": [words[name] for name in cells],
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"symbol": "square", "size": 30},
    }  # fmt: skip


def _map_layout(colours: Theme, shape: GraphShape, *, title: str) -> dict[str, Any]:
    columns = [*map(str, range(shape.n_heads)), *(["MLP"] if shape.mlp else [])]
    rows = ["embed", *(f"L{i}" for i in range(shape.n_layers)), "logits"]
    return frame(
        colours,
        title=title,
        xaxis={**BARE, "side": "top", "tickvals": list(range(len(columns))), "ticktext": columns},
        yaxis={**BARE, "tickvals": list(range(len(rows))), "ticktext": rows},
        height=80 + 40 * len(rows),
    )
