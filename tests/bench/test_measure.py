"""What a benchmark keeps of several rounds."""

from pahq.bench.measure import ROUNDS, fastest_in_turn


def test_rounds_take_turns_and_the_fastest_counts_with_the_highest_peak():
    called = []

    def measured(name, seconds, peaks):
        def measure():
            at = called.count(name)
            called.append(name)
            return {"seconds": seconds[at], "peak_bytes": peaks[at], "round": at}

        return measure

    found = fastest_in_turn(
        {
            "late": measured("late", (3.0, 2.0, 1.0), (5, 9, 7)),
            "early": measured("early", (1.0, 2.0, 3.0), (5, 4, 6)),
        },
        "a search",
    )
    assert called == ["late", "early"] * ROUNDS
    assert found == {
        "late": {"seconds": 1.0, "peak_bytes": 9, "round": 2},
        "early": {"seconds": 1.0, "peak_bytes": 6, "round": 0},
    }
