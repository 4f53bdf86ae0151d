"""What an earlier run of the same model and task says about a threshold. No session, no torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from comparing import Finished, finished, same_question
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder
from pahq.viz.feed import feed_of

BINS = 24
LOW, HIGH = -6.0, 1.0  # powers of ten at the ends; smaller effects share the first bin


@dataclass(frozen=True)
class Forecast:
    """Effects of an earlier run, and how many of its edges a threshold would keep.

    Attributes:
        source: the earlier run, in few words.
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
    """Return what a finished run of the same settings says; None without one.

    Effects depend on what was cut before, so the run with the nearest threshold is taken: the
    ratio counts, not the difference. Of several, one of the same policy, then the first.
    """
    alike = [entry for entry in finished(runs) if _alike(entry.config, config)]
    entry = min(alike, key=lambda one: _distance(one.config, config), default=None)
    if entry is None:
        return None
    path = entry.run.path
    effects, edges = _effects(path, (path / "events.jsonl").stat().st_mtime)
    return _of(entry, effects, edges, config) if effects else None


def _alike(run: RunConfig, asked: RunConfig) -> bool:
    """Return whether effects mean the same: all but the threshold and the policy is equal."""
    return same_question(run.model_copy(update={"threshold": asked.threshold}), asked)


def _distance(run: RunConfig, asked: RunConfig) -> tuple[float, bool]:
    ratio = abs(math.log(run.threshold / asked.threshold))
    return round(ratio, 9), run.policy != asked.policy


@lru_cache(maxsize=8)
def _effects(path: Path, changed: float) -> tuple[tuple[float, ...], int]:
    """Return the effects that were measured, and the number of all edges."""
    feed = feed_of(RunFolder(path).records()[0])
    found = (row[3] for row in feed.rows if isinstance(row[0], int) and len(row) > 2)
    return tuple(found), feed.header["edges"] if feed.header else 0


def _of(entry: Finished, effects: tuple[float, ...], edges: int, config: RunConfig) -> Forecast:
    bins = [0] * BINS
    for effect in effects:
        bins[min(int(_place(effect) * BINS), BINS - 1)] += 1
    size = abs if config.absolute else float
    kept = sum(size(effect) >= config.threshold for effect in effects)
    least = entry.config.threshold > config.threshold
    return Forecast(_named(entry), tuple(bins), _place(config.threshold), kept, edges, least)


def _named(entry: Finished) -> str:
    """Return what to call a run, so short that it fits beside its estimate."""
    kind = "a recording" if entry.recorded else f"your run of {entry.when}"
    return f"{kind} at τ {entry.config.threshold:g}"


def _place(effect: float) -> float:
    power = math.log10(max(abs(effect), 10**LOW))
    return min((power - LOW) / (HIGH - LOW), 1.0)
