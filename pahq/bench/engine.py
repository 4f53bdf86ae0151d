"""``pahq bench engine``: what a search costs, against one full forward per edge."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pahq.bench.measure import in_own_process
from pahq.bench.planted import moved
from pahq.bench.prompts import NOISE, SMALL, make_planted
from pahq.bench.results import record, say

PAIRS = 50
BRIDGE_SAMPLES = 7
SHIPPED = {
    "tiny-gpt": ("ioi", "greater-than", "docstring", "induction", "pronoun"),
    "attn-2l": ("induction",),
    "hand-induction": ("induction",),
}


def at_size(
    thresholds: Sequence[float],
    *,
    model: str | None = None,
    task: str | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure searches at GPT-2 small's size.

    Args:
        thresholds: one search for each.
        model: a model's directory; by default one is made that contains a shipped model.
        task: for a model of one's own, the task's name or file; by default ``ioi``.
        device: where both engines compute.

    Returns:
        A record: each search of the fast engine with its ratios to the bridge, and the peak
        memory of both above what a process holds without a model.
    """
    with tempfile.TemporaryDirectory() as folder:
        planted: tuple[int, ...] = ()
        target, prompts = model, task or "ioi"
        if target is None:
            say("making a model of GPT-2 small's shape")
            made = make_planted(Path(folder), pairs=PAIRS)
            target, prompts, planted = made.model, made.task, made.places
        config = {"model": target, "task": prompts, "examples": PAIRS, "device": device}
        searches = []
        for threshold in thresholds:
            say(f"searching at a threshold of {threshold:g}")
            found = in_own_process(
                what="search", config={**config, "threshold": threshold},
                bridge_samples=BRIDGE_SAMPLES,
            )  # fmt: skip
            if planted:
                found |= _found_again(found["kept"], planted, {**config, "threshold": threshold})
            found.pop("kept")
            searches.append({**found, **_ratios(found)})
        say("measuring the bridge engine's memory")
        bridge = in_own_process(
            what="bridge memory", config={**config, "threshold": 1.0}, bridge_samples=3
        )
    return record(
        "engine-at-size" if model is None else f"engine-{Path(model).name}",
        command="pahq bench engine" + (f" --model {model}" if model else ""),
        device=device,
        model={"planted": SMALL, "noise": NOISE} if planted else {"directory": Path(target).name},
        metric="kl",
        searches=searches,
        bridge_memory=bridge,
    )


def shipped(threshold: float = 0.01, *, device: str = "cpu") -> dict[str, Any]:
    """Measure whole searches of the shipped models with both engines."""
    rows = []
    for model, tasks in SHIPPED.items():
        for task in tasks:
            say(f"searching {model} on {task} with both engines")
            config = {
                "model": model, "task": task, "threshold": threshold, "examples": PAIRS,
                "device": device,
            }  # fmt: skip
            fast = in_own_process(what="search", config=config, bridge_samples=0)
            bridge = in_own_process(what="whole bridge", config=config)
            same = fast.pop("kept") == bridge.pop("kept")
            rows.append(
                {"model": model, "task": task, **fast, "bridge_seconds": bridge["seconds"],
                 "ratio": bridge["seconds"] / fast["seconds"], "same_circuit": same}
            )  # fmt: skip
    return record("engine-shipped", command="pahq bench engine", device=device, searches=rows)


def _found_again(
    kept: Sequence[str], planted: tuple[int, ...], config: dict[str, Any]
) -> dict[str, int]:
    """Return how many edges the small model's own circuit has, and how many were found again."""
    config = {**config, "model": SMALL}
    small = in_own_process(what="search", config=config, bridge_samples=0)["kept"]
    wanted = {moved(edge, planted) for edge in small}
    return {"planted_edges": len(wanted), "planted_found": len(wanted & set(kept))}


def _ratios(found: dict[str, Any]) -> dict[str, float]:
    one = statistics.mean(found["bridge_seconds"].values())
    return {
        "bridge_seconds_per_test": one,
        "ratio_every_edge": one * found["edges"] / found["seconds"],
        "ratio_live_tests": one * found["tests"] / found["seconds"],
    }
