"""ACDC (Conmy et al. 2023, Algorithm 1, arXiv:2304.14997). The only ACDC here; it knows no tensors.

1. Visit receivers from the output back; try each receiver's senders in order.
2. Patch the edge. If the damage grows by less than the threshold it stays patched.
3. A receiver that nothing kept leads on from cannot matter: its edges go without a test.

Edges are tested in *batches of alternative cut sets*: "cut 1", "cut 1+2", ..., "cut 1..k",
expecting removals, which are by far the most. The run up to the first surprise is accepted and the
next batch starts behind it, so the decisions are those of one test at a time. What was computed
beyond the surprise is not lost: it tells which of the edges behind it will probably stay, and the
next batch leaves these in place while it goes on.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pahq.discovery.events import EdgeTested, Event, FocusChanged, ReceiverStarted
from pahq.errors import BadRunFolder, SearchFailed
from pahq.graph.build import Graph
from pahq.graph.nodes import LOGITS, Edge, Receiver, Sender


@runtime_checkable
class Evaluator(Protocol):
    """Damage of cut sets of one receiver, on top of the cuts committed so far."""

    def focus(self, component: str) -> dict[str, str]:
        """Put ``component`` under test; return the formats that differ from the background."""
        ...

    def damages(self, receiver: Receiver, cut_sets: Sequence[Sequence[Sender]]) -> list[float]:
        """Return the damage of each alternative; an empty set is the cuts so far."""
        ...

    def commit(self, receiver: Receiver, senders: Sequence[Sender]) -> None:
        """Cut these edges for good."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Decides again, more exactly, what an evaluator cannot decide for sure."""

    def confirm(
        self, receiver: Receiver, cut: Sequence[Sender], sender: Sender, effect: float
    ) -> float | None:
        """Return the true effect of a cut after the cuts so far; None if ``effect`` will do."""
        ...

    def recall(self, effect: float, screened: float | None) -> None:
        """Learn from a decision of an earlier process, confirmed if ``screened`` is given."""
        ...

    def repeat(self, receiver: Receiver, cut: Sequence[Sender], sender: Sender) -> None:
        """Evaluate again what ``confirm`` did, so that what follows gets the same numbers."""
        ...


@dataclass(frozen=True)
class Rule:
    """How an edge is judged and in which order.

    Attributes:
        threshold: tau, in the metric's unit.
        absolute: compare the size of the effect instead of its signed value.
        order: ``nearest``, ``farthest`` or ``shuffled`` (per receiver, from ``seed``).
        seed: for ``shuffled``.
        batch_size: alternatives in one batch; never changes a decision.
    """

    threshold: float
    absolute: bool = False
    order: str = "nearest"
    seed: int = 0
    batch_size: int = 1

    def keeps(self, effect: float) -> bool:
        """Return whether an edge with this effect stays."""
        return (abs(effect) if self.absolute else effect) >= self.threshold

    def arrange(self, graph: Graph, receiver: Receiver) -> list[Sender]:
        """Return the receiver's senders in the order in which they are tried."""
        senders = list(graph.senders_to(receiver))
        if self.order == "farthest":
            senders.reverse()
        elif self.order == "shuffled":
            random.Random(f"{self.seed}/{receiver.name}").shuffle(senders)
        return senders


def acdc(
    graph: Graph, evaluator: Evaluator, rule: Rule, *, replay: Sequence[Event] = ()
) -> Iterator[Event]:
    """Decide every edge; yield what happens, so that the caller may store it, draw it, or stop.

    Args:
        graph: the edges, in visit order.
        evaluator: computes damage; if it is a ``Judge`` too, it is asked before each decision.
        rule: threshold and order.
        replay: events of an interrupted search with the same rule; they are taken as they are and
            not yielded again. A receiver that was left in the middle is evaluated from its start,
            so a resumed search gives the same numbers as an uninterrupted one.

    Raises:
        SearchFailed: if a damage is not finite (NaN < tau is false and would keep the edge).
        BadRunFolder: if ``replay`` does not belong to this search.
    """
    return _Search(graph, evaluator, rule, _Tape(replay)).run()


