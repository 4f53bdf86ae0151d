"""Which runs can stand side by side, and what each of them says. No session, no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import choices
from pahq import catalog
from pahq.errors import PahqError
from pahq.graph.circuit import Circuit, read_circuit
from pahq.runs.compare import Comparison, compare, differing
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder
from pahq.tasks.source import USUAL_COUNT
from pahq.viz.differences import moments
from pahq.viz.view import View, view_at

FULL = "fp32"
HASHES = ("model_hash", "task_hash")  # known only once a run has begun
OF_ONE_RUN = {"model_hash": None, "task_hash": None, "policy_recipe": None, "batch_size": None}
SIGNS = {"task": "", "threshold": "τ "}
ORDER = {entry.name: place for place, entry in enumerate(catalog.POLICIES)}


@dataclass(frozen=True)
class Finished:
    """A finished run: its settings and what its search came to."""

    run: RunFolder
    config: RunConfig
    summary: dict[str, Any]

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def policy(self) -> str:
        """The policy's title."""
        return policy_title(self.config.policy)

    @property
    def full(self) -> bool:
        """Whether everything was computed in FP32."""
        return self.config.policy == FULL

    @property
    def recorded(self) -> bool:
        """Whether the run is a recording, not computed here."""
        return self.run.path.parent.name == "recordings"

    @property
    def label(self) -> str:
        """The run in one line: policy, task, model, threshold, when."""
        config = self.config
        parts = (self.policy, short(config.task), short(config.model), f"τ {config.threshold:g}")
        return " · ".join((*parts, self.when))

    @property
    def when(self) -> str:
        """When the run was begun; a recording says that it is one."""
        if self.recorded:
            return "recording"
        try:
            began = datetime.strptime(self.id[:15], "%Y%m%d-%H%M%S")
        except ValueError:
            return self.id
        return f"{began.day} {began:%b %H:%M}"


@dataclass(frozen=True)
class Seen:
    """What the pictures of a run are drawn from."""

    view: View
    circuit: Circuit
    moments: dict[str, dict[str, str]]


def finished(runs: Iterable[RunFolder]) -> list[Finished]:
    """Return the runs that are complete, in the order given."""
    found = (_finished(run.path, _changed(run.path / "summary.json")) for run in runs)
    return [entry for entry in found if entry is not None]


def reference_of(entries: Sequence[Finished]) -> Finished | None:
    """Return what to compare with: the latest full-precision run, else the latest run."""
    own = [entry for entry in entries if not entry.recorded]
    return next((entry for entry in own if entry.full), next(iter(own), None))


def comparable(entries: Sequence[Finished], reference: Finished) -> list[Finished]:
    """Return the other runs of the same model, those of the same settings first."""
    others = [e for e in entries if e.id != reference.id and _same_model(e, reference)]
    return sorted(others, key=lambda e: bool(differing(reference.config, e.config)))


def twins(entries: Sequence[Finished], reference: Finished) -> list[Finished]:
    """Return the latest run of each other policy with the same settings."""
    found: dict[str, Finished] = {}
    for entry in entries:
        same = not differing(reference.config, entry.config)
        if same and not entry.recorded and entry.config.policy != reference.config.policy:
            found.setdefault(entry.config.policy, entry)
    return sorted(found.values(), key=lambda e: ORDER.get(e.config.policy, len(ORDER)))


def missing(
    config: RunConfig, there: Iterable[RunConfig], *, device: str = "cpu"
) -> tuple[str, ...]:
    """Return which of the three policies no run in ``there`` has with these settings."""
    have = {other.policy for other in there if same_question(config, other)}
    return tuple(name for name in choices.policies(device) if name not in have)


def same_question(a: RunConfig, b: RunConfig) -> bool:
    """Return whether two runs, begun or not, differ in their policies at most."""
    names = set(differing(_counted(a), _counted(b)))
    return not names - (set(HASHES) if None in (a.model_hash, b.model_hash) else set())


