import json

import pytest
from made_logs import write_run

from live import Load, Tail
from pahq.discovery.events import RunStopped, to_line
from pahq.runs.store import RunFolder


def load(*seconds: float, browser: int = 0) -> int:
    found = Load(browser=browser)
    for spent in seconds:
        found.note(spent)
    return found.doublings


def test_looks_that_cost_little_keep_the_interval():
    assert load(0.02, 0.05, 0.09) == 0


def test_one_slow_look_alone_changes_nothing():
    assert load(0.02, 5.0, 0.02) == 0
    assert load(5.0) == 0


def test_the_interval_is_doubled_as_often_as_the_work_needs_but_twice_at_most():
    assert load(0.15, 0.2, 0.3) == 1
    assert load(0.3, 0.4, 0.4) == 2
    assert load(9.0, 9.0, 9.0) == 2


def test_the_slower_side_decides():
    assert load(0.01, 0.01, 0.01, browser=1) == 1
    assert load(0.3, 0.3, 0.3, browser=1) == 2


def test_a_message_has_what_the_map_shows_beside_formats(tmp_path):
    folder = RunFolder(write_run(tmp_path / "low"))
    twin = RunFolder(write_run(tmp_path / "full", policy="fp32"))
    tail = Tail(folder, lambda: [twin])
    tail.read()
    assert tail.message()["measured"]["flips"]["reference"] == "full"


def test_a_run_that_goes_on_after_its_end_has_no_flips_until_it_ends_again(tmp_path):
    folder = RunFolder(write_run(tmp_path / "low"))
    twin = RunFolder(write_run(tmp_path / "full", policy="fp32"))
    tail = Tail(folder, lambda: [twin])
    tail.read()
    assert tail.message()["measured"]["flips"]
    lines = (folder.path / "events.jsonl").read_text().splitlines(keepends=True)
    (folder.path / "events.jsonl").write_text("".join(lines[:900]))
    tail.read()
    assert tail.message()["measured"]["refused"]["flips"] == "Counted when this run has ended."


@pytest.mark.parametrize(("decided", "known"), [(400, True), (300, False)])
def test_a_stopped_run_comes_with_what_its_circuit_does_unless_an_earlier_one_was_measured(
    tmp_path, decided, known
):
    folder = RunFolder(write_run(tmp_path / "r", upto=400))
    with (folder.path / "events.jsonl").open("a") as log:
        log.write(to_line(RunStopped(400), t=3.0))
    summary = {"status": "stopped", "edges_decided": decided, "peak_bytes": 7}
    (folder.path / "summary.json").write_text(json.dumps(summary))
    tail = Tail(folder)
    tail.read()
    assert tail.message()["ending"].get("summary") == (summary if known else None)
