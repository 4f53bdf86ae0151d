"""The log of a run as the browser holds it: a header once, then one short row a decision.

The browser draws every step by itself, so scrubbing and replay ask nothing of the server. Rows:
``[s, r, kept, effect, damage, t]`` tested · ``[s, r]`` skipped · ``["f", focus, formats,
before, t]`` · ``["r", receiver, t]`` · ``["resumed"]``, with ``s`` and ``r`` indices into
the header's senders and receivers.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pahq.discovery.events import (
    ENDINGS,
    EdgeTested,
    Event,
    FocusChanged,
    ReceiverStarted,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    from_record,
)
from pahq.graph.build import Graph, GraphShape
from pahq.viz.compact import compact
from pahq.viz.layout import HEAD_HEIGHT, Layout
from pahq.viz.view import ends

DIGITS = 5  # significant digits sent to the browser; circuit.json keeps all


class Feed:
    """Reads the records of events.jsonl as they come.

    Attributes:
        header: what the rows refer to; None before ``run_started``.
        rows: every row so far.
        ending: ``{"type", ...}`` of the last event, or None while the run goes on.
        compact: where the nodes of the circuit stand when it is drawn close together; None
            while the run goes on.
        decided: number of decisions.
        kept: how many of them kept their edge.
        skipped: how many needed no test.
        last_t: seconds of search at the last decision.
    """

    def __init__(self) -> None:
        self.header: dict[str, Any] | None = None
        self.rows: list[list[Any]] = []
        self.ending: dict[str, Any] | None = None
        self.compact: dict[str, Any] | None = None
        self.decided = 0
        self.kept = 0
        self.skipped = 0
        self.last_t = 0.0
        self._shape: GraphShape | None = None
        self._senders: dict[str, int] = {}
        self._receivers: dict[str, int] = {}

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Take more records; damaged ones and unknown types are passed over."""
        for record in records:
            try:
                event = from_record(record)
            except ValueError:
                continue
            if event is not None:
                self._event(event, float(record.get("t", 0.0)))

    def kept_pairs(self) -> list[tuple[str, str]]:
        """Return the drawn nodes at both ends of each kept edge."""
        if self.header is None:
            return []
        nodes, senders, receivers = (self.header[k] for k in ("nodes", "senders", "receivers"))
        return [
            (nodes[senders[row[0]]][0], nodes[receivers[row[1]][1]][0])
            for row in self.rows
            if isinstance(row[0], int) and len(row) > 2 and row[2]
        ]

    def decision_numbers(self) -> dict[str, int]:
        """Return each decided edge's name -> the number of its decision, from 0."""
        if self.header is None:
            return {}
        nodes, senders, receivers = (self.header[k] for k in ("nodes", "senders", "receivers"))
        decisions = (row for row in self.rows if isinstance(row[0], int))
        return {
            f"{nodes[senders[sender]][0]}->{receivers[receiver][0]}": i
            for i, (sender, receiver, *_) in enumerate(decisions)
        }

    def _event(self, event: Event, t: float) -> None:
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, ENDINGS):
            self.ending = {"type": event.type}
            if isinstance(event, RunFinished):
                self.ending["summary"] = event.summary
            elif isinstance(event, RunFailed):
                self.ending["error"] = event.error
            self.compact = compact(self._shape, self.kept_pairs()) if self._shape else None
        elif self.header is not None:
            self._row(event, t)

    def _begin(self, event: RunStarted) -> None:
        graph = Graph(GraphShape(**event.shape))
        self._shape = graph.shape
        self.header = header(event, graph)
        self._senders = {s.name: i for i, s in enumerate(graph.senders)}
        self._receivers = {r.name: i for i, r in enumerate(graph.receivers)}

    def _row(self, event: Event, t: float) -> None:
        if isinstance(event, EdgeTested):
            sender, receiver = ends(event.edge)
            if sender not in self._senders or receiver not in self._receivers:
                return
            row: list[Any] = [self._senders[sender], self._receivers[receiver]]
            if not event.skipped:
                row += [int(event.kept), short(event.effect), short(event.damage), round(t, 3)]
            self.decided += 1
            self.kept += event.kept
            self.skipped += event.skipped
            self.last_t = t
            self.rows.append(row)
        elif isinstance(event, FocusChanged):
            self.rows.append(["f", event.focus, event.formats, short(event.before), round(t, 3)])
        elif isinstance(event, ReceiverStarted):
            self.rows.append(["r", event.receiver, round(t, 3)])
        elif isinstance(event, RunResumed):
            self.ending = self.compact = None
            self.rows.append(["resumed"])


def feed_of(records: Sequence[dict[str, Any]]) -> Feed:
    """Return the feed of a whole log."""
    feed = Feed()
    feed.add(records)
    return feed


def header(run: RunStarted, graph: Graph) -> dict[str, Any]:
    """Return names, positions and counts that the rows refer to."""
    layout = Layout(graph.shape)
    index = layout.index
    incoming = [0] * len(layout.nodes)
    outgoing = [0] * len(layout.nodes)
    for receiver in graph.receivers:
        senders = graph.senders_to(receiver)
        incoming[index[layout.drawn(receiver.component)]] += len(senders)
        for sender in senders:
            outgoing[index[sender.name]] += 1
    return {
        "model": run.model,
        "task": run.task,
        "method": run.method,
        "policy": run.policy,
        "threshold": run.threshold,
        "metric": run.metric,
        "unit": run.unit,
        "edges": run.edges,
        "formats": run.formats,
        "weights": run.weights,
        "nodes": [[n.name, n.kind, n.layer, n.slot, n.x, n.y] for n in layout.nodes],
        "cells": layout.cells,
        "senders": [index[s.name] for s in graph.senders],
        "receivers": [
            [r.name, index[layout.drawn(r.component)], r.kind.value] for r in graph.receivers
        ],
        "incoming": incoming,
        "outgoing": outgoing,
        "floors": [layout.floor(layer) for layer in range(graph.shape.n_layers)],
        "size": {
            "layers": graph.shape.n_layers,
            "heads": graph.shape.n_heads,
            "mlp": graph.shape.mlp,
            "band": layout.band,
            "head_row": HEAD_HEIGHT / 2,
            "width": layout.width,
            "height": layout.height,
        },
    }


def short(number: float) -> float:
    """Return ``number`` with as many digits as a screen needs."""
    return float(f"{number:.{DIGITS}g}")
