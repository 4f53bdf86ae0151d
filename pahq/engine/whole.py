"""The damage of a whole circuit in one forward, over its kept edges alone.

What does not reach ``logits`` over kept edges is not computed; everything else is computed once, in
forward order, at all positions. Shares the standing values of the fast engine.
"""

from jaxtyping import Float
from torch import Tensor

from pahq.engine import components
from pahq.engine.problem import Cuts
from pahq.engine.reading import Reading
from pahq.graph.build import Graph


def final_residual(
    reading: Reading, graph: Graph, cuts: Cuts
) -> Float[Tensor, "batch place d_model"]:
    """Return what ``logits`` reads at its places when these edges are cut.

    Args:
        reading: a fresh one, in which nothing is decided; what it says of senders is overwritten.
        graph: the model's graph.
        cuts: which edges are cut.
    """
    if not any(cuts.values()):
        return reading.now("logits", reading.targets)
    for receiver in graph.receivers:
        cut = cuts.get(receiver.name, frozenset())
        reading.kept[receiver.name] = [n for n in graph.names_before(receiver) if n not in cut]
    for name in _reaching(reading, graph):
        reading.moved[name] = _output(reading, name) - reading.carried.written[name]
    return reading.now("logits", reading.targets)


def _reaching(reading: Reading, graph: Graph) -> list[str]:
    """Return the components from which kept edges lead to ``logits``, in forward order."""
    found: list[str] = []
    read = set(reading.kept["logits"])
    for name in reversed(graph.components):
        if name in read and name != "input":
            found.append(name)
            kinds = [name] if name.startswith("m") else [f"{name}<{kind}>" for kind in "qkv"]
            read.update(*(reading.kept[receiver] for receiver in kinds))
    return found[::-1]


def _output(reading: Reading, name: str) -> Float[Tensor, "batch pos width"]:
    """Return what a component writes; of a head, its rounded input of W_O."""
    fmt = reading.plan[name]
    everywhere = reading.everywhere
    if name.startswith("m"):
        return reading.mlp(name, reading.now(name, everywhere), fmt)
    q, k, v = (
        reading.projected(name, kind, reading.now(f"{name}<{kind}>", everywhere), fmt)
        for kind in components.PROJECTIONS
    )
    return components.mixed_values(q, k, v, reading.head(name)[0].score_scale, fmt)
