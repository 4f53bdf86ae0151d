"""``pahq bench shortcuts``: what each exact shortcut gains, by searching without it."""

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from pahq.bench.measure import fastest_in_turn, in_own_process
from pahq.bench.prompts import make_planted
from pahq.bench.results import record
from pahq.engine.propagate import Shortcuts

PAIRS_AT_SIZE = 10  # a search without shortcut b takes long


def shortcuts(threshold: float = 0.01, *, device: str = "cpu") -> dict[str, Any]:
    """Search tiny-gpt and a model of GPT-2 small's shape, each time with one shortcut off."""
    with tempfile.TemporaryDirectory() as folder:
        made = make_planted(Path(folder), pairs=PAIRS_AT_SIZE)
        searched = {
            "tiny-gpt, ioi": {"model": "tiny-gpt", "task": "ioi", "examples": 50},
            "GPT-2 small's shape": {"model": made.model, "task": made.task},
        }
        rows = [
            row
            for name, config in searched.items()
            for row in _without_each(name, {**config, "threshold": threshold, "device": device})
        ]
    return record("engine-shortcuts", command="pahq bench shortcuts", device=device, rows=rows)


def _without_each(name: str, config: dict[str, Any]) -> list[dict[str, Any]]:
    def searched(switched_off: str | None) -> dict[str, Any]:
        settings = {switched_off: False} if switched_off else {}
        return in_own_process(what="search", config=config, bridge_samples=0, shortcuts=settings)

    switches = (None, *(field.name for field in fields(Shortcuts)))
    best = fastest_in_turn(searched, switches, f"{name} without")
    kept = best[None]["kept"]
    return [
        {"searched": name, "without": switched_off, "same_circuit": found.pop("kept") == kept}
        | found
        for switched_off, found in best.items()
    ]
