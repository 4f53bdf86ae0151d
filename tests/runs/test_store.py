import json
import os
import time
from pathlib import Path

import pytest

from pahq.discovery.events import EdgeTested, ReceiverStarted, RunStopped, to_line
from pahq.errors import BadRunFolder, SearchFailed, UsageError
from pahq.runs import store
from pahq.runs.config import make_config
from pahq.runs.store import RunFolder, State

CONFIG = make_config(model="tiny-gpt", task="ioi", threshold=0.01)
STARTED = ReceiverStarted("logits")
TESTED = EdgeTested(0, "m0->logits", 0.5, True, 0.0)


def with_events(folder, *events, tail=""):
    text = "".join(to_line(event, t=float(i)) for i, event in enumerate(events)) + tail
    (folder.path / "events.jsonl").write_text(text)


def test_a_run_never_overwrites_another(tmp_path):
    store.create(CONFIG, out=tmp_path / "run")
    with pytest.raises(BadRunFolder, match=r"already holds a run(?s:.)*pahq resume"):
        store.create(CONFIG, out=tmp_path / "run")


def test_two_runs_with_equal_settings_have_ids_of_their_own(home):
    first, second = store.create(CONFIG), store.create(CONFIG)
    assert first.id != second.id
    assert "tiny-gpt-ioi-fp32-0.01" in first.id
    assert {folder.id for folder in store.list_runs()} == {first.id, second.id}
    assert store.find_run(first.id) == first
    assert store.find_run(first.path) == first


def test_an_unknown_run_is_an_error():
    with pytest.raises(BadRunFolder, match=r"no run 'nothing'(?s:.)*pahq list"):
        store.find_run("nothing")


def test_a_line_that_is_still_being_written_waits_for_the_next_look(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, tail='{"type": "edge_te')
    records, offset = folder.records()
    assert [record["type"] for record in records] == ["receiver_started", "edge_tested"]
    with (folder.path / "events.jsonl").open("a") as file:
        file.write('sted", "i": 1}\n')
    assert folder.records(offset)[0] == [{"type": "edge_tested", "i": 1}]


def test_an_interrupted_log_is_cut_after_the_last_newline(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, tail='{"type": "edge_te')
    assert folder.cut_events() == [STARTED, TESTED]
    assert (folder.path / "events.jsonl").read_text().endswith("}\n")


def test_an_ending_is_cut_too_so_that_a_stopped_run_can_go_on(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, RunStopped(1))
    assert folder.ended
    assert folder.cut_events() == [STARTED, TESTED]
    assert not folder.ended


def test_a_dead_process_holds_no_lock(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    now = time.time()
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert State(pid_max, now, "searching").over
    # A process that was born after the heartbeat only has the same number.
    assert State(os.getpid(), 0.0, "searching").over
    assert not State(os.getpid(), now, "searching").over
    folder.write_json("state.json", vars(State(os.getppid(), now, "searching")))
    with pytest.raises(UsageError, match="is in work"):
        store.check_not_running(folder)


def test_a_live_process_that_does_not_write_is_stale():
    init = 1  # a process older than its heartbeat
    assert State(init, time.time() - 11, "searching").stale
    assert not State(init, time.time(), "searching").stale
    assert not State(init, time.time() - 11, "finished").stale


def test_a_file_is_replaced_as_a_whole(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    folder.write_json("summary.json", {"edges_kept": 3})
    with pytest.raises(ValueError, match="Out of range"):
        folder.write_json("summary.json", {"damage": float("nan")})
    assert folder.summary == {"edges_kept": 3}
    assert [p.name for p in folder.path.iterdir() if p.name.endswith(".part")] == []


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path):
    folder = RunFolder(tmp_path / "gone")
    with pytest.raises(SearchFailed, match=r"could not be written(?s:.)*pahq resume"):
        folder.write_text("config.json", "{}")


def test_damaged_files_read_as_nothing(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    (folder.path / "summary.json").write_text("{")
    (folder.path / "state.json").write_text(json.dumps({"pid": 1}))
    assert folder.summary is None
    assert folder.state is None
