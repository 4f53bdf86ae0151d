"""``pahq bench scaling``: how the cost of a search grows with layers, heads, prompts and length."""

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pahq.bench.measure import in_own_process
from pahq.bench.planted import Shape
from pahq.bench.prompts import make_planted
from pahq.bench.results import record, say

MIDDLE = Shape(layers=8, heads=8, d_model=384, d_mlp=1536, vocabulary=8192, context=128)


@dataclass(frozen=True)
class Setting:
    """One search: a shape, and the prompts."""

    shape: Shape = MIDDLE
    pairs: int = 20
    length: int = 16
    threshold: float = 0.01


def settings() -> list[tuple[str, int | float, Setting]]:
    """Return what is varied, its value, and the setting: one thing at a time from the middle."""
    middle = Setting()
    found: list[tuple[str, int | float, Setting]] = []
    for layers in (4, 8, 16, 24):
        found.append(("layers", layers, replace(middle, shape=replace(MIDDLE, layers=layers))))
    for heads in (8, 12, 16):  # width stays 384
        found.append(("heads", heads, replace(middle, shape=replace(MIDDLE, heads=heads))))
    for pairs in (5, 10, 20, 40, 80):
        found.append(("pairs", pairs, replace(middle, pairs=pairs)))
    for length in (16, 32, 64):
        found.append(("tokens", length, replace(middle, length=length)))
    for threshold in (0.1, 0.01, 0.001, 0.0001):
        found.append(("threshold", threshold, replace(middle, threshold=threshold)))
    return found


def scaling(*, device: str = "cpu") -> dict[str, Any]:
    """Measure a search for each setting; return a record with a row for each."""
    rows = []
    for varied, value, setting in settings():
        say(f"searching with {varied} at {value:g}")
        with tempfile.TemporaryDirectory() as folder:
            made = make_planted(
                Path(folder), shape=setting.shape, pairs=setting.pairs, length=setting.length
            )
            config = {
                "model": made.model, "task": made.task, "threshold": setting.threshold,
                "device": device,
            }  # fmt: skip
            found = in_own_process(what="search", config=config, bridge_samples=3)
        found.pop("kept")
        rows.append({"varied": varied, "value": value, **found})
    return record(
        "engine-scaling",
        command="pahq bench scaling",
        device=device,
        middle={**asdict(MIDDLE), "pairs": Setting.pairs, "tokens": Setting.length},
        rows=rows,
    )
