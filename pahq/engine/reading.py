"""What receivers read: the kept edges decided so far, and the values that stand.

A receiver reads ``carried stream + sum over kept senders of (current - carried value)``: with few
kept edges that is a short sum, and nothing but the differences has to be kept up to date.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.places import Places
from pahq.engine.standing import Streams
from pahq.graph.nodes import Receiver
from pahq.models.weights import HeadWeights, MlpWeights, ModelWeights, Norm
from pahq.precision.formats import NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.policy import Plan
from pahq.precision.product import product

AT_HAND = 1 << 25  # bytes of what senders write that may be kept instead of being made again

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
        clean: what senders write on the clean prompts, and the residual streams.
        carried: the same of what cut edges carry.
        moved: what senders that write something else by now write, minus what cut edges carry.
        kept: decided receiver -> senders kept, in forward order.
        places: component -> where it is read.
        lifted: the component in focus, whose difference stands as wide as the stream because it
            goes through a W_O of its own; None outside a focus that is raised.
    """

    def __init__(
        self,
        model: ModelWeights,
        clean: Streams,
        carried: Streams,
        plan: Plan,
        multiply: Products,
        *,
        targets: Places,
        all_places: bool,
    ):
        self.model, self.plan, self.multiply = model, plan, multiply
        self.clean, self.carried = clean, carried
        self.moved: dict[str, Tensor] = {}
        self.targets, self.all_places = targets, all_places
        self.length = clean.at("logits").shape[1]
        self.kept: dict[str, list[str]] = {}
        self.lifted: str | None = None
        # What tests have in common until the next decision.
        self._sums: dict[tuple[str, int, tuple[str, ...]], Tensor] = {}
        # What every receiver's tests ask for again, where there is room for all of it.
        self._written: dict[str, Tensor] = {}
        self._fits = wide_bytes(model, self.length * len(clean.at("logits"))) <= AT_HAND
        self._level: str | None = None  # of the receiver decided last
        self.places: dict[str, Places] = {"logits": targets}
        # Components that are read at the same positions share them, and what was asked of them.
        self._known_places: dict[tuple[int, ...], Places] = {}

    def fresh(self) -> "Reading":
        """Return the same prompts read at every position; only while nothing is decided here."""
        assert not self.kept
        return Reading(
            self.model, self.clean, self.carried, self.plan, self.multiply,
            targets=self.targets, all_places=True,
        )  # fmt: skip

    @property
    def held_bytes(self) -> int:
        """Bytes of the values that stand."""
        tensors = (
            *self.clean.tensors(), *self.carried.tensors(),
            *self.moved.values(), *self._written.values(),
        )  # fmt: skip
        storages = [x.untyped_storage() for x in tensors]  # a mean's prompts share one
        return sum({s.data_ptr(): s.nbytes() for s in storages}.values())

    def lift(self, component: str, after: Sequence[str]) -> "Reading":
        """Return a reading in which a raised component can stand, beside this one.

        Args:
            component: the component in focus.
            after: the components that may follow from it; their differences are copied.
        """
        other = copy(self)
        other._sums, other._written = {}, {}
        other.lifted = component
        other.moved = dict(self.moved)
        for name in after:
            other.moved[name] = self.difference(name, self.everywhere).clone()
        other.moved[component] = torch.zeros_like(self.carried.at("logits"))
        return other

    def decide(self, receiver: Receiver, senders: Sequence[str], cut: frozenset[str]) -> None:
        """Write down which senders stay; ``senders`` in forward order."""
        self.kept[receiver.name] = [name for name in senders if name not in cut]
        self._sums.clear()
        level = level_of(receiver.name)
        if receiver.component in self.places:
            self.carried.keep(level)
        if self._level not in (level, None):
            self.clean.leave(self._level)  # everything that reads it is decided
        self._level = level

    def forget(self, component: str) -> None:
        """Let go of what a component writes: nothing reads it, nor ever will."""
        for values in (self.moved, self._written, self.clean.written, self.carried.written):
            values.pop(component, None)

    def receiver_places(self, receiver: str, first: int) -> Places:
        """Return where a receiver is computed: where it is read, from ``first`` on."""
        component, _, kind = receiver.partition("<")
        at = self.key_places(component) if kind in ("k>", "v>") else self.places[component]
        return at.since(first)

    # --- inside -----------------------------------------------------------------------------

    def key_places(self, component: str) -> Places:
        """Return the places of a head's keys and values: all up to its last query."""
        return self._at(range(self.places[component].numbers[-1] + 1))

    def now(self, receiver: str, at: Places) -> AtPlaces:
        """Return what a receiver reads now."""
        if receiver not in self.kept:  # undecided: everything upstream is clean
            return at.take(self.clean.at(level_of(receiver)))
        return self._standing_sum(receiver, self.kept[receiver], at)

    def sum(
        self, receiver: str, changed: dict[str, Change], first: int, rows: Rows
    ) -> Float[Tensor, "case place d_model"]:
        """Return what a decided receiver reads from place ``first`` on, with changed senders."""
        at = self.receiver_places(receiver, first)
        stands = tuple(name for name in self.kept[receiver] if name not in changed)
        key = (receiver, first, stands)
        if key not in self._sums:
            self._sums[key] = self._standing_sum(receiver, stands, at)
        total = of_rows(self._sums[key], rows)
        narrow: list[tuple[str, Tensor]] = []
        wide: list[Tensor] = []
        for name in self.kept[receiver]:
            change = changed.get(name)
            if change is None:
                continue
            own = self.receiver_places(name, first)
            difference = at.within(own).take(change.difference)
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

    def difference(self, sender: str, at: Places) -> Float[Tensor, "batch place width"]:
        """Return what a sender writes now minus what cut edges carry, of a head before W_O."""
        if sender in self.moved:
            return at.take(self.moved[sender])
        return at.take(self.clean.written[sender]) - at.take(self.carried.written[sender])

    def written(self, sender: str, at: Places) -> AtPlaces:
        """Return what a sender writes now minus what cut edges carry, as wide as the stream."""
        if not self._fits:
            return self._wide(sender, at)
        if sender not in self._written:
            self._written[sender] = self._wide(sender, self.everywhere)
        return at.take(self._written[sender])

    def _wide(self, sender: str, at: Places) -> AtPlaces:
        difference = self.difference(sender, at)
        return product(difference, self.out_weight(sender)) if sender[0] == "a" else difference

    def store(self, changed: dict[str, Change], first: int) -> None:
        """Make a change of every prompt stand."""
        for name, change in changed.items():
            if name not in self.moved:
                self.moved[name] = self.difference(name, self.everywhere)
                self.clean.written.pop(name)  # nothing undecided reads what is clean of it
                self._written.pop(name, None)
            self.receiver_places(name, first).put(self.moved[name], change.difference)
        self._sums.clear()

    def read_places(self, component: str) -> Places:
        """Return where something kept reads a component."""
        if self.all_places:
            return self.everywhere
        read = {
            number
            for receiver, senders in self.kept.items()
            if component in senders
            for number in self.receiver_places(receiver, 0).numbers
        }
        return self._at(sorted(read))

    @property
    def everywhere(self) -> Places:
        """All positions."""
        return self._at(range(self.length))

    def _at(self, numbers: Iterable[int]) -> Places:
        """Return these positions, the same object each time."""
        key = tuple(numbers)
        if key not in self._known_places:
            self._known_places[key] = Places(key, self.targets.device)
        return self._known_places[key]

    def projected(
        self, head: str, kind: str, reads: AtPlaces, fmt: NumberFormat
    ) -> Float[Tensor, "case place d_head"]:
        """Return a head's queries, keys or values of what it reads."""
        weights, norm = self.head(head)
        x = components.normalise(reads, norm)
        return components.PROJECTIONS[kind](x, weights, fmt, self.multiply)

    def mlp(self, name: str, reads: AtPlaces, fmt: NumberFormat) -> AtPlaces:
        """Return what an MLP makes of what it reads."""
        return components.mlp_output(reads, self.mlp_weights(name), fmt, self.multiply)

    def mlp_weights(self, name: str) -> MlpWeights:
        """Return an MLP's weights."""
        weights = self.model.blocks[int(name[1:])].mlp
        assert weights is not None
        return weights

    def raised(self, component: str, fmt: NumberFormat) -> bool:
        """Return whether ``fmt`` is not the component's own: it is in focus and protected."""
        return fmt.name != self.plan[component].name

    def _standing_sum(self, receiver: str, senders: Sequence[str], at: Places) -> AtPlaces:
        """Return the carried stream plus some senders' standing differences."""
        total = at.take(self.carried.at(level_of(receiver)))
        narrow = [n for n in senders if n.startswith("a") and n != self.lifted]
        if narrow:
            total = total + self._out([(n, self.difference(n, at)) for n in narrow])
        for name in senders:
            if name not in narrow:
                total = total + self.difference(name, at)
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


def wide_bytes(model: ModelWeights, places: int) -> int:
    """Return the bytes of what all senders write at so many places of all prompts together."""
    shape = model.shape
    senders = 1 + shape.n_layers * (shape.n_heads + shape.mlp)
    return 4 * senders * places * shape.d_model


def level_of(receiver: str) -> str:
    """Return the name of the stream that a receiver reads: ``a3.h1<q>`` reads ``a3``."""
    return receiver.partition(".")[0]


def of_rows(x: Tensor, rows: Rows) -> Tensor:
    """Return what stands for each case, given what stands for each prompt."""
    return x if rows is None else x.index_select(0, rows)
