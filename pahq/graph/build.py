"""The full graph of a model's shape, in the order in which ACDC visits it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

from pahq.graph.nodes import (
    INPUT,
    LOGITS,
    Edge,
    Receiver,
    ReceiverKind,
    Sender,
    SenderKind,
)


@dataclass(frozen=True)
class GraphShape:
    """What of a model decides its graph.

    Attributes:
        n_layers: number of blocks.
        n_heads: query heads of a block.
        d_model: width of the residual stream (kept for exports; edges do not depend on it).
        mlp: whether blocks have an MLP.
        parallel: attention and MLP of a block read the same input (Pythia), so heads do not
            write to the MLP of their own layer.
        n_kv_heads: shared key/value heads; None where every head has its own.
    """

    n_layers: int
    n_heads: int
    d_model: int
    mlp: bool = True
    parallel: bool = False
    n_kv_heads: int | None = None

    def as_dict(self) -> dict[str, int | bool | None]:
        """Return the fields as JSON writes them."""
        return asdict(self)


@dataclass(frozen=True)
class Graph:
    """All senders, receivers and edges of one shape."""

    shape: GraphShape

    @cached_property
    def senders(self) -> tuple[Sender, ...]:
        """Senders in forward order: ``input``, then each layer's heads, then its MLP."""
        found = [INPUT]
        for layer in range(self.shape.n_layers):
            found += self._writers(layer)
        return tuple(found)

    @cached_property
    def receivers(self) -> tuple[Receiver, ...]:
        """Receivers in visit order: from the output back; in a layer MLP, then all v, k, q."""
        found = [LOGITS]
        for layer in reversed(range(self.shape.n_layers)):
            if self.shape.mlp:
                found.append(Receiver(ReceiverKind.MLP, layer))
            for kind in (ReceiverKind.VALUE, ReceiverKind.KEY, ReceiverKind.QUERY):
                shared = kind is not ReceiverKind.QUERY and self.shape.n_kv_heads is not None
                heads = self.shape.n_kv_heads if shared else self.shape.n_heads
                found += [Receiver(kind, layer, h, shared) for h in range(heads or 0)]
        return tuple(found)

    def senders_to(self, receiver: Receiver) -> tuple[Sender, ...]:
        """Return the senders before ``receiver``, nearest first: m, heads 0..H-1, ..., input."""
        if receiver.kind is ReceiverKind.LOGITS:
            top = self.shape.n_layers
            found: list[Sender] = []
        else:
            top = receiver.layer
            own_heads = receiver.kind is ReceiverKind.MLP and not self.shape.parallel
            found = self._heads(top) if own_heads else []
        for layer in reversed(range(top)):
            found += [s for s in self._writers(layer) if s.kind is SenderKind.MLP]
            found += self._heads(layer)
        return (*found, INPUT)

    def names_before(self, receiver: Receiver) -> list[str]:
        """Return the names of the senders before ``receiver``, in forward order."""
        before = {sender.name for sender in self.senders_to(receiver)}
        return [sender.name for sender in self.senders if sender.name in before]

    def edges(self) -> Iterator[Edge]:
        """Yield every edge in visit order."""
        for receiver in self.receivers:
            for sender in self.senders_to(receiver):
                yield Edge(sender, receiver)

    @cached_property
    def edge_count(self) -> int:
        """Number of edges; 32,491 for GPT-2 small."""
        return sum(len(self.senders_to(receiver)) for receiver in self.receivers)

    @cached_property
    def components(self) -> tuple[str, ...]:
        """Every component that computes: ``input``, heads, MLPs, ``logits``, in forward order."""
        return (*(sender.name for sender in self.senders), "logits")

    def readers(self, component: str) -> tuple[str, ...]:
        """Return the components that compute when the receivers of ``component`` change.

        A shared key/value head is read by a group of query heads; anything else by itself.
        """
        if ".kv" not in component or self.shape.n_kv_heads is None:
            return (component,)
        layer, group = component[1:].split(".kv")
        size = self.shape.n_heads // self.shape.n_kv_heads
        first = int(group) * size
        return tuple(f"a{layer}.h{h}" for h in range(first, first + size))

    def _heads(self, layer: int) -> list[Sender]:
        return [Sender(SenderKind.HEAD, layer, h) for h in range(self.shape.n_heads)]

    def _writers(self, layer: int) -> list[Sender]:
        mlp = [Sender(SenderKind.MLP, layer)] if self.shape.mlp else []
        return self._heads(layer) + mlp
