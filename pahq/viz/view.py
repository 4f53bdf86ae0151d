"""What a run looks like after some of its decisions: events in, plain facts out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pahq.discovery.events import (
    EdgeTested,
    Event,
    FocusChanged,
    ReceiverStarted,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStopped,
)
from pahq.graph.build import Graph, GraphShape

TRAIL = 10  # components that were in focus before, shown fading
FLASH = 30  # removed edges that are still shown


@dataclass(frozen=True)
class View:
    """A run after ``step`` decisions.

    Attributes:
        run: how the run began.
        step: decisions so far, of ``run.edges``.
        kept: decisions that kept their edge, in order.
        fading: the last removed edges, oldest first.
        skipped: decisions without a test.
        receiver: whose senders are being tested; None before the first.
        focus: the component under test; None before the first.
        trail: components that were in focus before, latest last.
        formats: component -> format, now.
        raised: component -> how often its format differed from the background plan.
        damage: damage of the cuts so far; None before it is known.
        damages: (edges that remain, damage) after each decision that was tested.
        ending: ``finished``, ``stopped``, ``failed`` or None while it runs or replays.
        summary: summary.json's content at the end of a finished run.
        error: what, why, fix of a failed run.
    """

    run: RunStarted
    step: int = 0
    kept: tuple[EdgeTested, ...] = ()
    fading: tuple[EdgeTested, ...] = ()
    skipped: int = 0
    receiver: str | None = None
    focus: str | None = None
    trail: tuple[str, ...] = ()
    formats: dict[str, str] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)
    damage: float | None = None
    damages: tuple[tuple[int, float], ...] = ()
    ending: str | None = None
    summary: dict[str, Any] | None = None
    error: dict[str, str] | None = None

    @property
    def shape(self) -> GraphShape:
        """The model's shape."""
        return GraphShape(**self.run.shape)

    @property
    def graph(self) -> Graph:
        """The model's full graph."""
        return Graph(self.shape)

    @property
    def in_circuit(self) -> frozenset[str]:
        """Nodes that a kept edge leaves; input and logits always."""
        return frozenset({"input", "logits"} | {ends(d.edge)[0] for d in self.kept})

    @property
    def remaining(self) -> int:
        """Edges not cut so far."""
        return self.run.edges - self.step + len(self.kept)


def ends(edge: str) -> tuple[str, str]:
    """Return sender and receiver of an edge's name."""
    sender, _, receiver = edge.partition("->")
    return sender, receiver


def component(receiver: str) -> str:
    """Return the component of a receiver: ``a1.h2<q>`` -> ``a1.h2``."""
    return receiver.partition("<")[0]


def view_at(events: Sequence[Event], step: int | None = None) -> View | None:
    """Return the run after ``step`` decisions, or after all of them.

    None before the first event. What happened between the last counted decision and the next
    one (a change of focus) belongs to the view, so that the scrubber shows what comes next.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        return None
    reader = _Reader(started)
    for event in events:
        done = reader.step
        if step is not None and isinstance(event, EdgeTested) and done >= step:
            break
        reader.read(event)
    return reader.view()


class _Reader:
    def __init__(self, run: RunStarted):
        self.run = run
        self.step = 0
        self.skipped = 0
        self.kept: list[EdgeTested] = []
        self.removed: list[EdgeTested] = []
        self.receiver: str | None = None
        self.focuses: list[str] = []
        self.formats = dict(run.formats)
        self.raised: dict[str, int] = {}
        self.damage: float | None = None
        self.damages: list[tuple[int, float]] = []
        self.ending: dict[str, Any] = {}

    def read(self, event: Event) -> None:
        if isinstance(event, EdgeTested):
            self._decision(event)
        elif isinstance(event, ReceiverStarted):
            self.receiver = event.receiver
        elif isinstance(event, FocusChanged):
            self.focuses.append(event.focus)
            self.formats = {**self.run.formats, **event.formats}
            self.damage = event.before
            for name in event.formats:
                self.raised[name] = self.raised.get(name, 0) + 1
        elif isinstance(event, RunFinished):
            self.ending = {"ending": "finished", "summary": event.summary}
        elif isinstance(event, RunStopped):
            self.ending = {"ending": "stopped"}
        elif isinstance(event, RunFailed):
            self.ending = {"ending": "failed", "error": event.error}

    def _decision(self, event: EdgeTested) -> None:
        self.step += 1
        self.skipped += event.skipped
        self.damage = event.damage
        (self.kept if event.kept else self.removed).append(event)
        if not event.skipped:
            remaining = self.run.edges - self.step + len(self.kept)
            self.damages.append((remaining, event.damage))

    def view(self) -> View:
        over = bool(self.ending)
        return View(
            run=self.run,
            step=self.step,
            kept=tuple(self.kept),
            fading=() if over else tuple(d for d in self.removed if not d.skipped)[-FLASH:],
            skipped=self.skipped,
            receiver=None if over else self.receiver,
            focus=None if over or not self.focuses else self.focuses[-1],
            trail=() if over else tuple(self.focuses[-1 - TRAIL : -1]),
            formats=dict(self.run.formats) if over else self.formats,
            raised=self.raised,
            damage=self.damage,
            damages=tuple(self.damages),
            **self.ending,
        )
