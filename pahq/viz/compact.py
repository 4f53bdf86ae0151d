"""The finished circuit drawn close together: its own nodes alone, in an order with few crossings.

Rows keep the order of the layers. Within a row a node goes to the mean place of its neighbours
(the barycentre rule of Sugiyama et al. 1981), swept up and down until that settles.
"""

from collections.abc import Iterable
from typing import Any

from pahq.graph.build import GraphShape
from pahq.viz.layout import GAP, HEAD_HEIGHT, MLP_HEIGHT, Layout, Node

SWEEPS = 12  # up and down; the order of a few hundred edges settles within six
Row = tuple[int, str]  # layer and kind: heads and MLP of a layer are two rows
Floor = tuple[int, float, float]  # layer, low, high


def compact(shape: GraphShape, edges: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return where the nodes of a circuit stand.

    Args:
        shape: the model's shape.
        edges: drawn sender and receiver node of each kept edge.

    Returns:
        ``places`` (name -> [x, y]), ``floors`` ([layer, low, high] of each layer that is left),
        ``width`` in slots and ``height``.
    """
    pairs = sorted(set(edges))
    used = {name for pair in pairs for name in pair} | {"input", "logits"}
    rows: dict[Row, list[str]] = {}
    for node in Layout(shape).nodes:
        if node.name in used:
            rows.setdefault(_row(node), []).append(node.name)
    _settle(list(rows.values()), pairs)
    floors, heights = _heights(rows)
    width = max(len(row) for row in rows.values())
    places = {
        name: [i + (width - len(names)) / 2, heights[row]]
        for row, names in rows.items()
        for i, name in enumerate(names)
    }
    height = max(heights.values())
    return {"places": places, "floors": floors, "width": float(width), "height": height}


def _row(node: Node) -> Row:
    return (node.layer, node.kind)


def _settle(rows: list[list[str]], pairs: list[tuple[str, str]]) -> None:
    """Order each row in place by the mean of its neighbours, alternately below and above."""
    below: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    for sender, receiver in pairs:
        above.setdefault(sender, []).append(receiver)
        below.setdefault(receiver, []).append(sender)
    x = {name: i - (len(row) - 1) / 2 for row in rows for i, name in enumerate(row)}
    for sweep in range(SWEEPS):
        near, order = (below, rows) if sweep % 2 == 0 else (above, rows[::-1])
        for row in order:
            mean = {
                name: sum(x[other] for other in near[name]) / len(near[name])
                if name in near
                else x[name]
                for name in row
            }
            row.sort(key=mean.__getitem__)  # stable: a tie keeps the order of the heads
            x.update({name: i - (len(row) - 1) / 2 for i, name in enumerate(row)})


def _heights(rows: dict[Row, list[str]]) -> tuple[list[Floor], dict[Row, float]]:
    """Return each layer's band and each row's height; layers without nodes take no room."""
    floors: list[Floor] = []
    heights: dict[Row, float] = {(-1, "input"): 0.0}
    top = GAP
    for layer in sorted({layer for layer, kind in rows if kind in ("head", "mlp")}):
        low = top
        if (layer, "head") in rows:
            heights[layer, "head"] = top + HEAD_HEIGHT / 2
            top += HEAD_HEIGHT
        if (layer, "mlp") in rows:
            heights[layer, "mlp"] = top + MLP_HEIGHT / 2
            top += MLP_HEIGHT
        floors.append((layer, low, top))
    last = next(row for row in rows if row[1] == "logits")
    heights[last] = top + GAP
    return floors, heights
