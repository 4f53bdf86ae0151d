import json

import pytest
from made_logs import TAU, events, write_run

from forecast import BINS, forecast
from pahq.discovery.events import EdgeTested
from pahq.runs.config import RunConfig
from pahq.runs.store import RunFolder


def made(path, *, threshold=TAU, **settings):
    """A finished run, or with ``upto`` one that was stopped and has a summary too."""
    upto, policy = settings.get("upto"), settings.get("policy", "pahq-int8")
    run = RunFolder(write_run(path, threshold=threshold, policy=policy, upto=upto))
    config = run.config.model_copy(update={"threshold": threshold})
    (run.path / "config.json").write_text(config.as_json())
    stopped = {"status": "stopped", "edges_total": 1519, "edges_decided": upto}
    if upto:
        for name, data in (("summary", stopped), ("circuit", {})):
            (run.path / f"{name}.json").write_text(json.dumps(data))
    return run


@pytest.fixture
def runs(tmp_path):
    return [made(tmp_path / "half", upto=300), made(tmp_path / "recordings" / "whole")]


def ask(runs, threshold=TAU, **settings):
    config = RunConfig(**{"model": "tiny-gpt", "task": "ioi", "threshold": threshold, **settings})
    return forecast(config, runs)


def test_a_finished_run_of_the_same_model_and_task_is_the_source(runs):
    assert ask(runs).source == "a recording at τ 0.01"
    assert ask(runs[:1]) is None


def test_a_run_is_named_by_its_time_and_its_threshold(tmp_path):
    run = made(tmp_path / "20261125-155940-tiny-gpt-ioi-pahq-int8-0.02", threshold=0.02)
    assert ask([run]).source == "your run of 25 Nov 15:59 at τ 0.02"


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


def test_the_run_with_the_nearest_threshold_is_the_source(runs, tmp_path):
    fine = made(tmp_path / "fine", threshold=0.0002)
    coarse = made(tmp_path / "coarse", threshold=0.1)
    among = [fine, coarse, *runs]
    assert ask(among).source == "a recording at τ 0.01"
    assert ask(among, 0.0005).source.endswith("τ 0.0002")
    assert ask(among, 0.04).source.endswith("τ 0.1")  # a ratio of 2.5 is less than one of 4
    assert ask(among, 0.03).source.endswith("τ 0.01")


def test_a_larger_threshold_tested_too_little_to_say_more_than_at_least(runs, tmp_path):
    coarse = made(tmp_path / "coarse", threshold=0.1)
    assert ask([coarse], 0.02).least
    assert not ask(runs, 0.02).least


def test_of_several_runs_one_of_the_same_policy_is_the_source(tmp_path):
    full = made(tmp_path / "20261125-155940-x", policy="fp32")
    low = made(tmp_path / "20261125-160000-x")
    assert "15:59" in ask([low, full], policy="fp32").source
    assert "16:00" in ask([full, low], policy="pahq-int8").source
    assert "16:00" in ask([low, full], policy="bf16").source  # then the first


@pytest.mark.parametrize(
    "other", [{"task": "docstring"}, {"metric": "nll"}, {"model": "gpt2"}, {"examples": 7}]
)
def test_effects_of_another_kind_say_nothing(runs, other):
    assert ask(runs, **other) is None


def test_without_any_run_there_is_nothing_to_say():
    assert ask([]) is None
