"""What follows when one receiver reads something else: along kept edges only, up to ``logits``.

One ``Propagation`` serves one batch of prompts. It knows the kept edges decided so far and, for
each component from which something kept leads on, the values that stand. A test changes a few of
them for many alternatives at once; a decision changes them for good.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.engine import components
from pahq.engine.moved import StandingMlp, moved_output, standing_mlp
from pahq.engine.places import Places
from pahq.engine.reading import AtPlaces, Change, Reading, Rows, level_of, of_rows
from pahq.graph.build import Graph
from pahq.graph.nodes import Receiver
from pahq.precision.formats import NumberFormat
from pahq.precision.policy import Plan
from pahq.precision.product import product

KINDS = ("q", "k", "v")
Walked = tuple[frozenset[str], Tensor]  # a set of cut senders, and what is read under it


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
        repeats: a prompt for which a head writes bit for bit what it wrote before is not followed
            again (g): a saturated attention pattern does not move.
        walk: what a receiver reads under one set of cut senders is made from what it read under
            the set before (h); otherwise every set starts from nothing cut.
    """

    kept_edges_only: bool = True
    reuse: bool = True
    positions: bool = True
    stream_vocabulary: bool = True
    repeats: bool = True
    walk: bool = True


@dataclass(eq=False)
class Head:
    """What stands of a head: (batch, place, d_head) each; ``q`` at the places where it is read."""

    q: Tensor
    k: Tensor
    v: Tensor


