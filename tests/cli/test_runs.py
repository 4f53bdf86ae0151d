"""Searches from the command line: what an interruption leaves and what is said of it."""

import signal

import pytest

from pahq.cli.progress import SearchProgress
from pahq.discovery.events import EdgeTested, RunResumed
from pahq.runs.pipeline import Session

RUN = ["run", "--model", "hand-induction", "--task", "induction", "--threshold", "0.01"]
INTERRUPTED = 130


def press_twice(*_, **__):
    """Do what two Ctrl-C in a row do."""
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_names_the_run_and_how_to_go_on(pahq, monkeypatch, tmp_path):
    out = str(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(SearchProgress, "event", press_twice)
        for arguments in ([*RUN, "--out", out], ["resume", out]):
            done = pahq(*arguments)
            assert done.returncode == INTERRUPTED
            assert f"pahq resume {out}" in done.stderr
    assert pahq("resume", out).returncode == 0


def test_a_second_ctrl_c_before_the_search_says_that_nothing_is_left(pahq, monkeypatch, tmp_path):
    out = tmp_path / "run"
    monkeypatch.setattr(Session, "prepare", press_twice)
    done = pahq(*RUN, "--out", str(out))
    assert done.returncode == INTERRUPTED
    assert "no run to go on with" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("place", ["home", "runs"])
def test_a_home_that_is_a_file_is_refused_by_its_name(refused, monkeypatch, tmp_path, place):
    home = tmp_path / "elsewhere"
    file = home if place == "home" else home / "runs"
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    monkeypatch.setenv("PAHQ_HOME", str(home))
    for arguments in (["list"], [*RUN, "--examples", "4"]):
        message = refused(*arguments)
        assert str(file) in message
        assert "PAHQ_HOME" in message


def test_a_home_that_may_not_be_read_is_refused_by_its_name(refused, monkeypatch):
    def locked():
        raise PermissionError(13, "Permission denied", "/locked/runs")

    monkeypatch.setattr("pahq.runs.store.list_runs", locked)
    assert "/locked/runs cannot be used.\n  why: Permission denied" in refused("list")


def test_the_first_line_after_a_resume_says_where_it_is_and_at_its_own_pace(monkeypatch, capsys):
    """It used to come at the first decision, before there was a pace, at no receiver."""
    now = [100.0]
    monkeypatch.setattr("pahq.cli.progress.time.monotonic", lambda: now[0])
    progress = SearchProgress()
    progress.resumed(total=1000, kept=7)
    now[0] += 60  # loading
    progress.event(RunResumed(200), 0.0)
    now[0] += 0.01
    progress.event(EdgeTested(200, "m0->a1.h0<q>", 0.5, True, 0.0), 0.0)
    assert capsys.readouterr().err == ""
    now[0] += 9.99
    progress.event(EdgeTested(299, "m0->a1.h1<q>", 0.5, True, 0.0), 0.0)
    assert capsys.readouterr().err == (
        "300 of 1,000 edges decided, 9 kept, at a1.h1<q>, 10 edges/s, at most 70 s left\n"
    )
