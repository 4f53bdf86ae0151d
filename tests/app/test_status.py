import os
import time

import pytest
from made_logs import records, write_run

from pahq.discovery.events import RunFailed, RunStopped, to_line
from pahq.runs.client import Job
from pahq.runs.config import RunConfig
from pahq.runs.state import State
from pahq.viz.feed import Feed, feed_of
from status import Status, settings_line, spoken_time, status_of, time_left

HERE = os.getpid()
ERROR = {"what": "a", "why": "b", "fix": "c"}


def state(phase="searching", *, pid=HERE, age=0.0):
    return State(pid, time.time() - age, phase)


def job(phase):
    return Job(1, {"do": "run"}, phase)


def feed(upto=400, ending=None):
    whole = records()
    found = feed_of(whole[:upto])
    if ending:
        found.ending = ending
    return found


def kind(*args, **more) -> str:
    return status_of(*args, **{"state": None, "job": None, **more}).kind


def test_a_recording_asks_to_be_computed():
    found = status_of(feed_of(records()), state=None, job=None, recording=True)
    assert found == Status(
        "recording", "This is a recording.", "Press Run to compute it yourself.", live=False
    )


@pytest.mark.parametrize(
    ("phase", "expected"),
    [("running", "running"), ("paused", "paused"), ("stopping", "stopping")],
)
def test_a_job_of_this_server_says_what_it_does(phase, expected):
    found = status_of(feed(), state=state(), job=job(phase))
    assert (found.kind, found.live) == (expected, True)


def test_a_waiting_run_says_how_many_are_before_it():
    found = status_of(Feed(), state=None, job=job("queued"), ahead=2)
    assert (found.kind, found.detail) == ("queued", "2 runs before it")


@pytest.mark.parametrize(
    ("phase", "words"),
    [("loading", "Loading the model"), ("checking", "reproduced exactly")],
)
def test_before_the_first_decision_the_phase_is_named(phase, words):
    assert words in status_of(Feed(), state=state(phase), job=job("running")).title


def test_a_run_of_another_process_is_followed_too():
    found = status_of(feed(), state=state(), job=None)
    assert found.kind == "running"
    assert "layer 3 head" in found.detail


def test_a_process_without_a_sign_of_life_does_not_respond():
    found = status_of(feed(), state=state(pid=1, age=11), job=None)
    assert found.kind == "stale"
    assert found.error["fix"]


def test_a_run_whose_process_is_gone_was_interrupted():
    found = status_of(feed(), state=state(pid=2**22 + 1), job=None)
    assert (found.kind, found.live) == ("interrupted", False)
    assert "can be resumed" in found.detail


def test_a_run_taken_out_of_the_queue_can_still_be_begun():
    found = status_of(Feed(), state=None, job=job("done"))
    assert (found.kind, found.live, found.title) == ("interrupted", False, "Not begun")


def test_endings_are_told_apart():
    assert kind(feed_of(records())) == "finished"
    assert kind(feed(ending={"type": "run_stopped"})) == "stopped"
    failed = status_of(
        feed(ending={"type": "run_failed", "error": ERROR}), state=None, job=job("failed")
    )
    assert (failed.kind, failed.error) == ("failed", ERROR)


def test_a_stopped_run_says_what_was_decided_and_that_the_rest_counts_as_kept():
    stopped = feed(ending={"type": "run_stopped"})
    said = status_of(stopped, state=None, job=None)
    rest = 1519 - stopped.decided
    assert said.detail == (
        f"{stopped.decided} of 1,519 edges decided, {stopped.kept} of them kept; "
        f"the {rest:,} undecided count as kept too."
    )


def test_a_stopped_run_is_measured_before_it_is_over():
    found = status_of(feed(), state=state("evaluating"), job=job("stopping"))
    assert (found.kind, found.detail) == ("stopping", "measuring what is left")


def test_only_what_was_begun_can_be_resumed():
    failed = {"type": "run_failed", "error": ERROR}
    assert status_of(feed(ending=failed), state=None, job=None).begun
    assert not status_of(feed(upto=1, ending=failed), state=None, job=None).begun
    assert not status_of(Feed(), state=state(pid=2**22 + 1), job=None).begun


def test_a_run_that_could_not_begin_says_why():
    refused = job("failed")
    refused.error = ERROR
    assert status_of(Feed(), state=None, job=refused).error == ERROR


def test_a_finished_run_is_summed_up_in_a_sentence():
    detail = status_of(feed_of(records()), state=None, job=None).detail
    assert detail.startswith("55 of 1,519 edges kept in 7 s")


def test_time_left_assumes_that_half_will_be_skipped_until_it_is_seen():
    found = feed(upto=70)
    rate = found.last_t / (found.decided - found.skipped)
    everything = rate * (1519 - found.decided)
    assert 0.4 * everything < time_left(found) < 0.7 * everything


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (42, "42 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_as_people_say_them(seconds, words):
    assert spoken_time(seconds) == words


def test_settings_fit_in_a_line():
    config = RunConfig(model="/models/mine/", task="/x/own.json", threshold=0.02, policy="bf16")
    assert settings_line(config) == "own.json · mine · BF16 · τ 0.02"


# Following a log --------------------------------------------------------------------------------


def follow(path):
    from live import Tail
    from pahq.runs.store import RunFolder

    return Tail(RunFolder(path))


def test_each_row_is_sent_in_several_messages_and_then_no_more(tmp_path):
    tail = follow(write_run(tmp_path / "r", upto=100))
    starts = []
    for _ in range(6):
        tail.read()
        starts.append(tail.message()["from"])
    rows = len(tail.feed.rows)
    assert starts == [0, 0, 0, rows, rows, rows]


def test_the_header_comes_with_the_first_rows_only(tmp_path):
    tail = follow(write_run(tmp_path / "r", upto=100))
    tail.read()
    assert tail.message()["header"]["edges"] == 1519
    for _ in range(3):
        last = tail.message()
    assert last["header"] is None
    tail.resync()
    assert tail.message()["header"]


def test_a_run_without_a_log_has_nothing_to_send_yet(tmp_path):
    tail = follow(tmp_path)
    tail.read()
    assert tail.message()["rows"] == []
    assert tail.message()["from"] == 0


def test_half_a_line_is_left_for_the_next_time(tmp_path):
    path = write_run(tmp_path / "r", upto=50)
    log = path / "events.jsonl"
    whole = log.read_text()
    log.write_text(whole[:-20])
    tail = follow(path)
    tail.read()
    assert tail.feed.decided == 49
    log.write_text(whole)
    tail.read()
    assert tail.feed.decided == 50


@pytest.mark.parametrize("ending", [RunStopped(50), RunFailed(ERROR)])
def test_a_resumed_run_is_read_anew_since_its_ending_was_cut_off(tmp_path, ending):
    path = write_run(tmp_path / "r", upto=50)
    log = path / "events.jsonl"
    whole = log.read_text()
    log.write_text(whole + to_line(ending, t=1.0))
    tail = follow(path)
    tail.read()
    assert tail.feed.ending
    longer = (write_run(tmp_path / "s", upto=80) / "events.jsonl").read_text()
    assert longer.startswith(whole)
    log.write_text(longer)
    tail.read()
    assert (tail.feed.decided, tail.feed.ending) == (80, None)
    assert tail.message()["from"] == 0
