"""Made-up but well-formed logs: what a search would write, without a model."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

from pahq.discovery.events import (
    EdgeTested,
    Event,
    FocusChanged,
    ReceiverStarted,
    RunFinished,
    RunStarted,
    to_line,
)
from pahq.graph.build import Graph, GraphShape
from pahq.graph.circuit import Circuit
from pahq.graph.nodes import Receiver, SenderKind
from pahq.runs.config import RunConfig

TINY = GraphShape(n_layers=4, n_heads=8, d_model=128)
SMALL = GraphShape(n_layers=12, n_heads=12, d_model=768)
TAU = 0.01


def made_log(
    shape: GraphShape = TINY,
    *,
    policy: str = "pahq-int8",
    seed: int = 0,
    threshold: float = TAU,
    test_seconds: float = 0.012,
) -> Iterator[tuple[float, Event]]:
    """Yield (seconds, event) of a plausible search over ``shape``."""
    rng = random.Random(f"made/{seed}/{policy}")
    graph = Graph(shape)
    low = {"fp32": "fp32", "rtn-int8": "int8", "pahq-int8": "int8"}[policy]
    formats = dict.fromkeys(graph.components, low) | {"input": "fp32"}
    weights = _weights(graph)
    yield (
        0.0,
        RunStarted(
            "tiny-gpt", shape.as_dict(), "ioi", "acdc", policy, threshold, graph.edge_count,
            formats=formats, weights=weights,
        ),
    )  # fmt: skip
    importance = {s.name: rng.lognormvariate(-1.9, 1.5) for s in graph.senders}
    alive: set[str] = {"logits"}
    t, damage, i, kept_count, skipped_count, focus = 0.0, 0.0, 0, 0, 0, ""
    for receiver in graph.receivers:
        yield t, ReceiverStarted(receiver.name)
        dead = not set(graph.readers(receiver.component)) & alive
        if not dead and receiver.component != focus:
            focus = receiver.component
            raised = {focus: "fp32"} if policy.startswith("pahq") else {}
            yield t, FocusChanged(focus, raised, damage)
        for sender in graph.senders_to(receiver):
            name = f"{sender.name}->{receiver.name}"
            if dead:
                yield t, EdgeTested(i, name, 0.0, False, damage, skipped=True)
                skipped_count += 1
            else:
                t += test_seconds * rng.uniform(0.7, 1.4)
                effect = _effect(rng, importance[sender.name], receiver)
                kept = effect >= threshold
                damage = damage if kept else max(0.0, damage + effect * 0.25)
                if kept:
                    kept_count += 1
                    if sender.kind is not SenderKind.INPUT:
                        alive.add(sender.name)
                yield t, EdgeTested(i, name, effect, kept, damage)
            i += 1
    summary = {
        "status": "finished", "edges_total": i, "edges_kept": kept_count, "nodes_kept": len(alive),
        "damage": damage * 1.02, "damage_under_policy": damage, "damage_nothing_kept": 3.4,
        "damage_everything_kept": 0.0, "unit": "nats", "wall_s": t, "tests_run": i - skipped_count,
        "tests_skipped": skipped_count, "peak_bytes": 412_000_000, "noise_floor": 2e-5,
    }  # fmt: skip
    yield t, RunFinished(summary)


def _effect(rng: random.Random, importance: float, receiver: Receiver) -> float:
    scale = {"logits": 0.05, "mlp": 0.012, "v": 0.012, "k": 0.006, "q": 0.006}[receiver.kind]
    size = scale * importance * rng.lognormvariate(-0.9, 1.1)
    return size if rng.random() < 0.85 else -size * 0.3


def _weights(graph: Graph) -> dict[str, int]:
    width = graph.shape.d_model
    head = 4 * width * width // graph.shape.n_heads
    count = {"a": head, "m": 8 * width * width, "i": 1000 * width, "l": 1000 * width}
    return {name: count[name[0]] for name in graph.components}


def events(**settings) -> list[Event]:
    return [event for _, event in made_log(**settings)]


def records(**settings) -> list[dict]:
    return [json.loads(to_line(event, t=t)) for t, event in made_log(**settings)]


def sensitivity_record(shape: GraphShape = TINY) -> dict:
    """What a run with the policy pahq-auto writes: INT8 costs 1e-8 of the first to 1e-5 nats."""
    names = Graph(shape).components
    costs = [10 ** (-8 + 3 * i / (len(names) - 1)) for i in range(len(names))]
    return {
        "unit": "nats", "noise_budget": 1e-3, "noise": 4.2e-5, "pairs": 50,
        "formats": {n: "bf16" if c > 5e-6 else "int8" for n, c in zip(names, costs, strict=True)},
        "sensitivity": {
            n: {"bf16": c / 100, "int8": c} for n, c in zip(names, costs, strict=True)
        },
    }  # fmt: skip


def circuit_record(log: list[Event], shape: GraphShape) -> dict:
    decisions = [event for event in log if isinstance(event, EdgeTested)]
    effects = {event.edge: event.effect for event in decisions}
    kept = frozenset(event.edge for event in decisions if event.kept)
    return Circuit(shape, effects, kept, frozenset(), {}).to_json()


def write_run(path: Path, *, upto: int | None = None, **settings) -> Path:
    """Write a run folder; ``upto`` leaves it unfinished after that many decisions."""
    path.mkdir(parents=True, exist_ok=True)
    policy = settings.get("policy", "pahq-int8")
    config = RunConfig(model="tiny-gpt", task="ioi", threshold=TAU, policy=policy)
    (path / "config.json").write_text(config.as_json())
    lines, decided, summary = [], 0, None
    for t, event in made_log(**settings):
        if isinstance(event, EdgeTested):
            if upto is not None and decided >= upto:
                break
            decided += 1
        if isinstance(event, RunFinished):
            summary = event.summary
        lines.append(to_line(event, t=t))
    (path / "events.jsonl").write_text("".join(lines))
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
        state = {"pid": 1, "heartbeat": time.time(), "phase": "finished", "detail": ""}
        (path / "state.json").write_text(json.dumps(state))
        circuit = circuit_record(events(**settings), settings.get("shape", TINY))
        (path / "circuit.json").write_text(json.dumps(circuit))
    return path
