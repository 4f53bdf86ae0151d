"""The fast engine's circuits against the reference engine's: a sample of `pahq bench identical`."""

import pytest

from pahq.bench.identical import _moved, _search, compare, spread
from pahq.engine.fast import FastEvaluator
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session


@pytest.fixture(scope="module")
def session():
    return Session()


@pytest.mark.parametrize("policy", ["fp32", "pahq-fp8", "pahq-int8", "rtn-fp8"])
@pytest.mark.parametrize(
    ("model", "task", "threshold"),
    [
        ("attn-2l", "induction", 0.003),
        ("attn-2l", "induction", 0.1),
        ("hand-induction", "induction", 0.01),
        ("tiny-gpt", "greater-than", 0.1),
    ],
)
def test_the_circuits_are_the_same(session, model, task, threshold, policy):
    config = make_config(model=model, task=task, threshold=threshold, policy=policy, examples=3)
    found = compare(session.prepare(config))
    if found["margin"] is None:
        assert found["same_circuit"]
        assert found["edges_kept"] > 0
    if policy == "fp32":
        assert found["largest_difference"] < 1e-5
        assert found["margin"] is None or found["margin"] < 1e-5


def test_last_bits_move_effects_of_fp32_by_less_than_it_resolves_and_of_int8_by_more(session):
    moved = {}
    for policy in ("fp32", "rtn-int8"):
        config = make_config(
            model="attn-2l", task="induction", threshold=1.0, policy=policy, examples=2
        )
        prepared = session.prepare(config)
        decisions = _search(prepared, FastEvaluator)[:6]
        moved[policy] = [_moved(prepared, decisions, d.i) for d in decisions]
    assert max(moved["fp32"]) < 1e-5
    assert max(moved["rtn-int8"]) > 10 * max(moved["fp32"])


def test_thresholds_spread_from_few_to_most_edges(session):
    config = make_config(
        model="attn-2l", task="induction", threshold=1.0, examples=2, batch_size=32
    )
    prepared = session.prepare(config)
    thresholds = spread(prepared, 3)
    assert thresholds == sorted(thresholds, reverse=True)
    shares = []
    for threshold in thresholds:
        config = config.model_copy(update={"threshold": threshold})
        found = session.start(config).summary
        shares.append(found["edges_kept"] / found["edges_total"])
    assert shares[0] < 0.06
    assert shares[-1] > 0.4
