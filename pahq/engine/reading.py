"""What receivers read: the kept edges decided so far, and the values that stand.

A receiver reads ``carried stream + sum over kept senders of (current - carried value)``: with few
kept edges that is a short sum, and nothing but the differences has to be kept up to date.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.standing import Narrow, Stream, Trace
from pahq.graph.nodes import Receiver
from pahq.models.weights import HeadWeights, ModelWeights, Norm
from pahq.precision.formats import NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.policy import Plan
from pahq.precision.product import product

Places = Int[Tensor, " place"]  # positions in a prompt, ascending
Rows = Int[Tensor, " case"] | None  # the prompt of each case; None: every prompt once, in order
AtPlaces = Float[Tensor, "batch place d_model"]


@dataclass(frozen=True, eq=False)
class Change:
    """A sender's difference to the carried value, for each case: a prompt under an alternative.

    Attributes:
        difference: (case, place, width) at the sender's places from ``first`` on.
        narrow: whether it is as wide as a head, to be multiplied with W_O.
    """

    difference: Tensor
    narrow: bool


class Reading:
    """One batch of prompts: who reads what, where, and what that is.

    Attributes:
        clean: the residual stream on the clean prompts, where something undecided reads it.
        difference: what each sender writes now minus what cut edges carry; of a head, its rounded
            input of W_O instead.
        kept: decided receiver -> senders kept, in forward order.
        places: component -> where it is read.
        lifted: the component in focus, whose difference stands as wide as the stream because it
            goes through a W_O of its own; None outside a focus that is raised.
    """

    def __init__(
        self,
        model: ModelWeights,
        clean: dict[str, Stream],
        difference: dict[str, Narrow],
        carried: Trace,
        plan: Plan,
        multiply: Products,
        *,
        targets: Places,
        all_places: bool,
    ):
        self.model, self.plan, self.multiply = model, plan, multiply
        self.clean, self.difference, self.carried = clean, difference, carried
        self.targets, self.all_places = targets, all_places
        self.length = clean["logits"].shape[1]
        self.kept: dict[str, list[str]] = {}
        self.lifted: str | None = None
        self._level: str | None = None  # of the receiver decided last
        self.places: dict[str, Places] = {"logits": targets}

    def fresh(self) -> "Reading":
        """Return the same prompts read at every position; only while nothing is decided here."""
        assert not self.kept
        return Reading(
            self.model, self.clean, dict(self.difference), self.carried, self.plan, self.multiply,
            targets=self.targets, all_places=True,
        )  # fmt: skip

    @property
    def held_bytes(self) -> int:
        """Bytes of the values that stand."""
        kinds = (self.clean, self.difference, self.carried.streams, self.carried.written)
        held = {x.data_ptr(): x for each in kinds for x in each.values()}
        return sum(x.numel() * x.element_size() for x in held.values())

    def lift(self, component: str, after: Sequence[str]) -> "Reading":
        """Return a reading in which a raised component can stand, beside this one.

        Args:
            component: the component in focus.
            after: the components that may follow from it; their differences are copied.
        """
        other = copy(self)
        other.lifted = component
        other.difference = dict(self.difference)
        for name in after:
            other.difference[name] = self.difference[name].clone()
        other.difference[component] = torch.zeros_like(self.carried.streams["logits"])
        return other

    def decide(self, receiver: Receiver, senders: Sequence[str], cut: frozenset[str]) -> None:
        """Write down which senders stay; ``senders`` in forward order."""
        self.kept[receiver.name] = [name for name in senders if name not in cut]
        level = level_of(receiver.name)
        if self._level not in (level, None):
            self.clean.pop(self._level)  # everything that reads it is decided
        self._level = level

    def forget(self, component: str) -> None:
        """Let go of what a component writes: nothing reads it, nor ever will."""
        self.difference.pop(component, None)
        self.carried.written.pop(component, None)

    def receiver_places(self, receiver: str, first: int) -> Places:
        """Return where a receiver is computed: where it is read, from ``first`` on."""
        component, _, kind = receiver.partition("<")
        at = self.places[component]
        if kind in ("k>", "v>"):
            at = self.key_places(component)
        return at[at >= first]

    # --- inside -----------------------------------------------------------------------------

    def key_places(self, component: str) -> Places:
        """Return the places of a head's keys and values: all up to its last query."""
        return torch.arange(int(self.places[component].max()) + 1, device=self.targets.device)

    def now(self, receiver: str, at: Places) -> AtPlaces:
        """Return what a receiver reads now."""
        if receiver not in self.kept:  # undecided: everything upstream is clean
            return self.take(self.clean[level_of(receiver)], at)
        return self.sum(receiver, self.kept[receiver], {}, at, 0, None)

    def sum(
        self,
        receiver: str,
        senders: list[str],
        changed: dict[str, Change],
        at: Places,
        first: int,
        rows: Rows,
    ) -> Float[Tensor, "case place d_model"]:
        """Return the carried stream plus the kept senders' differences, changed or standing."""
        stands = [name for name in senders if name not in changed]
        total = self.take(self.carried.streams[level_of(receiver)], at)
        if stands:
            total = total + self._standing_sum(stands, at)
        total = of_rows(total, rows)
        narrow: list[tuple[str, Tensor]] = []
        wide: list[Tensor] = []
        for name in senders:
            change = changed.get(name)
            if change is None:
                continue
            own = self.places[name]
            difference = among(change.difference, own[own >= first], at)
            if change.narrow:
                narrow.append((name, difference))
            else:
                wide.append(difference)
        if narrow:
            total = self._out(narrow).add_(total)
        elif wide:
            total = total + wide.pop()
        for difference in wide:
            total.add_(difference)
        return total

    def written(self, sender: str, at: Places) -> AtPlaces:
        """Return what a sender writes now minus what cut edges carry, as wide as the stream."""
        difference = self.take(self.difference[sender], at)
        return product(difference, self.out_weight(sender)) if sender[0] == "a" else difference

    def store(self, changed: dict[str, Change], first: int) -> None:
        """Make a change of every prompt stand."""
        for name, change in changed.items():
            own = self.places[name]
            self.difference[name][:, own[own >= first]] = change.difference

    def read_places(self, component: str) -> Places:
        """Return where something kept reads a component."""
        if self.all_places:
            return torch.arange(self.length, device=self.targets.device)
        read = torch.zeros(self.length, dtype=torch.bool, device=self.targets.device)
        for receiver, senders in self.kept.items():
            if component in senders:
                read[self.receiver_places(receiver, 0)] = True
        return read.nonzero().flatten()

    def take(self, x: Narrow, at: Places) -> Float[Tensor, "batch place width"]:
        """Return ``x`` at some places."""
        count = len(at)
        if count in (0, x.shape[1]):
            return x[:, :count]
        start = int(at[0])
        if int(at[-1]) - start + 1 == count:  # without a gap: no copy
            return x[:, start : start + count]
        return x.index_select(1, at)

    def projected(
        self, head: str, kind: str, reads: AtPlaces, fmt: NumberFormat
    ) -> Float[Tensor, "case place d_head"]:
        """Return a head's queries, keys or values of what it reads."""
        weights, norm = self.head(head)
        x = components.normalise(reads, norm)
        return components.PROJECTIONS[kind](x, weights, fmt, self.multiply)

    def mlp(self, name: str, reads: AtPlaces, fmt: NumberFormat) -> AtPlaces:
        """Return what an MLP makes of what it reads."""
        weights = self.model.blocks[int(name[1:])].mlp
        assert weights is not None
        return components.mlp_output(reads, weights, fmt, self.multiply)

    def raised(self, component: str, fmt: NumberFormat) -> bool:
        """Return whether ``fmt`` is not the component's own: it is in focus and protected."""
        return fmt.name != self.plan[component].name

    def _standing_sum(self, senders: list[str], at: Places) -> AtPlaces:
        narrow = [n for n in senders if n.startswith("a") and n != self.lifted]
        heads = [(n, self.take(self.difference[n], at)) for n in narrow]
        wide = [self.take(self.difference[n], at) for n in senders if n not in narrow]
        total = self._out(heads) if heads else wide.pop()
        for difference in wide:
            total = total + difference
        return total

    def _out(self, heads: list[tuple[str, Tensor]]) -> Tensor:
        """Return the sum of what heads write, as one product over their joined widths."""
        weights = [self.out_weight(name) for name, _ in heads]
        if len(heads) == 1:
            return product(heads[0][1], weights[0])
        return product(torch.cat([x for _, x in heads], dim=-1), torch.cat(weights))

    def out_weight(self, name: str) -> Float[Tensor, "d_head d_model"]:
        """Return a head's W_O as it reads back from the background format."""
        return self.multiply.rounded(self.head(name)[0].out, self.plan[name])

    def head(self, name: str) -> tuple[HeadWeights, Norm | None]:
        """Return a head's weights and the LayerNorm before it."""
        layer, head = name[1:].split(".h")
        block = self.model.blocks[int(layer)]
        return block.heads[int(head)], block.norm


def level_of(receiver: str) -> str:
    """Return the name of the stream that a receiver reads: ``a3.h1<q>`` reads ``a3``."""
    return receiver.partition(".")[0]


def of_rows(x: Tensor, rows: Rows) -> Tensor:
    """Return what stands for each case, given what stands for each prompt."""
    return x if rows is None else x.index_select(0, rows)


def among(
    difference: Tensor, own: Int[Tensor, " own_place"], wanted: Int[Tensor, " wanted_place"]
) -> Tensor:
    """Return the places ``wanted`` out of a change that is known at ``own``."""
    if len(own) == len(wanted):
        return difference
    return difference.index_select(1, torch.searchsorted(own, wanted))
