"""What a search says while it goes on: one JSON object a line of ``events.jsonl``.

Reading ignores fields it does not know, so that a newer pahq's runs can still be shown.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Base of all events; ``type`` names the class in the file."""

    type: ClassVar[str]


@dataclass(frozen=True)
class RunStarted(Event):
    """First event of a run.

    Attributes:
        model: the model's name or directory.
        shape: the graph's shape (``GraphShape.as_dict``).
        task: the task's name or file.
        method: how edges are chosen (``acdc``).
        policy: name of the precision policy.
        threshold: tau, in the metric's unit.
        edges: number of edges, each of which gets one ``EdgeTested``.
        metric: name of the damage.
        unit: unit of the damage.
        formats: background plan: component -> number format.
        weights: component -> number of its weights, for sums of bytes; may be empty.
    """

    type: ClassVar[str] = "run_started"
    model: str
    shape: dict[str, Any]
    task: str
    method: str
    policy: str
    threshold: float
    edges: int
    metric: str = "kl"
    unit: str = "nats"
    formats: dict[str, str] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReceiverStarted(Event):
    """The senders of ``receiver`` are tested from here on."""

    type: ClassVar[str] = "receiver_started"
    receiver: str


@dataclass(frozen=True)
class FocusChanged(Event):
    """The precision plan changed.

    Attributes:
        focus: the component under test.
        formats: components whose format now differs from the background plan.
        before: damage of the cuts so far, measured anew under this plan.
    """

    type: ClassVar[str] = "focus_changed"
    focus: str
    formats: dict[str, str]
    before: float


@dataclass(frozen=True)
class EdgeTested(Event):
    """One decision.

    Attributes:
        i: number of the decision, from 0 in visit order.
        edge: the edge's name.
        effect: damage with it patched minus damage before, in the metric's unit.
        kept: whether it stays in the circuit.
        damage: damage after the decision.
        skipped: decided without a test, since nothing kept leads from it to ``logits``.
        screened: the effect in low precision, where FP32 had to decide; ``effect`` is then FP32's.
    """

    type: ClassVar[str] = "edge_tested"
    i: int
    edge: str
    effect: float
    kept: bool
    damage: float
    skipped: bool = False
    screened: float | None = None


@dataclass(frozen=True)
class RunResumed(Event):
    """A later process went on with this run; ``decided`` edges were replayed."""

    type: ClassVar[str] = "run_resumed"
    decided: int


@dataclass(frozen=True)
class RunFinished(Event):
    """Last event of a complete run; ``summary`` as in ``summary.json``."""

    type: ClassVar[str] = "run_finished"
    summary: dict[str, Any]


@dataclass(frozen=True)
class RunStopped(Event):
    """The user stopped the run; what was decided is kept."""

    type: ClassVar[str] = "run_stopped"
    decided: int


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended by an error: ``{"what", "why", "fix"}``."""

    type: ClassVar[str] = "run_failed"
    error: dict[str, str]


EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        RunStarted,
        ReceiverStarted,
        FocusChanged,
        EdgeTested,
        RunResumed,
        RunFinished,
        RunStopped,
        RunFailed,
    )
}
ENDINGS = (RunFinished, RunStopped, RunFailed)


def to_line(event: Event, *, t: float) -> str:
    """Return the line of ``events.jsonl`` for an event at ``t`` seconds of search."""
    record = {"type": event.type, "t": round(t, 4), **asdict(event)}
    # Floats are written so that they read back bit for bit: a resumed run must go on exactly.
    return json.dumps(record, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n"


def from_record(record: dict[str, Any]) -> Event | None:
    """Return the event of one parsed line; None for a type this version does not know.

    Raises:
        ValueError: if a field is missing.
    """
    kind = EVENTS.get(record.get("type", ""))
    if kind is None:
        return None
    known = {f.name for f in fields(kind)}
    try:
        return kind(**{name: value for name, value in record.items() if name in known})
    except TypeError as error:
        raise ValueError(str(error)) from None
