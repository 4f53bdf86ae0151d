"""The persistent worker: one process that holds torch and the last model and does the computing.

It reads one JSON request a line from stdin and writes one JSON reply a line to stdout; what a
search finds goes into the run folder, which anyone may read. Requests (``id`` is the asker's):

    {"id": 1, "do": "run", "folder": PATH, "pace": {...}}    new run, or go on with one; waits its
                                                turn; pace: fields of ``pace.Pace``, may be absent
    {"id": 2, "do": "check", "config": {...}}   can the model do the task, what will it cost
    {"id": 3, "do": "stop" | "pause" | "continue" | "step", "folder": PATH}   answered at once;
                                                step: go on and pause at the next node
    {"id": 4, "do": "shutdown"}

Replies: ``{"is": "ready"}`` once torch is loaded, then for each id ``{"is": "started"}`` and
``{"is": "done", "result": {...}}`` or ``{"is": "failed", "error": {what, why, fix}}``; in between
``{"is": "paused"}`` where a step has ended.
When stdin closes, the asker is gone: the run in work is stopped and kept, and the process ends.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from pahq.discovery.events import Event, FocusChanged, RunFailed, RunStarted, to_line
from pahq.errors import PahqError
from pahq.runs.config import make_config
from pahq.runs.pace import Metronome, Pace
from pahq.runs.state import State
from pahq.runs.store import RunFolder

NICENESS = 5  # the page and the browser come first
LAST_WORDS_SECONDS = 8.0  # how long a stopped run may take to write its circuit

Message = dict[str, Any]


@runtime_checkable
class Computing(Protocol):
    """What the worker needs of ``pahq.runs.pipeline.Session``."""

    def warm(self) -> None: ...  # noqa: D102
    def check(self, config: Any) -> dict[str, Any]: ...  # noqa: D102
    def run(self, folder: RunFolder, **hooks: Any) -> dict[str, Any]: ...  # noqa: D102


class Worker:
    """Takes requests from one thread and works on them, one at a time, in another."""

    def __init__(self, reply: Callable[[Message], None]):
        self._reply = reply
        self._waiting: deque[Message] = deque()
        self._change = threading.Condition()
        self._working_on: Path | None = None
        self._stop = False
        self._paused = False
        self._stepping = False  # until the next node
        self._closing = False

    def receive(self, request: Message) -> None:
        """Take one request; stop, pause, continue and step act at once."""
        action = request.get("do")
        with self._change:
            if action in ("run", "check"):
                self._waiting.append(request)
            elif action == "shutdown":
                self._closing = self._stop = True
            elif action in ("stop", "pause", "continue", "step"):
                self._control(action, Path(request.get("folder", "")))
                self._reply({"id": request.get("id"), "is": "done", "result": {}})
            else:
                self._reply(_refused(request, f"There is no request called {action!r}."))
            self._change.notify_all()

    def close(self) -> None:
        """Stop what is in work, keep it, and let ``work`` return."""
        self.receive({"do": "shutdown"})

    def work(self, session: Computing) -> None:
        """Answer requests until closed."""
        while (request := self._next()) is not None:
            self._reply({"id": request["id"], "is": "started"})
            self._reply({"id": request["id"], **self._answer(session, request)})
            with self._change:
                self._working_on, self._stop = None, self._closing
                self._paused = self._stepping = False

    def _control(self, action: str, folder: Path) -> None:
        if folder == self._working_on:
            self._stop = self._stop or action == "stop"
            self._paused, self._stepping = action == "pause", action == "step"
        elif action == "stop":
            dropped = [r for r in self._waiting if Path(r.get("folder", "")) == folder]
            for request in dropped:
                self._waiting.remove(request)
                self._reply({"id": request["id"], "is": "done", "result": {"status": "dropped"}})

    def _next(self) -> Message | None:
        with self._change:
            while not self._waiting and not self._closing:
                self._change.wait()
            if self._closing:
                return None
            request = self._waiting.popleft()
            self._working_on = Path(request["folder"]) if request["do"] == "run" else None
            return request

    def _answer(self, session: Computing, request: Message) -> Message:
        try:
            if request["do"] == "check":
                return {"is": "done", "result": session.check(make_config(**request["config"]))}
            return {"is": "done", "result": self._run(session, request)}
        except PahqError as error:
            explained = error.as_dict()
        except Exception as error:  # a mistake of ours: say so, and stay alive for the next run
            traceback.print_exc()
            explained = {
                "what": f"The search ended by an internal error: {type(error).__name__}: {error}",
                "why": "this is a mistake in pahq, not in your settings",
                "fix": "try another engine under Advanced, and report the error with the log",
            }
        if request["do"] == "run":
            with contextlib.suppress(PahqError):  # a full disk refuses this too; the reply says so
                mark_failed(RunFolder(Path(request["folder"])), explained)
        return {"is": "failed", "error": explained}

    def _run(self, session: Computing, request: Message) -> Message:
        beat = Metronome(
            Pace(**request.get("pace") or {}),
            held=lambda: self._paused,
            ended=lambda: self._stop,
        )
        folder = RunFolder(Path(request["folder"]))
        edges = next((e.edges for e in folder.events() if isinstance(e, RunStarted)), 0)
        beat.start(edges)

        def begun(event: Event, t: float) -> None:
            if isinstance(event, RunStarted):
                beat.start(event.edges)
            if isinstance(event, FocusChanged) and self._stepping:
                self._paused, self._stepping = True, False
                self._reply({"id": request["id"], "is": "paused"})

        return session.run(folder, should_stop=lambda: self._stop, pace=beat.wait, on_event=begun)


def mark_failed(folder: RunFolder, error: dict[str, str]) -> None:
    """Write the ending that a run could not write itself, unless it has one.

    Raises:
        SearchFailed: if the folder cannot be written.
    """
    if not folder.path.is_dir() or folder.ended:
        return
    records, size = folder.records()
    t = float(records[-1].get("t", 0.0)) if records else 0.0
    log = folder.path / "events.jsonl"
    whole = log.read_bytes()[:size] if log.exists() else b""
    folder.write_text("events.jsonl", whole.decode() + to_line(RunFailed(error), t=t))
    last = folder.state or State(0, 0.0, "")  # what it cost so far stays known
    state = replace(
        last, pid=os.getpid(), heartbeat=time.time(), phase="failed", detail=error["what"]
    )
    folder.write_json("state.json", vars(state))


def _refused(request: Message, what: str) -> Message:
    error = {"what": what, "why": "this worker does not know it", "fix": "restart the app"}
    return {"id": request.get("id"), "is": "failed", "error": error}


def _own_stdout() -> TextIO:
    """Keep stdout for replies: whatever libraries print goes to stderr, and so to the log."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _session(name: str) -> Computing:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def main() -> None:
    """Answer requests on stdin until it closes."""
    parser = argparse.ArgumentParser(description="pahq's worker; the app starts it.")
    parser.add_argument("--session", default="pahq.runs.pipeline:Session", help="MODULE:CLASS")
    arguments = parser.parse_args()
    with contextlib.suppress(AttributeError, OSError):  # Windows has no nice
        os.nice(NICENESS)
    replies, lock = _own_stdout(), threading.Lock()

    def reply(message: Message) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            replies.write(json.dumps(message) + "\n")
            replies.flush()

    worker = Worker(reply)

    def read() -> None:
        for line in sys.stdin:
            with contextlib.suppress(ValueError):
                worker.receive(json.loads(line))
        worker.close()
        time.sleep(LAST_WORDS_SECONDS)
        os._exit(1)  # the search did not notice in time; its events are on disk

    threading.Thread(target=read, daemon=True, name="requests").start()
    session = _session(arguments.session)
    session.warm()
    reply({"is": "ready"})
    worker.work(session)


if __name__ == "__main__":
    main()
