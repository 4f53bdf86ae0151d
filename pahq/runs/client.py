"""The other end of the worker: starts the process, hands it work, and survives its death."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pahq.errors import PahqError
from pahq.paths import runs_dir
from pahq.runs.config import RunConfig
from pahq.runs.pace import Pace
from pahq.runs.store import RunFolder
from pahq.runs.worker import mark_failed

MOST_EARLY_DEATHS = 2  # a worker that dies before it is ready is not started for ever
SESSION = "pahq.runs.pipeline:Session"


@dataclass
class Job:
    """One request that takes time.

    Attributes:
        phase: ``queued running paused stopping`` and at the end ``done`` or ``failed``.
        result: what the worker answered.
        error: what, why, fix.
        died: the error is that of the worker's death, not of what was asked.
    """

    id: int
    request: dict[str, Any]
    phase: str = "queued"
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    asked: float = field(default_factory=time.time)
    died: bool = False

    @property
    def over(self) -> bool:
        """True once there is an answer."""
        return self.phase in ("done", "failed")


class WorkerClient:
    """Holds one worker process. Every method may be called from any thread.

    Args:
        session: what computes, ``module:class``; tests give one without torch.
        log: where the worker's stderr goes; ``worker.log`` beside the runs by default.
    """

    def __init__(self, *, session: str = SESSION, log: Path | None = None):
        self.session = session
        self.log = log or runs_dir().parent / "worker.log"
        self.ready = False
        self.problem: dict[str, str] | None = None  # why there is no worker
        self._lock = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._last_id = 0
        self._early_deaths = 0
        self._closed = False
        self._process: subprocess.Popen[str] | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        """The worker's process id."""
        return self._process.pid if self._process else None

    def run(self, folder: RunFolder, pace: Pace | None = None) -> Job:
        """Start a run, or go on with one; it waits its turn. Asking twice changes nothing."""
        with self._lock:
            job = self.job_of(folder)
            if job is not None and not job.over:
                return job
            speed = asdict(pace) if pace else {}
            return self._submit({"do": "run", "folder": str(folder.path), "pace": speed})

    def check(self, config: RunConfig) -> Job:
        """Ask whether the model can do the task and what the search will cost."""
        return self._submit({"do": "check", "config": config.model_dump()})

    def stop(self, folder: RunFolder) -> None:
        """Stop a run and keep what was decided; drop it if it has not begun."""
        self._control("stop", folder, "stopping")

    def pause(self, folder: RunFolder) -> None:
        """Hold a run after the decision in work."""
        self._control("pause", folder, "paused")

    def go_on(self, folder: RunFolder) -> None:
        """End a pause."""
        self._control("continue", folder, "running")

    def step(self, folder: RunFolder) -> None:
        """Go on with a paused run up to its next node."""
        self._control("step", folder, "running")

    def restart(self, folder: RunFolder) -> None:
        """End a worker that does not respond; a new one goes on with the run."""
        with self._lock:
            job = self.job_of(folder)
            if job is None or job.over or self._process is None:
                return
            job.phase = "queued"  # handed to the next worker
            self._process.kill()

    def job_of(self, folder: RunFolder) -> Job | None:
        """Return the latest job of a run, if this server had one."""
        with self._lock:
            jobs = [j for j in self._jobs.values() if j.request.get("folder") == str(folder.path)]
            return jobs[-1] if jobs else None

    def unfinished(self) -> list[Job]:
        """Return the runs in work and in the queue, in order."""
        with self._lock:
            return [j for j in self._jobs.values() if not j.over and j.request["do"] == "run"]

    @property
    def busy(self) -> bool:
        """True while anything is in work or waits."""
        with self._lock:
            return any(not job.over for job in self._jobs.values())

    def close(self) -> None:
        """End the worker; a run in work is stopped and kept."""
        with self._lock:
            self._closed = True
            process = self._process
        if process and process.stdin:
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)

    def _submit(self, request: dict[str, Any]) -> Job:
        with self._lock:
            self._last_id += 1
            job = self._jobs[self._last_id] = Job(self._last_id, request)
            if self._process is None:
                self._early_deaths = 0
                self._start()
            else:
                self._send(job.request | {"id": job.id})
            return job

    def _control(self, action: str, folder: RunFolder, phase: str) -> None:
        with self._lock:
            job = self.job_of(folder)
            if job is None or job.over:
                return
            if job.phase != "queued" and job.phase != "stopping":
                job.phase = phase
            self._last_id += 1
            self._send({"id": self._last_id, "do": action, "folder": str(folder.path)})

    def _start(self) -> None:
        """Start a process and hand it everything that waits."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            log = self.log.open("a")
        except OSError as error:
            self._give_up(
                {
                    "what": f"{self.log.parent} cannot be written.",
                    "why": error.strerror or str(error),
                    "fix": "set PAHQ_HOME to a folder that can be written, and start pahq again",
                }
            )
            return
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pahq.runs.worker", "--session", self.session],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C in the server's terminal is not for the worker
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._process, self.ready, self.problem = process, False, None
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        for job in self._jobs.values():
            if job.phase == "queued":
                self._send(job.request | {"id": job.id})

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError):  # it has just died; _died hands the work to its successor
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(ValueError), self._lock:
                self._take(json.loads(line))
        code = process.wait()
        process.stdout.close()
        with suppress(OSError):  # what was not yet sent finds no reader
            process.stdin.close() if process.stdin else None
        with self._lock:
            self._died(code)

    def _take(self, reply: dict[str, Any]) -> None:
        if reply["is"] == "ready":
            self.ready, self._early_deaths = True, 0
        job = self._jobs.get(reply.get("id", 0))
        if job is None:
            return
        if reply["is"] == "started" and job.phase == "queued":
            job.phase = "running"
        elif reply["is"] == "paused" and job.phase == "running":
            job.phase = "paused"
        elif reply["is"] in ("done", "failed"):
            job.phase = reply["is"]
            job.result, job.error = reply.get("result"), reply.get("error")

    def _died(self, code: int) -> None:
        was_ready, self.ready, self._process = self.ready, False, None
        if self._closed:
            return
        error = _death(code, self.log, was_ready=was_ready)
        self._early_deaths += not was_ready
        hopeless = self._early_deaths >= MOST_EARLY_DEATHS
        for job in self._jobs.values():
            if not job.over and (hopeless or job.phase != "queued"):
                job.phase, job.error, job.died = "failed", error, True
                if job.request["do"] == "run":
                    with suppress(PahqError):
                        mark_failed(RunFolder(Path(job.request["folder"])), error)
        if hopeless:
            self.problem = error
        else:
            self._start()

    def _give_up(self, error: dict[str, str]) -> None:
        """There can be no worker: say so, and fail whatever waits for one."""
        self.problem = error
        for job in self._jobs.values():
            if not job.over:
                job.phase, job.error = "failed", error


def _death(code: int, log: Path, *, was_ready: bool) -> dict[str, str]:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    if not was_ready:
        return {
            "what": f"The worker process could not start ({how}).",
            "why": f"its last words are in {log}",
            "fix": "check that torch and pahq are installed completely, then press Run again",
        }
    return {
        "what": f"The worker process ended unexpectedly ({how}).",
        "why": "the system kills a process like this when memory runs out, or someone ended it"
        if code == -9
        else f"its last words are in {log}",
        "fix": "a new worker was started: press Resume to go on from the last decision, or Try "
        "again if there was none; with fewer examples if memory was short",
    }
