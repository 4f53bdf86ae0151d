"""What an earlier run of the same model and task says about a threshold. No session, no torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pahq.errors import PahqError
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder
from pahq.viz.feed import feed_of

BINS = 24
LOW, HIGH = -6.0, 1.0  # powers of ten at the ends; smaller effects share the first bin
SAME = ("model", "task", "metric", "ablation", "absolute")  # else effects mean something else


@dataclass(frozen=True)
class Forecast:
    """Effects of an earlier run, and how many of its edges a threshold would keep.

    Attributes:
        source: the earlier run's id.
        bins: how many tested edges have an effect of each size, from 1e-6 up to 10.
        place: where the threshold stands among the bins, from 0 to 1.
        kept: tested edges with an effect of at least the threshold.
        edges: all edges of the model.
        least: the earlier threshold was larger, so more edges may stay than it tested.
    """

    source: str
    bins: tuple[int, ...]
    place: float
    kept: int
    edges: int
    least: bool


def forecast(config: RunConfig, runs: Iterable[RunFolder]) -> Forecast | None:
    """Return what a finished run with like settings says; None without one.

    The first of ``runs`` with a threshold no larger is taken: it has tested all that matters. Else
    the one with the smallest.
    """
    alike = [(run.config.threshold, run) for run in runs if _alike(run, config)]
    if not alike:
        return None
    enough = (run for threshold, run in alike if threshold <= config.threshold)
    run = next(enough, None) or min(alike, key=lambda pair: pair[0])[1]
    effects, edges = _effects(run.path, (run.path / "events.jsonl").stat().st_mtime)
    return _of(run, effects, edges, config) if effects else None


def _alike(run: RunFolder, config: RunConfig) -> bool:
    try:
        same = all(getattr(run.config, name) == getattr(config, name) for name in SAME)
    except PahqError:
        return False
    return same and run.summary is not None


@lru_cache(maxsize=8)
def _effects(path: Path, changed: float) -> tuple[tuple[float, ...], int]:
    """Return the effects that were measured, and the number of all edges."""
    feed = feed_of(RunFolder(path).records()[0])
    found = (row[3] for row in feed.rows if isinstance(row[0], int) and len(row) > 2)
    return tuple(found), feed.header["edges"] if feed.header else 0


def _of(run: RunFolder, effects: tuple[float, ...], edges: int, config: RunConfig) -> Forecast:
    bins = [0] * BINS
    for effect in effects:
        bins[min(int(_place(effect) * BINS), BINS - 1)] += 1
    size = abs if config.absolute else float
    kept = sum(size(effect) >= config.threshold for effect in effects)
    least = run.config.threshold > config.threshold
    return Forecast(run.id, tuple(bins), _place(config.threshold), kept, edges, least)


def _place(effect: float) -> float:
    power = math.log10(max(abs(effect), 10**LOW))
    return min((power - LOW) / (HIGH - LOW), 1.0)
