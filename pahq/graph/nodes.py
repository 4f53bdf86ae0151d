"""The words of the graph: senders write into the residual stream, receivers read it.

Names are those of EAP-IG: ``input``, ``a0.h1``, ``m2`` send; ``a0.h1<q>``, ``m2``, ``logits``
receive; ``a0.h1->m2`` is an edge. With grouped-query attention a key or value receiver belongs
to the shared head: ``a0.kv1<k>``.
"""

from dataclasses import dataclass
from enum import StrEnum

NOWHERE = -1  # layer and head of nodes that have none


class SenderKind(StrEnum):
    """What writes into the residual stream."""

    INPUT = "input"  # token plus position embedding
    HEAD = "head"
    MLP = "mlp"


class ReceiverKind(StrEnum):
    """What reads the residual stream."""

    QUERY = "q"
    KEY = "k"
    VALUE = "v"
    MLP = "mlp"
    LOGITS = "logits"

    @property
    def is_attention(self) -> bool:
        """True for the three inputs of a head."""
        return self in (ReceiverKind.QUERY, ReceiverKind.KEY, ReceiverKind.VALUE)


@dataclass(frozen=True, slots=True)
class Sender:
    """One writer. ``layer`` and ``head`` count from 0 and are ``NOWHERE`` where there is none."""

    kind: SenderKind
    layer: int = NOWHERE
    head: int = NOWHERE

    @property
    def name(self) -> str:
        """EAP-IG's name; also the name of the component that computes the value."""
        if self.kind is SenderKind.HEAD:
            return f"a{self.layer}.h{self.head}"
        return f"m{self.layer}" if self.kind is SenderKind.MLP else "input"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One reader. ``head`` is the key/value head where ``shared`` (grouped-query attention)."""

    kind: ReceiverKind
    layer: int = NOWHERE
    head: int = NOWHERE
    shared: bool = False

    @property
    def name(self) -> str:
        """EAP-IG's name."""
        if self.kind.is_attention:
            return f"{self.component}<{self.kind.value}>"
        return self.component

    @property
    def component(self) -> str:
        """Name of what computes with the value read: the *focus* while this receiver is tested."""
        if self.kind.is_attention:
            return f"a{self.layer}.{'kv' if self.shared else 'h'}{self.head}"
        return f"m{self.layer}" if self.kind is ReceiverKind.MLP else "logits"


@dataclass(frozen=True, slots=True)
class Edge:
    """From a sender to a later receiver."""

    sender: Sender
    receiver: Receiver

    @property
    def name(self) -> str:
        """For example ``a0.h1->m2``."""
        return f"{self.sender.name}->{self.receiver.name}"


INPUT = Sender(SenderKind.INPUT)
LOGITS = Receiver(ReceiverKind.LOGITS)
