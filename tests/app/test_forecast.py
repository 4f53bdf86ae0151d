import pytest
from made_logs import TAU, events, write_run

from forecast import BINS, forecast
from pahq.discovery.events import EdgeTested
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder


@pytest.fixture
def runs(tmp_path):
    write_run(tmp_path / "half", upto=300)
    write_run(tmp_path / "whole")
    return [RunFolder(tmp_path / "half"), RunFolder(tmp_path / "whole")]


def ask(runs, threshold=TAU, **settings):
    config = RunConfig(**{"model": "tiny-gpt", "task": "ioi", "threshold": threshold, **settings})
    return forecast(config, runs)


def test_a_finished_run_of_the_same_model_and_task_is_the_source(runs):
    assert ask(runs).source == "whole"


def test_its_own_threshold_gives_its_own_circuit(runs):
    kept = sum(e.kept for e in events() if isinstance(e, EdgeTested))
    found = ask(runs)
    assert (found.kept, found.edges) == (kept, 1519)
    assert sum(found.bins) == sum(not e.skipped for e in events() if isinstance(e, EdgeTested))


def test_a_larger_threshold_keeps_less_and_stands_further_right(runs):
    low, high = ask(runs, 0.001), ask(runs, 0.1)
    assert low.kept > high.kept
    assert 0 < low.place < high.place < 1
    assert len(low.bins) == BINS


def test_a_run_that_tested_enough_is_preferred(runs, tmp_path):
    coarse = RunFolder(write_run(tmp_path / "coarse", threshold=0.1))
    config = coarse.config.model_copy(update={"threshold": 0.1})
    (coarse.path / "config.json").write_text(config.as_json())
    assert ask([coarse, *runs], 0.02).source == "whole"
    assert ask([coarse, *runs], 0.2).source == "coarse"
    assert ask([coarse], 0.02).least
    assert not ask(runs, 0.02).least


@pytest.mark.parametrize("other", [{"task": "docstring"}, {"metric": "nll"}, {"model": "gpt2"}])
def test_effects_of_another_kind_say_nothing(runs, other):
    assert ask(runs, **other) is None


def test_without_any_run_there_is_nothing_to_say():
    assert ask([]) is None
