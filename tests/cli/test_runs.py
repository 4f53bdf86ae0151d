"""Searches from the command line: what an interruption leaves and what is said of it."""

import signal

from pahq.cli.progress import SearchProgress
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
