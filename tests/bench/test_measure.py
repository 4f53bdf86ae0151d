"""What a benchmark keeps of several rounds."""

import itertools

import pytest

from pahq.bench.measure import ROUNDS, fastest_in_turn
from pahq.errors import SearchFailed


def test_rounds_take_turns_and_the_fastest_counts_with_the_highest_peak():
    called = []
    seconds = {"late": (3.0, 2.0, 1.0), "early": (1.0, 2.0, 3.0)}
    peaks = {"late": (5, 9, 7), "early": (5, 4, 6)}

    def measure(name):
        at = called.count(name)
        called.append(name)
        return {
            "seconds": seconds[name][at], "peak_bytes": peaks[name][at], "round": at, "kept": []
        }  # fmt: skip

    found = fastest_in_turn(measure, ("late", "early"), "a search")
    assert called == ["late", "early"] * ROUNDS
    assert found == {
        "late": {"seconds": 1.0, "peak_bytes": 9, "round": 2, "kept": []},
        "early": {"seconds": 1.0, "peak_bytes": 6, "round": 0, "kept": []},
    }


def test_as_many_rounds_as_are_asked_for():
    called = []

    def measure(name):
        called.append(name)
        return {"seconds": 1.0, "peak_bytes": 1, "kept": []}

    fastest_in_turn(measure, ("a", "b"), "a search", rounds=2)
    assert called == ["a", "b", "a", "b"]


def test_circuits_that_differ_between_rounds_are_refused():
    number = itertools.count()

    def measure(name):
        return {"seconds": 1.0, "peak_bytes": 1, "kept": [f"edge {next(number)}"]}

    with pytest.raises(SearchFailed, match="different circuits"):
        fastest_in_turn(measure, ["a search"], "a model")
