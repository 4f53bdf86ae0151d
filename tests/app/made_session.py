"""A worker's session without torch: writes a made-up log at a steady pace."""

import os
import time

from made_logs import made_log

from pahq.discovery.events import EdgeTested, RunResumed, RunStopped, to_line
from pahq.runs.state import State
from pahq.runs.store import RunFolder

PACE = float(os.environ.get("PAHQ_MADE_PACE", "0.004"))  # seconds a decision


class MadeSession:
    def warm(self) -> None:
        pass

    def check(self, config) -> dict:
        right = 0.12 if config.task == "docstring" else 0.992
        warning = "The model cannot do this task: a circuit would mean nothing."
        return {
            "task_score": right, "examples": config.examples, "edges": 1519,
            "warning": warning if right < 0.5 else None,
            "seconds_per_test": 0.012, "resident_bytes": 412_000_000,
        }  # fmt: skip

    def run(self, folder: RunFolder, *, should_stop, pace, **_) -> dict:
        config = folder.config
        done = sum(isinstance(e, EdgeTested) for e in folder.cut_events())
        path = folder.path / "events.jsonl"
        resumed, decided, t = done > 0, 0, 0.0
        with path.open("a") as file:
            if resumed:
                file.write(to_line(RunResumed(done), t=0.0))
            for t, event in made_log(policy=config.policy, threshold=config.threshold):
                decided += isinstance(event, EdgeTested)
                if resumed and decided <= done:
                    continue
                pace()
                if should_stop():
                    file.write(to_line(RunStopped(decided), t=t))
                    self._state(folder, "stopped")
                    return {"status": "stopped"}
                file.write(to_line(event, t=t))
                file.flush()
                self._state(folder, "searching")
                if not getattr(event, "skipped", True):
                    time.sleep(PACE)
        self._state(folder, "finished")
        return {"status": "finished"}

    def _state(self, folder: RunFolder, phase: str) -> None:
        folder.write_json("state.json", vars(State(os.getpid(), time.time(), phase)))
