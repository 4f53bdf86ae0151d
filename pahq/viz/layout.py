"""Where everything stands. Positions follow from the model's shape alone, so they never move.

One band a layer, input below, logits above. In a band the heads stand in a row, one slot each,
and the MLP half a band higher at the right, since it reads what the heads have written.
"""

from dataclasses import dataclass
from functools import cached_property

from pahq.graph.build import Graph, GraphShape

HEAD_HEIGHT = 1.0  # height of a band without an MLP, in units of a slot's width
MLP_HEIGHT = 0.7  # what an MLP adds to it
GAP = 0.9  # between the bands and input or logits


@dataclass(frozen=True)
class Node:
    """A drawn node: a component. ``slot`` is the head's index, or the number of heads (MLP)."""

    name: str
    kind: str  # input, head, mlp, logits
    layer: int
    slot: int
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """Positions of one model shape."""

    shape: GraphShape

    @property
    def band(self) -> float:
        """Height of one layer."""
        return HEAD_HEIGHT + (MLP_HEIGHT if self.shape.mlp else 0.0)

    @property
    def width(self) -> float:
        """Slots from left to right; the MLP has its own."""
        return float(self.shape.n_heads + (1 if self.shape.mlp else 0))

    @property
    def height(self) -> float:
        """From the input to the logits."""
        return 2 * GAP + self.shape.n_layers * self.band

    @property
    def middle(self) -> float:
        """Where input and logits stand: between two slots, so that no edge runs through a head."""
        return self.shape.n_heads // 2 - 0.5

    def floor(self, layer: int) -> float:
        """Return where the layer's band begins."""
        return GAP + layer * self.band

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node in forward order: input, each layer's heads and MLP, logits."""
        middle = self.middle
        found = [Node("input", "input", -1, 0, middle, 0.0)]
        heads, layers = self.shape.n_heads, self.shape.n_layers
        for layer in range(layers):
            floor = self.floor(layer)
            y = floor + HEAD_HEIGHT / 2
            found += [Node(f"a{layer}.h{h}", "head", layer, h, float(h), y) for h in range(heads)]
            if self.shape.mlp:
                y = floor + HEAD_HEIGHT + MLP_HEIGHT / 2 - 0.1
                found.append(Node(f"m{layer}", "mlp", layer, heads, float(heads), y))
        found.append(Node("logits", "logits", layers, 0, middle, self.height))
        return tuple(found)

    @cached_property
    def index(self) -> dict[str, int]:
        """Name of a node -> its place in ``nodes``."""
        return {node.name: i for i, node in enumerate(self.nodes)}

    def drawn(self, component: str) -> str:
        """Return the node that stands for a component: a shared key/value head has none itself."""
        if component in self.index:
            return component
        group = Graph(self.shape).readers(component)
        return group[len(group) // 2]

    @property
    def cells(self) -> dict[str, tuple[float, float]]:
        """Precision map: component -> (column, row). Input is row 0, logits the top row."""
        ends = {"input": 0.0, "logits": self.shape.n_layers + 1.0}
        return {
            node.name: (self.middle, ends[node.kind])
            if node.kind in ends
            else (float(node.slot), node.layer + 1.0)
            for node in self.nodes
        }


def bezier(
    start: tuple[float, float], end: tuple[float, float], *, points: int = 14
) -> tuple[list[float], list[float]]:
    """Return x and y of an edge that leaves upwards and arrives from below."""
    (x0, y0), (x1, y1) = start, end
    lift = max(0.45 * (y1 - y0), 0.25)
    xs, ys = [], []
    for i in range(points):
        t = i / (points - 1)
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        xs.append((a + b) * x0 + (c + d) * x1)
        ys.append(a * y0 + b * (y0 + lift) + c * (y1 - lift) + d * y1)
    return xs, ys
