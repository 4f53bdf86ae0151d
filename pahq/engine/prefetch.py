"""FP32 weights of the component in focus, and of the one that may come next.

A search visits receivers in a known order, so while the edges into one are tested, the weights of
the next component that can still matter are on their way to the device. Whether it matters is
known only when its turn comes: what was fetched for a component that turns out dead was wasted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from pahq.graph.build import Graph
from pahq.graph.nodes import Receiver
from pahq.precision.formats import FP32
from pahq.precision.policy import Policy
from pahq.precision.residency import Residency


class VisitOrder:
    """Where a search is in its visit, and who may come into focus next. It knows no tensors."""

    def __init__(self, graph: Graph):
        self._receivers = graph.receivers
        self._number = {receiver.name: i for i, receiver in enumerate(graph.receivers)}
        self._readers = {r.component: graph.readers(r.component) for r in graph.receivers}
        # Senders to a receiver come first in forward order: how many is enough to know.
        self._before = [len(graph.senders_to(receiver)) for receiver in graph.receivers]
        self._place = {name: i for i, name in enumerate(graph.components)}
        self._alive = {"logits"}
        self._focus = ""
        self._at = 0  # the receiver under test, or next to be visited

    def arrive(self, component: str) -> None:
        """``component`` comes into focus."""
        self._focus = component
        for at in range(self._at, len(self._receivers)):
            if self._receivers[at].component == component:
                self._at = at
                return

    def leave(self, receiver: Receiver, kept: Iterable[str]) -> None:
        """All edges into ``receiver`` are decided; those from ``kept`` stay."""
        self._alive.update(kept)
        self._at = self._number[receiver.name] + 1

    def ahead(self, wanted: Callable[[str], bool]) -> str | None:
        """Return the first component to come that can still be alive, out of those wanted.

        A component is alive if something kept reads it; it can still be if it comes before a
        receiver that can be alive and is not decided.
        """
        reach = 0
        for at in range(self._at, len(self._receivers)):
            component = self._receivers[at].component
            if not any(
                name in self._alive or self._place[name] < reach
                for name in self._readers[component]
            ):
                continue
            if component != self._focus and wanted(component):
                return component
            reach = max(reach, self._before[at])
        return None


@dataclass
class Fetched:
    """Components whose FP32 weights were copied to the device for their focus.

    Attributes:
        prefetched: begun while another was in focus.
        used: of those, the ones that came into focus.
        wasted: of those, the ones that turned out dead.
        late: begun only when they came into focus.
    """

    prefetched: int = 0
    used: int = 0
    wasted: int = 0
    late: int = 0


class Prefetch:
    """Brings FP32 weights for a focus, and those of the next; lets them go after.

    Attributes:
        found: what was fetched so far.
    """

    def __init__(
        self,
        graph: Graph,
        policy: Policy,
        matrices: Mapping[str, Sequence[Tensor]],
        residency: Residency | None,
    ):
        self.found = Fetched()
        self._residency, self._order = residency, VisitOrder(graph)
        self._wanted: dict[str, list[Tensor]] = {}
        if residency is not None:
            for component in {receiver.component for receiver in graph.receivers}:
                raised = policy.raised(graph, component)
                weights = [w for n, fmt in raised.items() if fmt == FP32.name for w in matrices[n]]
                self._wanted[component] = [w for w in weights if residency.is_away(w)]
        self._focus = ""
        self._ahead: str | None = None

    def focus(self, component: str) -> None:
        """``component`` comes into focus: its weights must be on the device, others need not."""
        if self._residency is None or component == self._focus:
            return
        self._residency.let_go(self._wanted.get(self._focus, ()))
        self._focus, weights = component, self._wanted.get(component, ())
        if weights:
            if component == self._ahead:
                self.found.used += 1
                self._ahead = None
            else:
                self.found.late += 1
            self._residency.bring(weights)
        self._order.arrive(component)
        self._aim(self._residency)

    def leave(self, receiver: Receiver, kept: Iterable[str]) -> None:
        """All edges into ``receiver`` are decided; those from ``kept`` stay."""
        if self._residency is None:
            return
        self._order.leave(receiver, kept)
        self._aim(self._residency)

    def as_dict(self) -> dict[str, int] | None:
        """Return what was fetched, by its name; None where all weights are always at hand."""
        return None if self._residency is None else asdict(self.found)

    def _aim(self, residency: Residency) -> None:
        component = self._order.ahead(lambda name: bool(self._wanted[name]))
        if component == self._ahead:
            return
        if self._ahead is not None:
            self.found.wasted += 1
            residency.let_go(self._wanted[self._ahead])
        self._ahead = component
        if component is not None:
            self.found.prefetched += 1
            residency.bring(self._wanted[component])