class Propagation:
    """One batch of prompts: standing values, and how changes travel.

    ``screen`` has the formats in which changes of MLPs may be multiplied instead of whole values
    (moved.py); it is used where a call says ``screened``.
    """

    def __init__(
        self,
        reading: Reading,
        graph: Graph,
        shortcuts: Shortcuts,
        first: int,
        screen: Plan | None = None,
    ):
        self.reading, self.shortcuts, self.screen = reading, shortcuts, screen
        self.mlps: dict[str, StandingMlp] = {}  # kept for screening only
        self.first_difference = first if shortcuts.positions else 0
        self.heads: dict[str, Head] = {}
        self.alive: list[str] = []  # components in forward order, without input and logits
        self._order = {name: i for i, name in enumerate(graph.components)}
        # What one receiver read under the sets of senders that were cut last.
        self._walked: dict[bool, list[Walked]] = {}  # by whether the last batch was screened
        self._walks: tuple[str, int] | None = None  # the receiver and first place that it is of

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
        found = {}
        for kind in KINDS:
            at = self.reading.places[name] if kind == "q" else self.reading.key_places(name)
            reads = self.reading.now(f"{name}<{kind}>", at)
            found[kind] = self.reading.projected(name, kind, reads, fmt)
        return Head(**found)

    def lift(self, name: str, fmt: NumberFormat) -> tuple["Propagation", AtPlaces]:
        """Return what stands while ``name`` computes in ``fmt``, and what ``logits`` then reads.

        A raised component writes something else at every place, but no test moves what lies before
        the first change: it is computed here, once.
        """
        after = self.alive[self.alive.index(name) + 1 :]
        other = copy(self)
        other._walked, other._walks = {}, None  # tests read from this one
        other.reading = self.reading.lift(name, after)
        other.heads = dict(self.heads)
        for follower in after:
            if follower in other.heads:
                stands = self.heads[follower]
                other.heads[follower] = Head(stands.q.clone(), stands.k.clone(), stands.v.clone())
        at = self.reading.places[name]
        if name.startswith("m"):
            output = self.reading.mlp(name, self.reading.now(name, at), fmt)
        else:
            other.heads[name] = self.head_values(name, fmt)
            output = other.mixed(name, other.heads[name], {}, None, fmt, first=0)
        changed = {name: other.change(name, output, None, fmt=fmt, first=0)}
        return other, other.follow(changed, None, first=0, keep=True)

    def alternatives(
        self,
        receiver: Receiver,
        cut_sets: Sequence[Sequence[str]],
        *,
        first: int,
        at_once: int | None = None,
        screened: bool = False,
    ) -> Iterator[Float[Tensor, "alt batch place d_model"]]:
        """Yield what ``receiver`` reads under each set of cut senders, from place ``first`` on.

        Each set is made from the largest known one that it contains. ``screened`` and exact sets
        grow each out of their own last batch, and start from either.

        Args:
            receiver: the receiver under test.
            cut_sets: names of the senders cut from it.
            first: place from which anything changes.
            at_once: how many sets to yield together; all by default.
            screened: whose last batch to grow out of.
        """
        at = self.reading.receiver_places(receiver.name, first)
        wanted = [frozenset(cut) for cut in cut_sets]
        known = [self._start(receiver, first, at, frozenset.intersection(*wanted))]
        self._walked.pop(screened, None)  # its memory serves for what comes now
        step = at_once or len(cut_sets)
        for begin in range(0, len(cut_sets), step):
            group = range(begin, min(begin + step, len(cut_sets)))
            found = known[0][1].new_empty((len(group), *known[0][1].shape))
            for number, reads in zip(group, found, strict=True):
                have, x = _nearest(known, wanted[number])
                for sender in cut_sets[number]:
                    if sender not in have:
                        x = torch.sub(x, self.reading.written(sender, at), out=reads)
                if wanted[number] <= have:
                    reads.copy_(x)
                if self.shortcuts.walk:
                    known.append((wanted[number], reads))
            yield found
            if ahead := wanted[group.stop :]:
                # What later sets grow out of stays, and where all began.
                needed = {id(known[0]), *(id(_nearest(known, each)) for each in ahead)}
                known = [one for one in known if id(one) in needed]
        self._walked[screened] = known

    def _start(
        self, receiver: Receiver, first: int, at: Places, shared: frozenset[str]
    ) -> tuple[frozenset[str], Tensor]:
        """Return what the receiver reads under the largest known part of ``shared``."""
        if self._walks != (receiver.name, first):
            self._walks, self._walked = (receiver.name, first), {}
        nothing: Walked = (frozenset(), at.take(self.reading.clean.at(level_of(receiver.name))))
        have, x = _nearest([nothing, *chain(*self._walked.values())], shared)
        return have, x.clone()  # the rest of a batch can then be let go

    def output(
        self,
        receiver: Receiver,
        reads: Float[Tensor, "case place d_model"],
        rows: Rows,
        *,
        fmt: NumberFormat,
        first: int,
        standing: Head | None,
        keep: bool = False,
        screened: bool = False,
    ) -> Float[Tensor, "case out_place width"]:
        """Return what the receiver's component makes of ``reads``; of a head, the input of W_O.

        Args:
            receiver: the receiver under test.
            reads: what it reads in each case, from place ``first`` on.
            rows: the prompt of each case.
            fmt: the component's format (the focus may be raised).
            first: place from which anything changes.
            standing: the head's q, k and v in that format; None for an MLP.
            keep: make the new one (of every prompt once) stand from now on.
            screened: multiply changes in low precision.
        """
        name = receiver.component
        if standing is None:
            return self._mlp(name, reads, rows, fmt, first, keep, screened)
        value = self.reading.projected(name, receiver.kind.value, reads, fmt)
        new = {receiver.kind.value: value}
        output = self.mixed(name, standing, new, rows, fmt, first)
        if keep:
            self._keep(name, new, first)
        return output

    def change(
        self, name: str, output: Tensor, rows: Rows, *, fmt: NumberFormat, first: int
    ) -> Change:
        """Return the difference of a component's output to what cut edges carry."""
        at = self.reading.receiver_places(name, first)
        carried = at.take(self.reading.carried.written[name])
        if name.startswith("m"):
            return Change(output - of_rows(carried, rows), narrow=False)
        if not self.reading.raised(name, fmt):
            return Change(output - of_rows(carried, rows), narrow=True)
        # The focus is raised: what it writes goes through another W_O than what is carried.
        head, _ = self.reading.head(name)
        written = product(output, self.reading.multiply.rounded(head.out, fmt))
        low = product(carried, self.reading.out_weight(name))
        return Change(written - of_rows(low, rows), narrow=False)

    # --- what follows -----------------------------------------------------------------------

    def follow(
        self,
        changed: dict[str, Change],
        rows: Rows,
        *,
        first: int,
        keep: bool = False,
        screened: bool = False,
    ) -> Float[Tensor, "case place d_model"]:
        """Carry changes upwards; return what ``logits`` reads.

        Args:
            changed: the change of the component under test.
            rows: the prompt of each case.
            first: place from which anything changes.
            keep: make the change (of every prompt once) stand from now on.
            screened: multiply changes in low precision.
        """
        [start] = [self._order[name] for name in changed]
        for name in self.alive:
            if self._order[name] <= start:
                continue
            new = self._reread(name, changed, rows, first)
            if not new:
                continue
            fmt = self.reading.plan[name]
            if name.startswith("m"):
                output = self._mlp(name, new["m"], rows, fmt, first, keep, screened)
            else:
                values = {
                    kind: self.reading.projected(name, kind, x, fmt) for kind, x in new.items()
                }
                output = self.mixed(name, self.heads[name], values, rows, fmt, first)
                if keep:
                    self._keep(name, values, first)
            changed[name] = self.change(name, output, rows, fmt=fmt, first=first)
        if keep:
            self.reading.store(changed, first)
        senders = self.reading.kept["logits"]
        stand = self.reading.targets.before(first)
        if stand == len(self.reading.targets) or not any(name in changed for name in senders):
            return of_rows(self.reads_now(), rows)
        found = self.reading.sum("logits", changed, first, rows)
        return _behind(self.reads_now(), found, stand, rows) if stand else found

    def case_bytes(self, name: str) -> int:
        """Return the most bytes that one case takes at once when it is followed from ``name`` on.

        An MLP holds its hidden values three times and the stream a few; a head reads the stream
        wherever it has keys.
        """
        reading, first = self.reading, self.first_difference
        width = reading.model.shape.d_model
        most = 1
        for component in self.alive[self.alive.index(name) :]:
            if component.startswith("m"):
                at = reading.places[component]
                numbers = 3 * reading.mlp_weights(component).into.shape[1] + 6 * width
            else:
                at, numbers = reading.key_places(component), 6 * width
            most = max(most, 4 * len(at.since(first)) * numbers)
        return most

    def reads_now(self) -> Float[Tensor, "batch place d_model"]:
        """Return what ``logits`` reads now."""
        return self.reading.now("logits", self.reading.targets)

    def mixed(
        self,
        name: str,
        standing: Head,
        new: dict[str, Tensor],
        rows: Rows,
        fmt: NumberFormat,
        first: int,
    ) -> Float[Tensor, "case place d_head"]:
        """Return a head's rounded input of W_O, with some of its q, k and v new."""
        head, _ = self.reading.head(name)
        at = self.reading.places[name]
        q = new["q"] if "q" in new else of_rows(standing.q[:, at.before(first) :], rows)
        stand = self.reading.key_places(name).before(first)
        k, v = (
            _behind(stands, new[kind], stand, rows) if kind in new else of_rows(stands, rows)
            for kind, stands in (("k", standing.k), ("v", standing.v))
        )
        mask = at.since(first).causal_mask(k.shape[1])
        return components.mixed_values(q, k, v, head.score_scale, fmt, mask=mask)

    # --- inside -----------------------------------------------------------------------------

    def _reread(
        self, name: str, changed: dict[str, Change], rows: Rows, first: int
    ) -> dict[str, Tensor]:
        """Return what those receivers of a component read that a change reaches."""
        kinds = {"m": name} if name.startswith("m") else {k: f"{name}<{k}>" for k in KINDS}
        # An undecided receiver is not downstream.
        decided = {k: r for k, r in kinds.items() if r in self.reading.kept}
        reached = {
            kind: receiver
            for kind, receiver in decided.items()
            if not self.shortcuts.kept_edges_only
            or any(sender in changed for sender in self.reading.kept[receiver])
        }
        wanted = reached if self.shortcuts.reuse or not reached else decided
        return {
            kind: self.reading.sum(receiver, changed, first, rows)
            for kind, receiver in wanted.items()
        }

    def _mlp(
        self,
        name: str,
        reads: Float[Tensor, "case place d_model"],
        rows: Rows,
        fmt: NumberFormat,
        first: int,
        keep: bool,
        screened: bool,
    ) -> Float[Tensor, "case place d_model"]:
        """Return what an MLP makes of what it reads."""
        if self.screen is None or not (keep or screened):
            return self.reading.mlp(name, reads, fmt)
        weights, flat = self.reading.mlp_weights(name), reads.flatten(0, 1)
        if keep:
            self.mlps[name] = standing_mlp(flat, weights)
            return self.mlps[name].output.view_as(reads)
        at = self.reading.receiver_places(name, first)
        if name not in self.mlps:
            self.mlps[name] = standing_mlp(self.reading.now(name, at).flatten(0, 1), weights)
        count = len(at)
        prompts = torch.arange(len(reads), device=reads.device) if rows is None else rows
        beside = (prompts[:, None] * count + torch.arange(count, device=reads.device)).flatten()
        return moved_output(
            flat, beside, self.mlps[name], weights, self.screen[name], self.reading.multiply
        ).view_as(reads)

    def _keep(self, name: str, new: dict[str, Tensor], first: int) -> None:
        standing = self.heads[name]
        for kind, value in new.items():
            at = self.reading.places[name] if kind == "q" else self.reading.key_places(name)
            getattr(standing, kind)[:, at.before(first) :] = value


def _nearest(known: Sequence[Walked], wanted: frozenset[str]) -> Walked:
    """Return the largest known set that ``wanted`` contains, and what is read under it."""
    return max((one for one in known if one[0] <= wanted), key=lambda one: len(one[0]))


def _behind(standing: Tensor, new: Tensor, stand: int, rows: Rows) -> Tensor:
    """Return the first ``stand`` places of each case as they stand, and behind them the new."""
    return torch.cat([of_rows(standing[:, :stand], rows), new], dim=1) if stand else new
