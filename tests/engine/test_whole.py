"""The damage of a whole circuit, against full forwards."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import NOTHING_CUT, Problem, everything_cut
from pahq.engine.reference import ReferenceEvaluator
from pahq.graph.build import Graph
from pahq.metrics import METRICS
from pahq.models.weights import take_weights
from pahq.precision.policy import RECIPES
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

# Sums in another order in float32; in low precision such a difference can tip a rounding.
TOLERANCE = {"fp32": 1e-5, "pahq-int8": 2e-3, "rtn-fp8": 2e-2}


@given(
    recipes,
    st.integers(0, 999),
    st.sampled_from(sorted(TOLERANCE)),
    st.sampled_from(["corrupt", "zero", "mean"]),
    st.sampled_from([0.05, 0.5, 0.95]),
)
@settings(max_examples=25, deadline=None)
def test_any_circuit_has_the_damage_of_full_forwards(recipe, seed, policy, ablation, share):
    weights = take_weights(random_bridge(recipe))
    problem = Problem(
        Graph(weights.shape), random_prompts(seed), METRICS["kl"], RECIPES[policy], ablation
    )
    draw = random.Random(seed)
    some = {
        receiver: frozenset(name for name in sorted(senders) if draw.random() < share)
        for receiver, senders in everything_cut(problem.graph).items()
    }
    fast, reference = FastEvaluator(problem, weights), ReferenceEvaluator(problem, weights)
    for cuts in (some, NOTHING_CUT, everything_cut(problem.graph)):
        expected = reference.damage(cuts)
        assert fast.damage(cuts) == pytest.approx(expected, abs=TOLERANCE[policy], rel=1e-4)


def test_it_changes_nothing_for_the_search():
    weights = take_weights(random_bridge(Recipe()))
    problem = Problem(Graph(weights.shape), random_prompts(3), METRICS["kl"], RECIPES["fp32"])
    first, receiver = FastEvaluator(problem, weights), problem.graph.receivers[0]
    sets = [[sender] for sender in problem.graph.senders_to(receiver)]
    before = first.damages(receiver, sets)
    first.damage(everything_cut(problem.graph))
    assert first.damages(receiver, sets) == before