@dataclass(frozen=True)
class _Decision:
    effect: float
    damage: float  # after it
    kept: bool
    screened: float | None = None


class _Tape:
    """Recorded events, consumed as the search comes to them again."""

    def __init__(self, events: Sequence[Event]):
        kinds = (ReceiverStarted, FocusChanged, EdgeTested)
        self._events = [event for event in events if isinstance(event, kinds)]
        self._at = 0

    def decision(self, ahead: int) -> "_Decision | None":
        """Return the decision ``ahead`` of the present place, if it is recorded."""
        at = self._at + ahead
        event = self._events[at] if at < len(self._events) else None
        if not isinstance(event, EdgeTested):
            return None
        return _Decision(event.effect, event.damage, event.kept, event.screened)

    def decides_all(self, count: int) -> bool:
        """Return whether the next ``count`` decisions are recorded."""
        return self.decision(count - 1) is not None

    def next_focus(self) -> FocusChanged | None:
        event = self._events[self._at] if self._at < len(self._events) else None
        return event if isinstance(event, FocusChanged) else None

    def pass_over(self, event: Event) -> bool:
        """Return True if ``event`` is recorded as the next one, and go on behind it."""
        if self._at >= len(self._events):
            return False
        recorded = self._events[self._at]
        if _name(recorded) != _name(event):
            raise BadRunFolder(
                "The recorded decisions do not belong to this search.",
                why=f"recorded is {_name(recorded)}, expected {_name(event)}",
                fix="start a new run",
            )
        self._at += 1
        return True


def _name(event: Event) -> str:
    if isinstance(event, EdgeTested):
        return event.edge
    if isinstance(event, FocusChanged):
        return f"focus {event.focus}"
    return f"receiver {event.receiver}" if isinstance(event, ReceiverStarted) else event.type


