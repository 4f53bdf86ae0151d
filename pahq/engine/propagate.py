"""What follows when one receiver reads something else: along kept edges only, up to ``logits``.

One ``Propagation`` serves one batch of prompts. It knows the kept edges decided so far and, for
each component from which something kept leads on, the values that stand. A test changes a few of
them for many alternatives at once; a decision changes them for good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.engine import components
from pahq.engine.reading import Change, Reading, level_of
from pahq.graph.build import Graph
from pahq.graph.nodes import Receiver, ReceiverKind
from pahq.models.weights import HeadWeights
from pahq.precision.formats import NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.quantize import round_trip

KINDS = ("q", "k", "v")


@dataclass(frozen=True)
class Shortcuts:
    """Which of the exact shortcuts are used; each can be switched off to measure its gain.

    Attributes:
        kept_edges_only: recompute only what is downstream over kept edges (b); otherwise every
            component that is still connected is computed anew.
        reuse: when one of q, k, v changes, the head's other two stand (c).
        positions: compute a component only where it is read, and only from the first token in
            which clean and corrupt prompt differ (d).
        stream_vocabulary: the log-sum-exp and the dot product of readout.py (f).
    """

    kept_edges_only: bool = True
    reuse: bool = True
    positions: bool = True
    stream_vocabulary: bool = True


@dataclass(eq=False)
class Head:
    """What stands of a head: (batch, place, d_head) each; ``q`` at the places where it is read."""

    q: Tensor
    k: Tensor
    v: Tensor


class Propagation:
    """One batch of prompts: standing values, and how changes travel."""

    def __init__(self, reading: Reading, graph: Graph, shortcuts: Shortcuts, first: int):
        self.reading, self.shortcuts = reading, shortcuts
        self.first_difference = first if shortcuts.positions else 0
        self.heads: dict[str, Head] = {}
        self.alive: list[str] = []  # components in forward order, without input and logits
        self._order = {name: i for i, name in enumerate(graph.components)}

    # --- the component under test -----------------------------------------------------------

    def open(self, component: str) -> bool:
        """Take up a component: all edges that leave it are decided, so its places are known.

        Returns:
            False if nothing reads it.
        """
        if component in self.reading.places:
            return True
        if not any(component in senders for senders in self.reading.kept.values()):
            return False
        self.reading.places[component] = self.reading.read_places(component)
        self.alive.append(component)
        self.alive.sort(key=self._order.__getitem__)
        if component.startswith("a"):
            self.heads[component] = self.head_values(component, self.reading.plan[component])
        return True

    def head_values(self, name: str, fmt: NumberFormat) -> Head:
        """Return q, k and v of a head from what its receivers read now, in a format."""
        head, norm = self.reading.head(name)
        found = {}
        for kind, project in _PROJECT.items():
            at = self.reading.places[name] if kind == "q" else self.reading.key_places(name)
            x = components.normalise(self.reading.now(f"{name}<{kind}>", at), norm)
            found[kind] = project(x, head, fmt, self.reading.multiply)
        return Head(**found)

    def alternatives(
        self, receiver: Receiver, cut_sets: Sequence[Sequence[str]], *, first: int
    ) -> Float[Tensor, "alt batch place d_model"]:
        """Return what ``receiver`` reads under each set of cut senders, from place ``first`` on."""
        at = self.reading.receiver_places(receiver.name, first)
        standing = self.reading.take(self.reading.clean.streams[level_of(receiver.name)], at)
        base, base_set = standing, frozenset()
        found = []
        for number, cut in enumerate(cut_sets):
            wanted = frozenset(cut)
            if not base_set <= wanted:
                base, base_set = standing, frozenset()
            x = base
            for sender in cut:
                if sender not in base_set:
                    x = x - self.reading.written(sender, at)
            found.append(x)
            if number + 1 < len(cut_sets) and wanted <= frozenset(cut_sets[number + 1]):
                base, base_set = x, wanted
        return torch.stack(found)

    def component_change(
        self,
        receiver: Receiver,
        reads: Float[Tensor, "alt batch place d_model"],
        *,
        fmt: NumberFormat,
        first: int,
        standing: Head | None,
        keep: bool = False,
    ) -> dict[str, Change]:
        """Return the change of the receiver's component when it reads ``reads``.

        Args:
            receiver: the receiver under test.
            reads: its alternatives, from place ``first`` on.
            fmt: the component's format (the focus may be raised).
            first: place from which anything changes.
            standing: the head's q, k and v in that format; None for an MLP.
            keep: make the (single) alternative stand from now on.
        """
        name = receiver.component
        if receiver.kind is ReceiverKind.MLP:
            return {name: self._mlp_change(name, reads, fmt, first)}
        assert standing is not None
        head, norm = self.reading.head(name)
        project = _PROJECT[receiver.kind.value]
        value = project(components.normalise(reads, norm), head, fmt, self.reading.multiply)
        change = self._head_change(name, standing, {receiver.kind.value: value}, fmt, first)
        if keep:
            self._keep_head(name, {receiver.kind.value: value}, first)
        return {name: change}

    # --- what follows -----------------------------------------------------------------------

    def follow(
        self,
        changed: dict[str, Change],
        *,
        first: int,
        keep: bool = False,
    ) -> Float[Tensor, "alt batch place d_model"] | None:
        """Carry changes upwards; return what ``logits`` reads, None if nothing reaches it.

        Args:
            changed: the change of the component under test.
            first: place from which anything changes.
            keep: make the (single) alternative stand from now on.
        """
        [start] = [self._order[name] for name in changed]
        everything = not self.shortcuts.kept_edges_only
        for name in self.alive:
            if self._order[name] <= start:
                continue
            new = self._reread(name, changed, first, everything=everything)
            if not new:
                continue
            if name.startswith("m"):
                changed[name] = self._mlp_change(name, new["m"], self.reading.plan[name], first)
            else:
                changed[name] = self._project(name, new, first, keep=keep)
        if keep:
            self.reading.store(changed, first)
        senders = self.reading.kept["logits"]
        later = self.reading.targets >= first
        if not bool(later.any()) or not any(sender in changed for sender in senders):
            return None
        found = self.reading.sum("logits", senders, changed, self.reading.targets[later], first)
        if bool(later.all()):
            return found
        whole = self.reads_now().expand(found.shape[0], -1, -1, -1).clone()
        whole[:, :, later] = found
        return whole

    def reads_now(self) -> Float[Tensor, "alt batch place d_model"]:
        """Return what ``logits`` reads now, as a single alternative."""
        return self.reading.now("logits", self.reading.targets)[None]

    def _reread(
        self, name: str, changed: dict[str, Change], first: int, *, everything: bool
    ) -> dict[str, Tensor]:
        """Return what those receivers of a component read that a change reaches."""
        found = {}
        for kind in ("m",) if name.startswith("m") else KINDS:
            receiver = name if kind == "m" else f"{name}<{kind}>"
            senders = self.reading.kept.get(receiver)
            if senders is None:  # undecided, so not downstream
                continue
            if everything or any(sender in changed for sender in senders):
                at = self.reading.receiver_places(receiver, first)
                found[kind] = self.reading.sum(receiver, senders, changed, at, first)
        if found and not self.shortcuts.reuse and not name.startswith("m"):
            for kind in KINDS:
                receiver = f"{name}<{kind}>"
                if kind not in found and receiver in self.reading.kept:
                    at = self.reading.receiver_places(receiver, first)
                    found[kind] = self.reading.sum(
                        receiver, self.reading.kept[receiver], changed, at, first
                    )
        return found

    def _project(self, name: str, reads: dict[str, Tensor], first: int, *, keep: bool) -> Change:
        head, norm = self.reading.head(name)
        fmt = self.reading.plan[name]
        new = {
            kind: _PROJECT[kind](components.normalise(x, norm), head, fmt, self.reading.multiply)
            for kind, x in reads.items()
        }
        change = self._head_change(name, self.heads[name], new, fmt, first)
        if keep:
            self._keep_head(name, new, first)
        return change

    def _keep_head(self, name: str, new: dict[str, Tensor], first: int) -> None:
        standing = self.heads[name]
        for kind, value in new.items():
            at = self.reading.places[name] if kind == "q" else self.reading.key_places(name)
            getattr(standing, kind)[:, at >= first] = value[0]

    def _head_change(
        self,
        name: str,
        standing: Head,
        new: dict[str, Tensor],
        fmt: NumberFormat,
        first: int,
    ) -> Change:
        head, _ = self.reading.head(name)
        at = self.reading.places[name]
        moved = at >= first
        rows = at[moved]
        keys = self.reading.key_places(name) >= first
        q = new["q"] if "q" in new else standing.q[:, moved][None]
        k = _spliced(standing.k, new.get("k"), keys)
        v = _spliced(standing.v, new.get("v"), keys)
        pattern = components.attention_pattern(q, k, head.score_scale, places=rows)
        mixed = round_trip(pattern @ v, fmt)
        carried = self.reading.carried.written[name]
        if fmt.name == self.reading.plan[name].name:
            return Change(mixed - self.reading.take(carried, rows), narrow=True)
        # The focus is raised: what it writes goes through another W_O than what is carried.
        written = mixed @ self.reading.multiply.rounded(head.out, fmt)
        low = self.reading.multiply.rounded(head.out, self.reading.plan[name])
        return Change(written - self.reading.take(carried, rows) @ low, narrow=False)

    def _mlp_change(self, name: str, reads: Tensor, fmt: NumberFormat, first: int) -> Change:
        mlp = self.reading.model.blocks[int(name[1:])].mlp
        assert mlp is not None
        at = self.reading.places[name]
        out = components.mlp_output(reads, mlp, fmt, self.reading.multiply)
        carried = self.reading.take(self.reading.carried.written[name], at[at >= first])
        return Change(out - carried, narrow=False)


_PROJECT: dict[str, Callable[[Tensor, HeadWeights, NumberFormat, Products], Tensor]] = {
    "q": components.query,
    "k": components.key,
    "v": components.value,
}


def _spliced(standing: Tensor, new: Tensor | None, where: Tensor) -> Tensor:
    """Return standing rows with those at ``where`` replaced for each alternative."""
    if new is None:
        return standing[None]
    if bool(where.all()):
        return new
    result = standing.expand(new.shape[0], *standing.shape).clone()
    result[:, :, where] = new
    return result
