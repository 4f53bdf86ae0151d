"""Made-up finished runs that differ a little, as runs in different precision do."""

import json
import random
from dataclasses import replace
from pathlib import Path

from made_logs import TAU, TINY, made_log

from pahq.discovery.events import EdgeTested, FocusChanged, RunFinished, RunStarted, to_line
from pahq.graph.build import GraphShape
from pahq.graph.circuit import Circuit
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder

LOW = {"fp32": "fp32", "rtn-int8": "int8", "pahq-int8": "int8"}
NOISE = {"fp32": 0.0, "rtn-int8": 0.2, "pahq-int8": 0.0}  # of each effect; PAHQ finds the same
SECONDS = {"fp32": 8.0, "rtn-int8": 2.0, "pahq-int8": 4.0}


def write_finished(
    path: Path, policy: str, *, shape: GraphShape = TINY, noise: float | None = None, **settings
) -> RunFolder:
    """Write a finished run; every policy sees the same effects, but for its ``noise``."""
    path.mkdir(parents=True)
    known = {"model": "tiny-gpt", "task": "ioi", "threshold": TAU, "examples": 50}
    config = RunConfig(**known | settings, policy=policy)
    (path / "config.json").write_text(config.as_json())
    rng = random.Random(policy)
    noise = NOISE[policy] if noise is None else noise
    lines = []
    for t, event in made_log(shape, policy="fp32"):
        if isinstance(event, RunStarted):
            formats = dict.fromkeys(event.formats, LOW[policy])
            event = replace(event, policy=policy, formats=formats)
        elif isinstance(event, FocusChanged) and policy.startswith("pahq"):
            event = replace(event, formats={event.focus: "fp32"})
        elif isinstance(event, EdgeTested) and not event.skipped:
            effect = event.effect * (1 + rng.gauss(0, noise))
            event = replace(event, effect=effect, kept=effect >= config.threshold)
        lines.append(to_line(event, t=t))
    (path / "events.jsonl").write_text("".join(lines))
    run = RunFolder(path)
    write_results(run)
    return run


def write_results(run: RunFolder) -> None:
    """Write the circuit and the summary that belong to the log of a finished run."""
    events, config = run.events(), run.config
    started = next(event for event in events if isinstance(event, RunStarted))
    decisions = [event for event in events if isinstance(event, EdgeTested)]
    effects = {event.edge: event.effect for event in decisions}
    kept = frozenset(event.edge for event in decisions if event.kept)
    circuit = Circuit(GraphShape(**started.shape), effects, kept, about={"format_version": 1})
    (run.path / "circuit.json").write_text(json.dumps(circuit.to_json()))
    ending = next(event for event in events if isinstance(event, RunFinished))
    summary = ending.summary | {
        "edges_kept": len(kept),
        "wall_s": SECONDS[config.policy],
        "peak_bytes": 600_000_000,
        "baseline_bytes": 450_000_000,
    }
    (run.path / "summary.json").write_text(json.dumps(summary))
