import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pahq.errors import SearchFailed, UsageError
from pahq.runs.state import State, state_of, work_on


def test_a_dead_process_works_on_nothing():
    now = time.time()
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert State(pid_max, now, "searching").over
    # A process that was born after the heartbeat only has the same number.
    assert State(os.getpid(), 0.0, "searching").over
    assert not State(os.getpid(), now, "searching").over


def test_a_process_that_ended_but_was_not_waited_for_works_on_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert State(child.pid, time.time(), "searching").over
    child.wait()


def test_a_live_process_that_does_not_write_is_stale():
    init = 1  # a process older than its heartbeat
    assert State(init, time.time() - 11, "searching").stale
    assert not State(init, time.time(), "searching").stale
    assert not State(init, time.time() - 11, "finished").stale


def test_fields_of_a_newer_version_are_passed_over():
    data = {"pid": 7, "heartbeat": 1.0, "phase": "searching", "mood": "good"}
    assert state_of(data) == State(7, 1.0, "searching")
    assert state_of({"pid": 7}) is None
    assert state_of(None) is None


def test_a_run_has_one_worker(tmp_path):
    state = State(7, time.time(), "searching")
    with (
        work_on(tmp_path, None),
        pytest.raises(UsageError, match=r"in work(?s:.)*process 7 \(searching\)"),
        work_on(tmp_path, state),
    ):
        raise AssertionError("two had the same run")
    with work_on(tmp_path, None):
        pass


def _hold(folder: Path, ready, wait) -> None:
    with work_on(folder, None):
        ready.set()
        wait.wait()


def test_a_killed_process_holds_no_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, wait = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, wait))
    other.start()
    assert ready.wait(30)
    with pytest.raises(UsageError, match="in work"), work_on(tmp_path, None):
        pass
    other.kill()
    other.join()
    with work_on(tmp_path, None):
        pass


def test_a_folder_that_is_gone_is_one_clear_message(tmp_path):
    with (
        pytest.raises(SearchFailed, match="could not be written"),
        work_on(tmp_path / "gone", None),
    ):
        pass
