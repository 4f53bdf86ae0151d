"""``pahq bench precision``: what every policy costs, saves and changes on this machine."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pahq import catalog
from pahq.bench.engine import PAIRS, SHIPPED
from pahq.bench.measure import ROUNDS, fastest_in_turn, in_own_process
from pahq.bench.prompts import SMALL, make_planted
from pahq.bench.results import record, say

POLICIES = tuple(entry.name for entry in catalog.POLICIES)
SHIPPED_THRESHOLDS = (0.01, 0.003)
AT_SIZE = 0.01


def shipped(
    policies: Sequence[str] = POLICIES,
    thresholds: Sequence[float] = SHIPPED_THRESHOLDS,
    *,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure every policy on every shipped model and task, each policy in a fresh process."""
    searches = [
        {"model": model, "task": task, "threshold": threshold, "examples": PAIRS,
         "device": device}
        for model, tasks in SHIPPED.items()
        for task in tasks
        for threshold in thresholds
    ]  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {}
    for policy in policies:
        say(f"{policy}: every shipped model and task")
        configs = [{**search, "policy": policy} for search in searches]
        found[policy] = in_own_process(what="searches", configs=configs)
    rows = [
        {"policy": policy, **search, **_against(one, full)}
        for policy, results in found.items()
        for search, one, full in zip(searches, results, found["fp32"], strict=True)
    ]
    return record(
        "precision-shipped", command="pahq bench precision", device=device, pairs=PAIRS, rows=rows
    )


def at_size(
    policies: Sequence[str] = POLICIES,
    threshold: float = AT_SIZE,
    *,
    device: str = "cpu",
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Measure every policy at GPT-2 small's shape, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        say("making a model of GPT-2 small's shape")
        made = make_planted(Path(folder), pairs=PAIRS)

        def searched(policy: str) -> dict[str, Any]:
            config = {
                "model": made.model, "task": made.task, "examples": PAIRS,
                "threshold": threshold, "policy": policy, "device": device,
            }  # fmt: skip
            [one] = in_own_process(what="searches", configs=[config])
            return one

        found = fastest_in_turn(searched, policies, "GPT-2 small's shape", rounds)
    full = found[policies[0]]
    rows = [
        {"policy": policy, "threshold": threshold, **_against(one, full)}
        for policy, one in found.items()
    ]
    return record(
        "precision-at-size",
        command="pahq bench precision" + (f" --rounds {rounds}" if rounds != ROUNDS else ""),
        device=device, model={"planted": SMALL}, pairs=PAIRS, rows=rows,
    )  # fmt: skip


def _against(one: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    """Return a search's numbers with its agreement with full precision instead of its edges."""
    shared = {key: value for key, value in one.items() if key != "kept"}
    kept, wanted = set(one["kept"]), set(full["kept"])
    return {
        **shared,
        "ratio": full["seconds"] / one["seconds"],
        "same_circuit": kept == wanted,
        "added": len(kept - wanted),
        "lost": len(wanted - kept),
        "f1": 2 * len(kept & wanted) / (len(kept) + len(wanted)) if kept or wanted else 1.0,
    }
