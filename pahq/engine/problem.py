"""What a search is about, and the cuts made so far: what every evaluator needs to know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pahq.graph.build import Graph
from pahq.graph.nodes import Receiver, Sender
from pahq.metrics import Metric
from pahq.precision.policy import Policy
from pahq.tasks.batches import PromptBatch

Cuts = Mapping[str, frozenset[str]]  # receiver's name -> names of the senders cut from it
NOTHING_CUT: Cuts = {}


@dataclass(frozen=True, eq=False)
class Problem:
    """One search.

    Attributes:
        graph: the model's graph.
        batches: the prompts.
        metric: the damage.
        policy: which component runs in which format.
        ablation: what a cut edge carries: ``corrupt``, ``zero`` or ``mean``.
    """

    graph: Graph
    batches: tuple[PromptBatch, ...]
    metric: Metric
    policy: Policy
    ablation: str = "corrupt"


def with_cuts(cuts: Cuts, receiver: Receiver, senders: Iterable[Sender]) -> dict[str, frozenset]:
    """Return ``cuts`` with the edges from ``senders`` to ``receiver`` added."""
    before = cuts.get(receiver.name, frozenset())
    return {**cuts, receiver.name: before | {sender.name for sender in senders}}


def everything_cut(graph: Graph) -> Cuts:
    """Return the cut of every edge: the empty circuit."""
    return {r.name: frozenset(s.name for s in graph.senders_to(r)) for r in graph.receivers}


def cuts_of(graph: Graph, kept: frozenset[str]) -> Cuts:
    """Return the cuts that leave exactly the edges named in ``kept``."""
    return {
        r.name: frozenset(s.name for s in graph.senders_to(r) if f"{s.name}->{r.name}" not in kept)
        for r in graph.receivers
    }
