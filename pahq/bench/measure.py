"""One measurement in a process of its own, so that its peak memory is its own.

``python -m pahq.bench.measure`` reads its settings as JSON from stdin and prints what it found.
"""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from pahq.bench.results import say
from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import EdgeTested
from pahq.discovery.screen import ScreeningEvaluator
from pahq.engine.bridge import BridgeEvaluator
from pahq.engine.fast import FastEvaluator
from pahq.engine.propagate import Shortcuts
from pahq.errors import SearchFailed
from pahq.graph.nodes import Receiver
from pahq.precision.formats import find_format
from pahq.precision.native import describe
from pahq.precision.policy import RECIPES
from pahq.runs.config import RunConfig, make_config
from pahq.runs.memory import PeakMemory, held_bytes
from pahq.runs.pipeline import Session, find_device
from pahq.runs.prepare import Prepared, policy_of

ROUNDS = 3
Name = TypeVar("Name", bound=Hashable)


def fastest_in_turn(
    measure: Callable[[Name], dict[str, Any]],
    names: Sequence[Name],
    what: str,
    rounds: int = ROUNDS,
) -> dict[Name, dict[str, Any]]:
    """Return what the fastest of several rounds found, and the highest peak memory of all.

    Each round measures everything once: what slows the machine for minutes should not fall on one
    of them alone.

    Raises:
        SearchFailed: if two rounds found different circuits.
    """
    best: dict[Name, dict[str, Any]] = {}
    for number in range(rounds):
        for name in names:
            say(f"{what}, {name}, {number + 1} of {rounds}")
            found, known = measure(name), best.get(name)
            if known is not None:
                if found["kept"] != known["kept"]:
                    raise SearchFailed(
                        f"Two searches of {name} found different circuits.",
                        why="nothing in a search is left to chance",
                        fix="report it, with the model, the task and the policy",
                    )
                peak = max(found["peak_bytes"], known["peak_bytes"])
                found = min(found, known, key=lambda one: one["seconds"]) | {"peak_bytes": peak}
            best[name] = found
    return best


def in_own_process(**settings: Any) -> Any:
    """Return what a process of its own measures.

    Args:
        settings: ``what`` (``search`` or ``bridge``), and fields of ``RunConfig``.

    Raises:
        SearchFailed: if that process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pahq.bench.measure"],
        input=json.dumps(settings), stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SearchFailed(
            "A measurement ended with an error.",
            why=f"its process ended with exit status {done.returncode}",
            fix="see its message above",
        )
    return json.loads(done.stdout)


def search(
    config: dict[str, Any], *, bridge_samples: int, shortcuts: dict[str, bool] | None = None
) -> dict[str, Any]:
    """Measure a whole search of the fast engine, then the bridge's tests in the same process."""
    session, baseline, memory = _begin(make_config(**config))
    prepared = session.prepare(make_config(**config))
    rule = prepared.rule
    started = time.perf_counter()
    evaluator = FastEvaluator(
        prepared.problem(prepared.policy),
        prepared.weights,
        shortcuts=Shortcuts(**(shortcuts or {})),
        multiply=prepared.products,
        pages=prepared.pages,
    )
    opened = time.perf_counter()
    events = list(acdc(prepared.graph, evaluator, rule))
    seconds = time.perf_counter() - opened
    peak = memory.peak
    decisions = [event for event in events if isinstance(event, EdgeTested)]
    found = {
        "threshold": prepared.config.threshold,
        "batch_size": rule.batch_size,
        "edges": prepared.graph.edge_count,
        "edges_kept": sum(event.kept for event in decisions),
        "kept": [event.edge for event in decisions if event.kept],
        "tests": sum(not event.skipped for event in decisions),
        "evaluations": evaluator.evaluations,
        "prompts_followed": evaluator.followed,
        "seconds": seconds,
        "seconds_to_open": opened - started,
        "peak_bytes": peak,
        "baseline_bytes": baseline,
        "prompts": len(prepared.pairs),
        "tokens": sorted({len(pair.clean) for pair in prepared.pairs}),
    }
    del evaluator
    if bridge_samples:
        found["bridge_seconds"] = _bridge_seconds(prepared, bridge_samples)
    return found


