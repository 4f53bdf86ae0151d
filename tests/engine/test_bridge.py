"""Two implementations that share nothing must find the same circuit."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import EdgeTested
from pahq.engine.bridge import BridgeEvaluator, use_split_inputs
from pahq.engine.problem import NOTHING_CUT, Problem
from pahq.engine.reference import ReferenceEvaluator
from pahq.errors import UsageError
from pahq.graph.build import Graph
from pahq.metrics import kl, logit_diff
from pahq.models.weights import take_weights
from pahq.precision.policy import RECIPES
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

# Two correct float32 evaluators: sums in another order, times the metric's slope.
TOLERANCE = 1e-5


def search(evaluator, graph, threshold):
    found = acdc(graph, evaluator, Rule(threshold=threshold))
    return [event for event in found if isinstance(event, EdgeTested)]


def both(bridge, seed, *, threshold, metric=kl, ablation="corrupt"):
    weights = take_weights(bridge)
    problem = Problem(Graph(weights.shape), random_prompts(seed), metric, RECIPES["fp32"], ablation)
    ours = search(ReferenceEvaluator(problem, weights), problem.graph, threshold)
    theirs = search(BridgeEvaluator(problem, bridge), problem.graph, threshold)
    return ours, theirs


def assert_same(ours, theirs, threshold):
    for a, b in zip(ours, theirs, strict=True):
        assert a.edge == b.edge
        if a.kept != b.kept:
            assert abs(a.effect - threshold) < TOLERANCE
            return  # from here on the two searches rightly differ
        assert a.effect == pytest.approx(b.effect, abs=TOLERANCE, rel=1e-5)


@given(recipes, st.sampled_from(["native", "gpt2"]), st.integers(0, 999), st.sampled_from([-4, -2]))
@settings(max_examples=6, deadline=None)
def test_reference_and_bridge_decide_alike(recipe, family, seed, exponent):
    gpt2 = {"mlp": True, "norm": "LN", "family": "gpt2"} if family == "gpt2" else {}
    bridge = random_bridge(replace(recipe, **gpt2))
    assert use_split_inputs(bridge) == (family == "gpt2")
    threshold = 10.0**exponent
    assert_same(*both(bridge, seed, threshold=threshold), threshold)


@pytest.mark.parametrize("ablation", ["zero", "mean"])
@pytest.mark.parametrize("family", ["native", "gpt2"])
def test_other_ablations_and_metrics_agree_too(ablation, family):
    bridge = random_bridge(Recipe(layers=2, heads=2, family=family))
    ours, theirs = both(bridge, 7, threshold=0.003, ablation=ablation, metric=logit_diff)
    assert any(event.kept for event in ours)
    assert any(not event.kept and not event.skipped for event in ours)
    assert_same(ours, theirs, 0.003)


def test_the_search_of_a_random_model_is_not_trivial():
    ours, _ = both(random_bridge(Recipe(layers=3, heads=2)), 1, threshold=0.01)
    kinds = {(event.kept, event.skipped) for event in ours}
    assert kinds == {(True, False), (False, False), (False, True)}


def test_the_bridge_engine_refuses_low_precision():
    bridge = random_bridge(Recipe())
    graph = Graph(take_weights(bridge).shape)
    problem = Problem(graph, random_prompts(0), kl, RECIPES["pahq-int8"])
    with pytest.raises(UsageError, match="fp32"):
        BridgeEvaluator(problem, bridge)


def test_unpatched_it_is_the_model_itself():
    bridge = random_bridge(Recipe(family="gpt2"))
    graph = Graph(take_weights(bridge).shape)
    problem = Problem(graph, random_prompts(0), kl, RECIPES["fp32"])
    assert BridgeEvaluator(problem, bridge).damage(NOTHING_CUT) == pytest.approx(0, abs=1e-12)
