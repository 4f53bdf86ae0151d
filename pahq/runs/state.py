"""Who works on a run, and how far it is (``state.json``), and the lock on it. No torch.

``state.json`` is what readers look at. The lock itself is the operating system's, on a file beside
it: two processes that start in the same instant cannot both have it, and it dies with its owner.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from pahq.errors import SearchFailed, UsageError

HEARTBEAT_SECONDS = 1.0
STALE_SECONDS = 10.0  # a live process that has not written for so long does not respond
LOCK = ".lock"


@dataclass(frozen=True)
class State:
    """Who works on a run, and how far it is. Replaced as a whole.

    Attributes:
        pid: the process that writes the run.
        heartbeat: seconds since the epoch of its last sign of life.
        phase: ``loading checking searching evaluating`` or ``finished stopped failed``.
        detail: one sentence about the phase.
        evaluations: evaluations of damage so far, of all processes that worked on the run.
        peak_bytes: largest resident memory so far, of all these processes.
    """

    pid: int
    heartbeat: float
    phase: str
    detail: str = ""
    evaluations: int = 0
    peak_bytes: int = 0

    @property
    def over(self) -> bool:
        """True once nobody works on the run any more."""
        return self.phase in ("finished", "stopped", "failed") or not self._alive()

    @property
    def stale(self) -> bool:
        """True if the process should have written but has not."""
        return not self.over and time.time() - self.heartbeat > STALE_SECONDS

    def _alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return False
            born = process.create_time()
        except psutil.Error:
            return False
        return born <= self.heartbeat + 1  # a younger process only got the same number


def state_of(data: dict[str, Any] | None) -> State | None:
    """Return the state that ``state.json`` holds; None if it is missing or damaged.

    Fields of a newer version are passed over.
    """
    known = {field.name for field in fields(State)}
    try:
        return State(**{name: value for name, value in (data or {}).items() if name in known})
    except TypeError:
        return None


@contextmanager
def work_on(folder: Path, state: State | None) -> Iterator[None]:
    """Have a run for oneself while the block runs.

    Args:
        folder: the run's folder.
        state: what ``state.json`` said last, to name who has it.

    Raises:
        UsageError: if another process, or another search of this one, works on it.
        SearchFailed: if the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        (folder / LOCK).touch()  # the lock would make a folder that is gone anew
        lock.acquire()
    except Timeout:
        who = "another search"
        if state is not None:
            who = f"process {state.pid} ({state.phase})"
        raise UsageError(
            f"The run {folder.name} is in work.",
            why=f"{who} writes it",
            fix="wait until it ends, or stop it first",
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def unwritable(folder: Path, error: OSError) -> SearchFailed:
    """Return the error for a run folder that the system would not let us write."""
    return SearchFailed(
        f"The run folder {folder} could not be written.",
        why=error.strerror or str(error),
        fix="free some space or make the folder writable, then `pahq resume` this run; "
        "what was decided so far is kept",
    )