def searches(configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measure searches one after the other, in one process, under whatever policy they ask for."""
    settings = [make_config(**config) for config in configs]
    session, baseline, memory = _begin(settings[0])
    return [_one(session.prepare(config), baseline, memory) for config in settings]


def _one(prepared: Prepared, baseline: int, memory: PeakMemory) -> dict[str, Any]:
    before, evaluator = prepared.baseline, prepared.evaluator()
    started = time.perf_counter()
    events = list(acdc(prepared.graph, evaluator, prepared.rule))
    seconds = time.perf_counter() - started
    decisions = [event for event in events if isinstance(event, EdgeTested)]
    found: dict[str, Any] = {
        "seconds": seconds,
        "edges": prepared.graph.edge_count,
        "edges_kept": sum(event.kept for event in decisions),
        "kept": [event.edge for event in decisions if event.kept],
        "tests": sum(not event.skipped for event in decisions),
        "noise_floor": before.noise_floor,
        "peak_bytes": memory.peak,
        "baseline_bytes": baseline,
        "formats": {
            name: describe(find_format(name), prepared.device.type)
            for name in prepared.policy.formats_used(prepared.graph)
        },
    }
    if isinstance(evaluator, ScreeningEvaluator):
        found["screening"] = asdict(evaluator.found)
    if prepared.assignment is not None:
        found["assigned"] = dict(Counter(prepared.assignment.formats.values()))
    return found


def whole_bridge(config: dict[str, Any]) -> dict[str, Any]:
    """Measure a whole search of the bridge engine."""
    session = Session()
    prepared = session.prepare(make_config(**config, engine="bridge"))
    evaluator = prepared.evaluator()
    started = time.perf_counter()
    events = list(acdc(prepared.graph, evaluator, Rule(threshold=prepared.config.threshold)))
    return {
        "seconds": time.perf_counter() - started,
        "kept": [e.edge for e in events if isinstance(e, EdgeTested) and e.kept],
    }


def bridge_memory(config: dict[str, Any], *, bridge_samples: int) -> dict[str, Any]:
    """Measure the peak of the bridge evaluator, from loading on."""
    settings = make_config(**config, engine="bridge")
    session, baseline, memory = _begin(settings)
    prepared = session.prepare(settings)
    _bridge_seconds(prepared, bridge_samples)
    return {"peak_bytes": memory.peak, "baseline_bytes": baseline}


def _begin(config: RunConfig) -> tuple[Session, int, PeakMemory]:
    session = Session()
    session.warm(policy_of(config))
    device = find_device(config.device)
    return session, held_bytes(device), PeakMemory(device)


def _bridge_seconds(prepared: Prepared, samples: int) -> dict[str, float]:
    """Return the seconds of one bridge test at receivers spread over the depth of the model."""
    evaluator = BridgeEvaluator(prepared.problem(RECIPES["fp32"]), prepared.model.moved_bridge())
    receivers = prepared.graph.receivers
    spread = [receivers[i * (len(receivers) - 1) // (samples - 1)] for i in range(samples)]
    evaluator.damages(spread[0], [[]])  # the first is slower
    return {receiver.name: _seconds(evaluator, prepared, receiver) for receiver in spread}


def _seconds(evaluator: BridgeEvaluator, prepared: Prepared, receiver: Receiver) -> float:
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        evaluator.damages(receiver, [[prepared.graph.senders_to(receiver)[0]]])
        taken.append(time.perf_counter() - started)
    return statistics.mean(taken)


KINDS = {
    "search": search,
    "searches": searches,
    "whole bridge": whole_bridge,
    "bridge memory": bridge_memory,
}


def main() -> None:
    """Measure what stdin asks for."""
    settings = json.load(sys.stdin)
    print(json.dumps(KINDS[settings.pop("what")](**settings)))


if __name__ == "__main__":
    main()
