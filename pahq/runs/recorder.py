"""Writes a run's folder while it happens: events as they come, a heartbeat every second."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pahq.discovery.events import Event, to_line
from pahq.errors import SearchFailed
from pahq.runs.memory import PeakMemory
from pahq.runs.state import HEARTBEAT_SECONDS, State
from pahq.runs.store import RunFolder, writing


class Recorder:
    """One process's work on a run. Use as a context manager: it owns a thread and a file."""

    def __init__(self, folder: RunFolder, memory: PeakMemory):
        self.folder, self.memory = folder, memory
        self._phase, self._detail = "loading", ""
        self._earlier = folder.state or State(0, 0.0, "")  # of the process that worked on it last
        self._count: Callable[[], int] = lambda: 0  # evaluations of damage in this process
        self._before = 0.0  # seconds of search in earlier processes
        self._started: float | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Recorder":
        self.phase("loading")
        with writing(self.folder.path):
            # Unbuffered: what a full disk refused must not be tried again when the file closes.
            self._file = (self.folder.path / "events.jsonl").open("ab", buffering=0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._file.close()

    def phase(self, phase: str, detail: str = "") -> None:
        """Say what is being done."""
        self._phase, self._detail = phase, detail
        self._write_state()

    def start_search(self, count: Callable[[], int], *, before: float) -> None:
        """Count what the search costs from here on.

        Args:
            count: returns this process's evaluations of damage so far.
            before: seconds of search spent by earlier processes.
        """
        self._count = count
        self._start_clock(before)

    @property
    def evaluations(self) -> int:
        """Evaluations of damage so far, with those of earlier processes."""
        return self._earlier.evaluations + self._count()

    @property
    def peak_bytes(self) -> int:
        """Largest memory so far, of this process or an earlier one."""
        return max(self._earlier.peak_bytes, self.memory.peak)

    @property
    def seconds(self) -> float:
        """Seconds of search so far, waiting not counted."""
        return self._before + (time.perf_counter() - self._started if self._started else 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Stop the clock: the user paused or slowed the run down."""
        spent = self.seconds
        try:
            yield
        finally:
            self._start_clock(spent)

    def event(self, event: Event) -> float:
        """Append an event; return its time in seconds of search.

        Raises:
            SearchFailed: if the disk is full or the folder cannot be written.
        """
        t = self.seconds
        with writing(self.folder.path):
            line = to_line(event, t=t).encode()
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return t

    def json(self, name: str, data: dict[str, Any]) -> None:
        """Write one of the run's files."""
        self.folder.write_json(name, data)

    def _start_clock(self, before: float) -> None:
        self._before, self._started = before, time.perf_counter()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            try:
                self._write_state()
            except SearchFailed:
                continue  # the search itself will meet the same error and report it

    def _write_state(self) -> None:
        with self._lock:
            state = State(
                os.getpid(),
                time.time(),
                self._phase,
                self._detail,
                self.evaluations,
                self.peak_bytes,
            )
            self.folder.write_json("state.json", asdict(state))
