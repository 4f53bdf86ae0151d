"""A circuit: which edges stayed, with the effect of each. Reads and writes circuit.json.

The file also loads in EAP-IG's ``Graph.from_json`` (models without shared key/value heads).
"""

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pahq.errors import BadRunFolder
from pahq.graph.build import Graph, GraphShape

if TYPE_CHECKING:
    import networkx

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Circuit:
    """The outcome of a search, finished or not.

    Attributes:
        shape: the graph it was searched in.
        effects: effect of each edge in visit order, in the metric's unit; 0.0 while undecided.
        kept: names of the edges in the circuit. An undecided edge is in it.
        undecided: names of the edges that a stopped search did not come to.
        about: the file's ``pahq`` part: format_version, status, config, damage ...
    """

    shape: GraphShape
    effects: dict[str, float]
    kept: frozenset[str]
    undecided: frozenset[str] = frozenset()
    about: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def graph(self) -> Graph:
        """The full graph."""
        return Graph(self.shape)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Nodes in the circuit, in forward order: a kept edge leaves them; input, logits always."""
        leaving = {name.partition("->")[0] for name in self.kept} | {"input"}
        return (*(s.name for s in self.graph.senders if s.name in leaving), "logits")

    def edges(self) -> list[tuple[str, str, float]]:
        """Return (sender, receiver, effect) of each kept edge, in visit order."""
        return [
            (*_ends(name), effect) for name, effect in self.effects.items() if name in self.kept
        ]

    def to_networkx(self) -> "networkx.MultiDiGraph":
        """Return the kept edges as a graph of components; an edge's key is its receiver."""
        import networkx as nx

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(self.nodes)
        for sender, receiver, effect in self.edges():
            graph.add_edge(
                sender, receiver.partition("<")[0], key=receiver, receiver=receiver, effect=effect
            )
        return graph

    def to_json(self) -> dict[str, Any]:
        """Return circuit.json's content."""
        in_graph = set(self.nodes)
        return {
            "cfg": {
                "n_layers": self.shape.n_layers,
                "n_heads": self.shape.n_heads,
                "d_model": self.shape.d_model,
                "parallel_attn_mlp": self.shape.parallel,
            },
            "nodes": {name: {"in_graph": name in in_graph} for name in self.graph.components},
            "edges": {name: self._edge(name, effect) for name, effect in self.effects.items()},
            "pahq": {
                "format_version": FORMAT_VERSION,
                "mlp": self.shape.mlp,
                "n_kv_heads": self.shape.n_kv_heads,
                **self.about,
            },
        }

    def _edge(self, name: str, effect: float) -> dict[str, Any]:
        record: dict[str, Any] = {"score": effect, "in_graph": name in self.kept}
        return record | ({"decided": False} if name in self.undecided else {})


def read_circuit(source: Path | dict[str, Any]) -> Circuit:
    """Read circuit.json, ours or EAP-IG's; unknown fields are ignored.

    Raises:
        BadRunFolder: if the file is missing, damaged, or names edges that its shape has not.
    """
    data = source if isinstance(source, dict) else _load(source)
    name = "the circuit" if isinstance(source, dict) else str(source)
    try:
        ours = data.get("pahq", {})
        cfg = data["cfg"]
        shape = GraphShape(
            n_layers=int(cfg["n_layers"]),
            n_heads=int(cfg["n_heads"]),
            d_model=int(cfg["d_model"]),
            mlp=bool(ours.get("mlp", True)),
            parallel=bool(cfg.get("parallel_attn_mlp", False)),
            n_kv_heads=ours.get("n_kv_heads"),
        )
        edges = data["edges"]
        effects = {edge: float(record["score"]) for edge, record in edges.items()}
        kept = frozenset(edge for edge, record in edges.items() if record["in_graph"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from None
    if ours.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise _damaged(name, f"it has format_version {ours['format_version']}, not 1")
    known = {edge.name for edge in Graph(shape).edges()}
    strangers = sorted(set(effects) - known)
    if strangers:
        raise _damaged(name, f"its shape has no edge '{strangers[0]}'")
    if not all(math.isfinite(effect) for effect in effects.values()):
        raise _damaged(name, "an effect is not a finite number")
    undecided = frozenset(e for e, record in edges.items() if record.get("decided") is False)
    return Circuit(shape, effects, kept, undecided, dict(ours))


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _damaged(str(path), error.strerror or str(error)) from None
    except ValueError as error:
        raise _damaged(str(path), f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise _damaged(str(path), "it is no JSON object")
    return data


def _damaged(name: str, why: str) -> BadRunFolder:
    return BadRunFolder(
        f"{name} cannot be read as a circuit.", why=why, fix="give the circuit.json of a run"
    )


def _ends(edge: str) -> tuple[str, str]:
    sender, _, receiver = edge.partition("->")
    return sender, receiver