def with_policy(entry: Finished, policy: str) -> RunConfig:
    """Return the settings of a run with another policy, to be run here."""
    of_there = {"threads": None, "memory_limit": None} if entry.recorded else {}
    return entry.config.model_copy(update=OF_ONE_RUN | of_there | {"policy": policy})


def device_of(entry: Finished) -> str:
    """Return ``cpu`` or ``cuda``: where a run was computed."""
    return "cpu" if (entry.run.environment or {}).get("device", "cpu") == "cpu" else "cuda"


def elsewhere(reference: Finished, other: Finished) -> bool:
    """Return whether the two ran on different machines, so that their times do not compare."""
    a, b = (entry.run.environment or {} for entry in (reference, other))
    return any(a.get(name) != b.get(name) for name in ("processor", "cores", "device"))


def notice(reference: Finished, other: Finished) -> str:
    """Return a sentence about what makes a run unlike the reference; empty if nothing does."""
    names = differing(reference.config, other.config)
    parts = [_unlike(name, reference.config, other.config) for name in names]
    if elsewhere(reference, other):
        parts.append("another computer, so times are not compared")
    if not parts:
        return ""
    said = ", ".join(parts[:-1]) + (" and " if parts[1:] else "") + parts[-1]
    return f"{other.policy} ({other.when}) has other settings than A: {said}."


def differences_in_brief(reference: Finished, other: Finished) -> str:
    """Return the settings in which a run differs as a list of choices shows them."""
    names = differing(reference.config, other.config)
    values = [(name, getattr(other.config, name)) for name in names if name not in HASHES]
    return "".join(f" · {SIGNS.get(name, name + ' ')}{_value(value)}" for name, value in values)


def compared(reference: RunFolder, other: RunFolder) -> Comparison:
    """Compare two finished runs; asked again, the answer is remembered.

    Raises:
        PahqError: if one has no circuit or their graphs differ.
    """
    return _compared(reference.path, other.path, _stamp(reference), _stamp(other))


def seen(run: RunFolder) -> Seen | None:
    """Return what a run's pictures are drawn from; None if its log or circuit is damaged."""
    try:
        return _seen(run.path, _stamp(run))
    except PahqError:
        return None


def policy_title(name: str) -> str:
    """Return a policy's title; of a file of the user's, its name."""
    return next((entry.title for entry in catalog.POLICIES if entry.name == name), short(name))


def short(path: str) -> str:
    """Return a model's or a task's name, without folders."""
    return path.rstrip("/").rpartition("/")[2]


def _counted(config: RunConfig) -> RunConfig:
    named = catalog.task_or_none(config.task) is not None
    return (
        config.model_copy(update={"examples": USUAL_COUNT})
        if config.examples is None and named
        else config
    )


def _same_model(a: Finished, b: Finished) -> bool:
    return a.config.model == b.config.model


def _unlike(name: str, a: RunConfig, b: RunConfig) -> str:
    if name in HASHES:
        return "the model's files" if name == "model_hash" else "the prompts"
    return f"{name} {_value(getattr(b, name))} instead of {_value(getattr(a, name))}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else short(str(value))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _stamp(run: RunFolder) -> tuple[float, float]:
    return _changed(run.path / "circuit.json"), _changed(run.path / "summary.json")


@lru_cache(maxsize=2000)
def _finished(path: Path, changed: float) -> Finished | None:
    run = RunFolder(path)
    summary = run.summary if changed else None
    if not summary or summary.get("status") != "finished":
        return None
    if not (path / "circuit.json").is_file():
        return None
    try:
        return Finished(run, run.config, summary)
    except PahqError:
        return None


@lru_cache(maxsize=32)
def _compared(a: Path, b: Path, *stamps: tuple[float, float]) -> Comparison:
    return compare(RunFolder(a), RunFolder(b))


@lru_cache(maxsize=12)
def _seen(path: Path, stamp: tuple[float, float]) -> Seen | None:
    run = RunFolder(path)
    events = run.events()
    view = view_at(events)
    return view and Seen(view, read_circuit(path / "circuit.json"), moments(events))