class _Search:
    def __init__(self, graph: Graph, evaluator: Evaluator, rule: Rule, tape: _Tape):
        self.graph, self.evaluator, self.rule, self.tape = graph, evaluator, rule, tape
        self.judge = evaluator if isinstance(evaluator, Judge) else None
        self.number = 0
        self.damage = math.nan
        self.formats: dict[str, str] | None = None
        self.component = ""
        self.alive = {LOGITS.component}  # components from which something kept leads to logits

    def run(self) -> Iterator[Event]:
        for receiver in self.graph.receivers:
            senders = self.rule.arrange(self.graph, receiver)
            readers = self.graph.readers(receiver.component)
            yield from self._new(ReceiverStarted(receiver.name))
            if self.alive.isdisjoint(readers):
                yield from self._skip(receiver, senders)
            else:
                yield from self._focus(receiver)
                yield from self._test(receiver, senders)

    def _new(self, event: Event) -> Iterator[Event]:
        if not self.tape.pass_over(event):
            yield event

    def _skip(self, receiver: Receiver, senders: list[Sender]) -> Iterator[Event]:
        self.evaluator.commit(receiver, senders)
        for sender in senders:
            nothing = _Decision(0.0, self.damage, kept=False)
            yield from self._decide(Edge(sender, receiver), nothing, skipped=True)

    def _focus(self, receiver: Receiver) -> Iterator[Event]:
        if receiver.component == self.component:
            return
        formats = self.evaluator.focus(receiver.component)
        recorded = self.tape.next_focus()
        # Measured anew under this plan: an effect never contains the noise of the change. So it is
        # where the first receiver was left in the middle: what an evaluator has seen before decides
        # about last bits.
        again = recorded is None or self.tape.decision(len(self.graph.senders_to(receiver))) is None
        if again and formats != self.formats:
            [before] = self.evaluator.damages(receiver, [[]])
            self.damage = _finite(before, receiver)
        if recorded is not None:
            self.damage = recorded.before
        self.component, self.formats = receiver.component, formats
        yield from self._new(FocusChanged(receiver.component, formats, self.damage))

    def _test(self, receiver: Receiver, senders: list[Sender]) -> Iterator[Event]:
        cut: list[Sender] = []
        stays: set[Sender] = set()  # guessed from what was computed beyond a surprise
        replayed = self.tape.decides_all(len(senders))
        at = 0
        while at < len(senders):
            batch = senders[at : at + self.rule.batch_size]
            outcome = (
                [self._replayed(ahead) for ahead in range(len(batch))]
                if replayed
                else self._evaluated(receiver, cut, batch, stays)
            )
            for sender, decision in zip(batch, outcome, strict=False):
                assert decision is not None
                if not decision.kept:
                    cut.append(sender)
                self.damage = decision.damage
                edge = Edge(sender, receiver)
                yield from self._decide(edge, decision)
            at += len(outcome)
        self.evaluator.commit(receiver, cut)

    def _evaluated(
        self, receiver: Receiver, cut: list[Sender], batch: list[Sender], stays: set[Sender]
    ) -> list["_Decision"]:
        """Return the decisions up to and including the first that was guessed wrongly.

        ``stays`` is read for the guesses and told what the rest of the batch suggests. A decision
        that is recorded counts as recorded, whatever this machine computes.
        """
        paths: list[list[Sender]] = []
        path = list(cut)
        for sender in batch:
            paths.append(list(path))
            if sender not in stays:
                path.append(sender)
        outcome: list[_Decision] = []
        surprised = False
        before = self.damage
        proposals = [[*path, sender] for path, sender in zip(paths, batch, strict=True)]
        damages = self.evaluator.damages(receiver, proposals)
        for ahead, (sender, damage) in enumerate(zip(batch, damages, strict=True)):
            guess = sender in stays
            keep = self.rule.keeps(damage - before)
            if surprised:
                (stays.add if keep else stays.discard)(sender)
            else:
                effect = _finite(damage, receiver) - before
                decision = self._recorded(ahead, receiver, paths[ahead], sender)
                if decision is None:
                    effect, screened = self._confirmed(receiver, paths[ahead], sender, effect)
                    keep = self.rule.keeps(effect)
                    after = before if keep else damage
                    decision = _Decision(effect, after, keep, screened)
                outcome.append(decision)
                surprised = decision.kept != guess
            if not guess:
                before = damage
        return outcome

    def _recorded(
        self, ahead: int, receiver: Receiver, cut: Sequence[Sender], sender: Sender
    ) -> "_Decision | None":
        """Return the recorded decision, if there is one, after evaluating what it rests on."""
        decision = self.tape.decision(ahead)
        if self.judge and decision is not None and decision.screened is not None:
            self.judge.repeat(receiver, cut, sender)
        return self._replayed(ahead)

    def _replayed(self, ahead: int) -> "_Decision | None":
        decision = self.tape.decision(ahead)
        if decision is not None and self.judge:
            self.judge.recall(decision.effect, decision.screened)
        return decision

    def _confirmed(
        self, receiver: Receiver, cut: Sequence[Sender], sender: Sender, effect: float
    ) -> tuple[float, float | None]:
        """Return the effect that decides, and the one it replaces."""
        true = self.judge.confirm(receiver, cut, sender, effect) if self.judge else None
        return (effect, None) if true is None else (true, effect)

    def _decide(self, edge: Edge, decision: _Decision, *, skipped: bool = False) -> Iterator[Event]:
        if decision.kept:
            self.alive.add(edge.sender.name)
        event = EdgeTested(
            self.number, edge.name, decision.effect, decision.kept, self.damage, skipped,
            decision.screened,
        )  # fmt: skip
        self.number += 1
        yield from self._new(event)


def _finite(damage: float, receiver: Receiver) -> float:
    if not math.isfinite(damage):
        raise SearchFailed(
            f"The damage became {damage} while the edges into {receiver.name} were tested.",
            why="a comparison with it decides nothing: the model's numbers overflowed, or the "
            "metric is undefined for some prompt",
            fix="try --policy fp32 or --metric kl, and look at the prompts",
        )
    return damage
