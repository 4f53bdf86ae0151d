"""Run folders on disk: what a run is, long after the process that made it. No torch.

``config.json`` · ``environment.json`` · ``events.jsonl`` · ``state.json`` · ``circuit.json`` ·
``summary.json``. The command line and the app write and read the same files.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pahq.discovery.events import ENDINGS, Event, RunFailed, from_record
from pahq.errors import BadRunFolder, SearchFailed
from pahq.paths import runs_dir
from pahq.runs.config import RunConfig, read_config
from pahq.runs.state import State, state_of, unwritable


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def config(self) -> RunConfig:
        """The run's settings.

        Raises:
            UsageError: if the file is missing or damaged.
        """
        return read_config(self.path / "config.json")

    @property
    def state(self) -> State | None:
        """Who works on it; None before the first heartbeat or if the file is damaged."""
        return state_of(_read_json(self.path / "state.json"))

    @property
    def summary(self) -> dict[str, Any] | None:
        """summary.json, once there is one."""
        return _read_json(self.path / "summary.json")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do. One whose result is damaged can finish again."""
        return (self.summary or {}).get("status") == "finished" and self.circuit is not None

    @property
    def circuit(self) -> dict[str, Any] | None:
        """circuit.json, once there is one."""
        return _read_json(self.path / "circuit.json")

    @property
    def environment(self) -> dict[str, Any] | None:
        """environment.json, once there is one."""
        return _read_json(self.path / "environment.json")

    def records(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the complete lines from byte ``offset`` on, parsed, and the next offset.

        A line that is still being written is left for the next call; a damaged one is passed over.
        """
        try:
            with (self.path / "events.jsonl").open("rb") as file:
                file.seek(offset)
                block = file.read()
        except FileNotFoundError:
            return [], offset
        block = block[: block.rfind(b"\n") + 1]
        return list(_parsed(block)), offset + len(block)

    def last_time(self) -> float:
        """Return the seconds of search at the last event; 0.0 before the first."""
        records = self.records()[0]
        return float(records[-1].get("t", 0.0)) if records else 0.0

    def events(self) -> list[Event]:
        """Return every event that this version knows."""
        found = (_known(record) for record in self.records()[0])
        return [event for event in found if event is not None]

    def no_circuit(self) -> BadRunFolder:
        """Return the error for a run without circuit.json: why there is none, and what to do."""
        last = self.events()[-1:]
        if last and isinstance(last[0], RunFailed):
            error = last[0].error
            return BadRunFolder(
                f"The run {self.id} failed: {error.get('what', '')}",
                why=error.get("why", "not recorded"),
                fix=error.get("fix", f"try `pahq resume {self.path}`"),
            )
        return BadRunFolder(
            f"The run {self.id} has no circuit yet.",
            why="it was interrupted before its end",
            fix=f"finish it with `pahq resume {self.path}`",
        )

    @property
    def ended(self) -> bool:
        """True if the last event is an ending."""
        events = self.events()
        return bool(events) and isinstance(events[-1], ENDINGS)

    def write_json(self, name: str, data: dict[str, Any]) -> None:
        """Replace a file as a whole: a reader sees the old one or the new one, never half."""
        self.write_text(name, json.dumps(data, indent=1, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a text file as a whole.

        Raises:
            SearchFailed: if the disk is full or the folder cannot be written.
        """
        part = self.path / f".{name}.part"
        with writing(self.path):
            part.write_text(text, encoding="utf-8")
            os.replace(part, self.path / name)

    def cut_events(self) -> list[Event]:
        """Cut half a line and a previous ending off events.jsonl; read what is left.

        A process that is killed while it writes leaves half a line. A damaged line ends what can
        be relied on; an event of a newer version stays where it is.
        """
        path = self.path / "events.jsonl"
        kept: list[Event] = []
        size = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                try:
                    event = from_record(json.loads(line))
                except (ValueError, AttributeError):
                    break
                if not line.endswith(b"\n") or isinstance(event, ENDINGS):
                    break
                if event is not None:
                    kept.append(event)
                size += len(line)
            with writing(self.path), path.open("r+b") as file:
                file.truncate(size)
        return kept


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while writing below ``path`` into one clear message."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def create(config: RunConfig, *, out: Path | None = None) -> RunFolder:
    """Make the folder of a new run.

    Raises:
        BadRunFolder: if ``out`` already holds a run or cannot be made.
    """
    check_free(out)
    path = out if out is not None else runs_dir() / new_id(config)
    folder = RunFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=out is not None)
        folder.write_text("config.json", config.as_json())
    except (OSError, SearchFailed) as error:
        if out is None and isinstance(error, FileExistsError):
            return create(config)  # another run of the same second was there first
        raise BadRunFolder(
            f"The run folder {path} cannot be made.",
            why=getattr(error, "why", None) or getattr(error, "strerror", None) or str(error),
            fix="choose another --out, or set PAHQ_HOME to a folder that can be written",
        ) from None
    return folder


def check_free(out: Path | None) -> None:
    """Refuse a file, and a folder that already holds a run or anything else.

    Raises:
        BadRunFolder: with the hint to show or to resume the run, or to choose another folder.
    """
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise BadRunFolder(f"{out} is a file.", why="a run is a folder", fix="give another --out")
    if (out / "config.json").exists() or (out / "events.jsonl").exists():
        done = RunFolder(out).finished
        then = (
            f"look at it with `pahq show {out}`" if done else f"finish it with `pahq resume {out}`"
        )
        raise BadRunFolder(
            f"{out} already holds a {'finished ' if done else ''}run.",
            why="a run is never overwritten",
            fix=f"{then}, or give another --out",
        )
    others = sorted(file.name for file in out.iterdir() if not file.name.startswith("."))
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise BadRunFolder(
            f"{out} is not empty.",
            why=f"a run's files would lie among its own: {', '.join(others[:3])}{more}",
            fix="give another --out: a new folder, or an empty one",
        )


def new_id(config: RunConfig) -> str:
    """Return a readable id that no other run of this user has."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    words = (Path(config.model).name, Path(config.task).stem, Path(config.policy).stem)
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join((now, *words, f"{config.threshold:g}")))
    found, number = stem, 1
    while (runs_dir() / found).exists():
        number += 1
        found = f"{stem}-{number}"
    return found


def find_run(name: str | Path) -> RunFolder:
    """Return the run of a folder or an id.

    Raises:
        BadRunFolder: if neither holds a run.
    """
    candidates = [Path(name)]
    if Path(name).name == str(name):
        candidates.append(runs_dir() / name)
    for path in candidates:
        if (path / "config.json").is_file():
            return RunFolder(path)
    raise BadRunFolder(
        f"There is no run '{name}'.",
        why=f"neither a folder with a config.json nor an id in {runs_dir()}",
        fix="`pahq list` shows the runs",
    )


def list_runs() -> list[RunFolder]:
    """Return this user's runs, newest first."""
    base = runs_dir()
    found = base.iterdir() if base.is_dir() else iter(())
    folders = [RunFolder(path) for path in found if (path / "config.json").is_file()]
    return sorted(folders, key=lambda folder: folder.path.stat().st_mtime, reverse=True)


def _known(record: dict[str, Any]) -> Event | None:
    try:
        return from_record(record)
    except ValueError:  # a field is missing: a damaged line is passed over
        return None


def _parsed(block: bytes) -> Iterator[dict[str, Any]]:
    for line in block.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
