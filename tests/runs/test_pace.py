import threading
import time

import pytest

from pahq.runs.pace import Metronome, Pace


def test_a_pace_is_decisions_a_second_or_a_shortest_search():
    assert Pace().seconds_each(1000) == 0.0
    assert Pace(per_second=50.0).seconds_each(1000) == pytest.approx(0.02)
    assert Pace(at_least=8.0).seconds_each(1600) == pytest.approx(0.005)
    assert Pace(at_least=8.0).seconds_each(0) == 0.0  # of unknown size: nothing to spread over


def test_it_spreads_decisions_evenly():
    beat = Metronome(Pace(per_second=200.0), held=lambda: False, ended=lambda: False)
    beat.start(edges=1000)
    started = time.monotonic()
    for _ in range(20):
        beat.wait()
    assert time.monotonic() - started >= 0.09  # 20 decisions, five milliseconds each


def test_without_a_pace_it_never_waits(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
    beat = Metronome(Pace(), held=lambda: False, ended=lambda: False)
    beat.start(edges=1000)
    for _ in range(1000):
        beat.wait()


def test_a_held_run_waits_until_it_goes_on_or_is_stopped():
    held = threading.Event()
    held.set()
    beat = Metronome(Pace(), held=held.is_set, ended=lambda: False)
    beat.start(edges=10)
    threading.Timer(0.15, held.clear).start()
    started = time.monotonic()
    beat.wait()
    assert time.monotonic() - started >= 0.1
    stopped = Metronome(Pace(), held=lambda: True, ended=lambda: True)
    stopped.start(edges=10)
    stopped.wait()
