"""Damages to screen with: near the exact ones, and without a trace in them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.engine.screened import ScreenedDamages
from pahq.graph.build import Graph
from pahq.metrics import METRICS
from pahq.models.weights import take_weights
from pahq.precision.policy import RECIPES, Plan
from tests.random_models import Recipe, random_bridge, random_prompts, recipes


def evaluators(recipe, seed, metric="kl"):
    """Return an exact evaluator, and one beside whose tests others are screened."""
    weights = take_weights(random_bridge(recipe))
    graph = Graph(weights.shape)
    problem = Problem(
        graph, random_prompts(seed, rows=4), METRICS[metric], RECIPES["fp32"], "corrupt"
    )
    screen = Plan(RECIPES["exact-int8"].background(graph))
    beside = FastEvaluator(problem, weights, screen=screen)
    return graph, FastEvaluator(problem, weights), beside, ScreenedDamages(beside)


@given(recipes, st.integers(0, 999), st.sampled_from(["kl", "logit-diff", "nll"]))
@settings(max_examples=12)
def test_exact_damages_stay_exact_beside_screened_ones(recipe, seed, metric):
    walked(recipe, seed, metric)


@pytest.mark.parametrize("seed", range(6))
def test_screened_damages_err_by_a_few_hundredths_of_how_far_they_move(seed):
    recipe = Recipe(layers=2 + seed % 2, heads=3, d_head=6, seed=seed)
    errors, moves = walked(recipe, seed, "kl")
    # Over all tests: one by one a damage may stand still while outputs, and their errors, move.
    assert sum(errors) <= 0.05 * sum(moves)


def walked(recipe, seed, metric):
    """Test and cut edges of every receiver that something reads, exactly and screened.

    Returns:
        The errors of screened damages, and how far damages move from where nothing more is cut.
    """
    errors, moves = [], []
    graph, alone, exact, screened = evaluators(recipe, seed, metric)
    generator = torch.Generator().manual_seed(seed)
    alive = {"logits"}
    for receiver in graph.receivers:
        senders = list(graph.senders_to(receiver))
        if alive.isdisjoint(graph.readers(receiver.component)):
            for evaluator in (alone, exact, screened):
                evaluator.commit(receiver, senders)
            continue
        sets = [senders[:n] for n in range(len(senders) + 1)]
        for evaluator in (alone, screened):
            evaluator.focus(receiver.component)
        about = torch.tensor(screened.damages(receiver, sets))
        found = torch.tensor(exact.damages(receiver, sets))
        plain = torch.tensor(alone.damages(receiver, sets))
        # float32 sums in another order; logits of order 10 have a resolution of 1e-6.
        assert torch.allclose(found, plain, atol=1e-5, rtol=1e-5)
        errors += (about - plain).abs().tolist()
        moves += (plain - plain[0]).abs().tolist()
        cut = [s for s in senders if float(torch.rand(1, generator=generator)) < 0.7]
        alive.update(sender.name for sender in senders if sender not in cut)
        for evaluator in (alone, exact, screened):
            evaluator.commit(receiver, cut)
    assert exact.evaluations == alone.evaluations == screened.evaluations
    return errors, moves


@pytest.mark.parametrize("policy", ["exact-int8", "exact-bf16"])
def test_screening_lowers_mlps_alone(policy):
    recipe = RECIPES[policy]
    assert recipe.screens
    assert (recipe.input, recipe.heads, recipe.logits, recipe.focus) == ("fp32",) * 3 + (None,)
