"""The worker alone, with a session that computes nothing; then as a process with its client."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from pahq.discovery.events import EdgeTested, FocusChanged, RunFailed, RunResumed
from pahq.errors import SearchFailed
from pahq.runs import store
from pahq.runs.client import WorkerClient
from pahq.runs.config import make_config
from pahq.runs.pace import Pace
from pahq.runs.state import State
from pahq.runs.store import RunFolder
from pahq.runs.worker import Worker, mark_failed

TESTS = Path(__file__).parent.parent
ERROR = {"what": "It broke.", "why": "a test", "fix": "nothing"}


def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


class Quiet:
    """Runs until told to stop; remembers what it was asked."""

    def __init__(self):
        self.ran: list[str] = []
        self.ticks = 0
        self.raises: BaseException | None = None

    def warm(self):
        pass

    def check(self, config):
        return {"task_score": 1.0, "threshold": config.threshold}

    def run(self, folder, *, should_stop, pace, on_event):
        self.ran.append(folder.id)
        if self.raises:
            raise self.raises
        for _ in range(3000):
            pace()
            self.ticks += 1
            if should_stop():
                return {"status": "stopped"}
            time.sleep(0.002)
        return {"status": "finished"}


class Desk:
    """A worker in a thread, and what it said."""

    def __init__(self):
        self.said: list[dict] = []
        self.session = Quiet()
        self.worker = Worker(self.said.append)
        self.thread = threading.Thread(target=self.worker.work, args=(self.session,))
        self.thread.start()

    def ask(self, number, do, **more):
        self.worker.receive({"id": number, "do": do, **more})

    def answers(self, number):
        return [reply["is"] for reply in self.said if reply.get("id") == number]

    def answer(self, number):
        until(lambda: set(self.answers(number)) & {"done", "failed"})
        return next(r for r in self.said if r.get("id") == number and r["is"] != "started")


@pytest.fixture
def desk():
    found = Desk()
    yield found
    found.worker.close()
    found.thread.join(timeout=10)
    assert not found.thread.is_alive()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PAHQ_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(home):
    config = make_config(model="tiny-gpt", task="ioi", threshold=0.01, policy="pahq-int8")
    return store.create(config)


def test_a_check_is_answered(desk):
    desk.ask(1, "check", config={"model": "tiny-gpt", "task": "ioi", "threshold": 0.5})
    assert desk.answer(1) == {
        "id": 1, "is": "done", "result": {"task_score": 1.0, "threshold": 0.5}
    }  # fmt: skip
    assert desk.answers(1) == ["started", "done"]


def test_settings_that_cannot_be_used_are_refused_with_the_reason(desk):
    desk.ask(1, "check", config={"model": "tiny-gpt", "task": "ioi", "threshold": -1})
    assert "not a positive number" in desk.answer(1)["error"]["what"]


def test_stop_ends_the_run_in_work_and_the_next_one_begins(desk):
    desk.ask(1, "run", folder="/runs/a")
    desk.ask(2, "run", folder="/runs/b")
    until(lambda: desk.session.ran == ["a"])
    desk.ask(3, "stop", folder="/runs/a")
    until(lambda: desk.session.ran == ["a", "b"])
    assert desk.answer(1)["result"] == {"status": "stopped"}
    desk.ask(4, "stop", folder="/runs/b")
    desk.answer(2)


def test_a_run_that_has_not_begun_is_dropped_by_stop(desk):
    desk.ask(1, "run", folder="/runs/a")
    desk.ask(2, "run", folder="/runs/b")
    until(lambda: desk.session.ran == ["a"])
    desk.ask(3, "stop", folder="/runs/b")
    assert desk.answer(2)["result"] == {"status": "dropped"}
    desk.ask(4, "stop", folder="/runs/a")
    desk.answer(1)
    assert desk.session.ran == ["a"]


def test_pause_holds_and_continue_goes_on(desk):
    desk.ask(1, "run", folder="/runs/a")
    until(lambda: desk.session.ticks > 3)
    desk.ask(2, "pause", folder="/runs/a")
    time.sleep(0.05)
    held = desk.session.ticks
    time.sleep(0.15)
    assert desk.session.ticks <= held + 1
    desk.ask(3, "continue", folder="/runs/a")
    until(lambda: desk.session.ticks > held + 5)
    desk.ask(4, "stop", folder="/runs/a")


def searching(**pace):
    """Return a client of a real worker, a run that it works on, and its job."""
    client = WorkerClient()
    until(lambda: client.ready, seconds=60)
    config = make_config(model="attn-2l", task="induction", threshold=0.01, examples=5, threads=1)
    run = store.create(config)
    return client, run, client.run(run, Pace(**pace))


def test_a_step_goes_on_to_the_next_node(home):
    """With the real session: one node under test after the other."""
    client, run, job = searching(per_second=200.0)
    until(lambda: any(isinstance(e, EdgeTested) for e in run.events()), seconds=60)
    client.pause(run)
    time.sleep(0.2)
    for _ in range(2):
        before = [e for e in run.events() if isinstance(e, FocusChanged)]
        client.step(run)
        until(lambda: job.phase == "paused", seconds=60)
        time.sleep(0.2)
        after = [e for e in run.events() if isinstance(e, FocusChanged)]
        assert len(after) == len(before) + 1
    client.go_on(run)
    until(lambda: job.over, seconds=60)
    assert run.summary["status"] == "finished"
    client.close()


def test_a_restarted_worker_goes_on_with_the_run(home):
    client, run, job = searching(per_second=100.0)
    until(lambda: sum(isinstance(e, EdgeTested) for e in run.events()) > 5, seconds=60)
    first = client.pid
    client.restart(run)
    until(lambda: client.pid not in (None, first), seconds=60)
    until(lambda: job.over, seconds=60)
    assert job.phase == "done"
    assert run.summary["status"] == "finished"
    assert any(isinstance(e, RunResumed) for e in run.events())
    client.close()


def test_a_paused_run_can_be_stopped(desk):
    desk.ask(1, "run", folder="/runs/a")
    until(lambda: desk.session.ticks > 3)
    desk.ask(2, "pause", folder="/runs/a")
    desk.ask(3, "stop", folder="/runs/a")
    assert desk.answer(1)["result"] == {"status": "stopped"}


def test_an_unknown_request_is_refused(desk):
    desk.ask(1, "dance")
    assert "dance" in desk.answer(1)["error"]["what"]


def test_an_error_on_purpose_is_passed_on_in_its_three_parts(desk, folder):
    desk.session.raises = SearchFailed("It broke.", why="a test", fix="nothing")
    desk.ask(1, "run", folder=str(folder.path))
    assert desk.answer(1)["error"] == ERROR


def test_a_mistake_of_ours_fails_the_run_and_the_worker_lives(desk, folder, capsys):
    desk.session.raises = ZeroDivisionError("oops")
    desk.ask(1, "run", folder=str(folder.path))
    assert "ZeroDivisionError: oops" in desk.answer(1)["error"]["what"]
    assert isinstance(folder.events()[-1], RunFailed)
    assert folder.state.phase == "failed"
    assert "Traceback" in capsys.readouterr().err  # for the log
    desk.session.raises = None
    desk.ask(2, "check", config={"model": "tiny-gpt", "task": "ioi", "threshold": 0.5})
    assert desk.answer(2)["is"] == "done"


def test_mark_failed_cuts_half_a_line_and_says_why(folder):
    log = folder.path / "events.jsonl"
    log.write_text('{"type":"receiver_started","t":1.5,"receiver":"logits"}\n{"type":"edge_te')
    mark_failed(folder, ERROR)
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    assert '"t":1.5' in lines[1]
    assert folder.events()[-1] == RunFailed(ERROR)


def test_mark_failed_keeps_what_the_run_has_cost(folder):
    state = State(1, 0.0, "searching", evaluations=70, peak_bytes=512)
    folder.write_json("state.json", vars(state))
    mark_failed(folder, ERROR)
    after = folder.state
    assert (after.phase, after.evaluations, after.peak_bytes) == ("failed", 70, 512)


def test_mark_failed_leaves_an_ended_run_as_it_is(folder):
    mark_failed(folder, ERROR)
    before = (folder.path / "events.jsonl").read_bytes()
    mark_failed(folder, ERROR | {"what": "again"})
    assert (folder.path / "events.jsonl").read_bytes() == before


# The real process ------------------------------------------------------------------------------


@pytest.fixture
def client(home, monkeypatch):
    path = os.pathsep.join([str(TESTS / "app"), str(TESTS / "viz")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("PAHQ_MADE_PACE", "0.02")
    found = WorkerClient(session="made_session:MadeSession")
    yield found
    found.close()


def decided(folder: RunFolder) -> int:
    return sum(record["type"] == "edge_tested" for record in folder.records()[0])


def test_a_run_in_the_worker_can_be_watched_stopped_and_resumed(client, folder):
    job = client.run(folder)
    until(lambda: decided(folder) > 3)
    assert job.phase == "running"
    assert client.run(folder) is job  # asking twice changes nothing
    client.stop(folder)
    until(lambda: job.over)
    part = decided(folder)
    assert job.result == {"status": "stopped"}
    again = client.run(folder)
    until(lambda: decided(folder) > part)
    assert again is not job
    client.stop(folder)
    until(lambda: again.over)


def test_a_second_run_waits_its_turn(client, folder):
    client.run(folder)
    other = store.create(folder.config)
    second = client.run(other)
    until(lambda: decided(folder) > 0)
    assert second.phase == "queued"
    assert [job.request["folder"] for job in client.unfinished()] == [
        str(folder.path),
        str(other.path),
    ]
    client.stop(folder)
    until(lambda: decided(other) > 0)
    client.stop(other)
    until(lambda: second.over)


def test_a_killed_worker_is_a_stated_error_and_has_a_successor(client, folder):
    other = store.create(folder.config)
    job, waiting = client.run(folder), client.run(other)
    until(lambda: decided(folder) > 0)
    first = client.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: job.over)
    assert job.error["what"] == "The worker process ended unexpectedly (signal 9)."
    assert "memory" in job.error["why"]
    assert folder.events()[-1] == RunFailed(job.error)
    until(lambda: decided(other) > 0)  # the successor took over what was waiting
    assert client.pid != first
    client.stop(other)
    until(lambda: waiting.over)


def test_the_worker_ends_when_its_asker_is_gone_and_keeps_the_run(client, folder):
    client.run(folder)
    until(lambda: decided(folder) > 0)
    process = psutil.Process(client.pid)
    client.close()
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert folder.state.phase == "stopped"


def test_a_worker_that_cannot_start_is_not_started_for_ever(home):
    client = WorkerClient(session="no_such_module:Session")
    until(lambda: client.problem is not None)
    assert "could not start" in client.problem["what"]
    assert "no_such_module" in client.log.read_text()
    client.close()


def test_a_data_folder_that_cannot_be_made_is_one_clear_message(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PAHQ_HOME", str(tmp_path / "file"))
    client = WorkerClient()
    assert "cannot be written" in client.problem["what"]
    assert "PAHQ_HOME" in client.problem["fix"]
    job = client.check(make_config(model="tiny-gpt", task="ioi", threshold=0.1))
    assert job.over
    assert job.error == client.problem
    client.close()


def test_what_libraries_print_does_not_disturb_the_replies(home, tmp_path, monkeypatch):
    (tmp_path / "loud_session.py").write_text(
        "import os\n"
        "class Loud:\n"
        "    def warm(self): print('hello'); os.system('echo from below')\n"
        "    def check(self, config): print('noise'); return {'fine': True}\n"
        "    def run(self, folder, **hooks): return {}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    client = WorkerClient(session="loud_session:Loud")
    job = client.check(make_config(model="tiny-gpt", task="ioi", threshold=0.1))
    until(lambda: job.over)
    assert job.result == {"fine": True}
    client.close()
    assert "from below" in client.log.read_text()


def test_importing_the_client_does_not_import_torch():
    imports = "import sys, pahq.runs.client, pahq.viz.figures, pahq.viz.feed"
    code = f"{imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
