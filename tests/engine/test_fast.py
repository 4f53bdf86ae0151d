"""Every shortcut against the reference engine, on random models."""

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.discovery.acdc import Rule, acdc
from pahq.discovery.events import EdgeTested, FocusChanged
from pahq.discovery.screen import ScreeningEvaluator
from pahq.engine import amounts, reading
from pahq.engine.amounts import GPU, PROCESSOR
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import Problem
from pahq.engine.propagate import Shortcuts
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.screened import ScreenedDamages
from pahq.graph.build import Graph
from pahq.metrics import METRICS
from pahq.models.weights import take_weights
from pahq.precision.policy import RECIPES, Plan
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

# float32 sums in another order; logits of order 10 have a resolution of 1e-6.
TOLERANCE = 1e-5
# In low precision a last-bit difference can tip a rounding, which moves a value by a whole step.
LOW_TOLERANCE = 2e-3


def world(recipe, seed, *, policy="fp32", metric="kl", ablation="corrupt", rows=3):
    weights = take_weights(random_bridge(recipe))
    prompts = random_prompts(seed, rows=rows)
    recipe = RECIPES[policy]
    return Problem(Graph(weights.shape), prompts, METRICS[metric], recipe, ablation), weights


def search(evaluator, problem, rule):
    return list(acdc(problem.graph, evaluator, rule))


def assert_same(fast, slow, rule, tolerance):
    """Require equal decisions and effects up to the first that lies within tolerance of tau."""
    mine = [e for e in fast if isinstance(e, EdgeTested | FocusChanged)]
    theirs = [e for e in slow if isinstance(e, EdgeTested | FocusChanged)]
    for a, b in zip(mine, theirs, strict=True):
        if isinstance(a, FocusChanged):
            assert (a.focus, a.formats) == (b.focus, b.formats)
            assert a.before == pytest.approx(b.before, abs=tolerance, rel=1e-5)
            continue
        assert a.edge == b.edge
        if a.kept != b.kept:
            margin = abs((abs(b.effect) if rule.absolute else b.effect) - rule.threshold)
            assert margin <= tolerance, f"{a.edge}: {a.effect} against {b.effect}"
            return
        assert a.effect == pytest.approx(b.effect, abs=tolerance, rel=1e-5)
        assert a.skipped == b.skipped


rules = st.builds(
    Rule,
    threshold=st.sampled_from([1e-4, 1e-3, 1e-2, 1e-1]),
    absolute=st.booleans(),
    order=st.sampled_from(["nearest", "farthest", "shuffled"]),
    seed=st.integers(0, 9),
    batch_size=st.integers(1, 9),
)


@given(
    recipes, st.integers(0, 999), rules, st.sampled_from(sorted(METRICS)),
    st.sampled_from([1, 20_000, PROCESSOR.workspace, GPU.workspace]),
)  # fmt: skip
@settings(max_examples=10, deadline=None)
def test_fp32_decides_like_full_forwards(recipe, seed, rule, metric, room):
    """Also where there is room for few prompts at once, or for few alternatives."""
    problem, weights = world(recipe, seed, metric=metric)
    slow = search(ReferenceEvaluator(problem, weights), problem, replace(rule, batch_size=1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(amounts, "PROCESSOR", replace(PROCESSOR, workspace=room))
        patched.setattr(reading, "AT_HAND", room)
        fast = search(FastEvaluator(problem, weights), problem, rule)
    assert_same(fast, slow, rule, TOLERANCE)


@given(recipes, st.integers(0, 999), rules, st.sampled_from(["zero", "mean"]))
@settings(max_examples=6, deadline=None)
def test_other_ablations_too(recipe, seed, rule, ablation):
    problem, weights = world(recipe, seed, ablation=ablation)
    slow = search(ReferenceEvaluator(problem, weights), problem, replace(rule, batch_size=1))
    assert_same(search(FastEvaluator(problem, weights), problem, rule), slow, rule, TOLERANCE)


@given(recipes, st.integers(0, 999), rules, st.sampled_from(sorted(set(RECIPES) - {"fp32"})))
@settings(max_examples=8, deadline=None)
def test_low_precision_is_that_of_the_reference(recipe, seed, rule, policy):
    problem, weights = world(recipe, seed, policy=policy)
    slow = search(ReferenceEvaluator(problem, weights), problem, replace(rule, batch_size=1))
    assert_same(search(FastEvaluator(problem, weights), problem, rule), slow, rule, LOW_TOLERANCE)


@pytest.mark.parametrize("name", [field.name for field in fields(Shortcuts)])
@pytest.mark.parametrize("policy", ["fp32", "pahq-int8"])
def test_each_shortcut_can_be_switched_off_and_changes_nothing(name, policy):
    rule = Rule(threshold=1e-3, batch_size=4)
    problem, weights = world(Recipe(layers=3, heads=2), 7, policy=policy, rows=5)
    with_it = search(FastEvaluator(problem, weights), problem, rule)
    without = FastEvaluator(problem, weights, shortcuts=replace(Shortcuts(), **{name: False}))
    assert sum(getattr(event, "kept", False) for event in with_it) > 5
    assert_same(search(without, problem, rule), with_it, rule, TOLERANCE)


@pytest.mark.parametrize("policy", ["fp32", "pahq-int8"])
def test_saturated_heads_are_followed_once(policy):
    bridge = random_bridge(Recipe(layers=2, heads=3))
    with torch.no_grad():
        for block in bridge.blocks:
            block.attn.q.weight.mul_(300)
    weights = take_weights(bridge)
    problem = Problem(
        Graph(weights.shape), random_prompts(3, rows=6), METRICS["kl"], RECIPES[policy]
    )
    rule = Rule(threshold=1e-3, batch_size=4)
    fast = FastEvaluator(problem, weights)
    plain = FastEvaluator(problem, weights, shortcuts=Shortcuts(repeats=False))
    found = search(fast, problem, rule)
    assert_same(found, search(plain, problem, rule), rule, TOLERANCE)
    assert_same(found, search(ReferenceEvaluator(problem, weights), problem, rule), rule, TOLERANCE)
    assert fast.followed < 0.8 * plain.followed


@pytest.mark.parametrize("policy", ["pahq-int8", "pahq-fp8"])
def test_what_stands_under_a_focus_has_the_damage_that_following_it_gives(policy):
    """A search asks for it at every change of focus; it is known without following anything."""
    problem, weights = world(Recipe(layers=3, heads=2), 5, policy=policy, rows=5)
    fast = FastEvaluator(problem, weights, shortcuts=Shortcuts(repeats=False))
    found = []

    class Asked:
        focus, commit = fast.focus, fast.commit

        def damages(self, receiver, cut_sets):
            values = fast.damages(receiver, cut_sets)
            if list(cut_sets) == [[]]:
                followed = fast.followed
                [again, _] = fast.damages(receiver, [[], []])
                assert fast.followed > followed
                found.append((values[0], again))
            return values

    search(Asked(), problem, Rule(threshold=1e-3, batch_size=4))
    assert len(found) > 5
    for known, followed in found:
        assert known == pytest.approx(followed, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("policy", "sharpness"), [("pahq-int8", 1), ("pahq-int8", 300), ("exact-int8", 1)]
)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_resumed_search_gives_the_same_numbers_bit_for_bit(policy, sharpness, seed):
    """Wherever it was cut: behind a change of focus, in the middle of a receiver, between two."""
    rule = Rule(threshold=1e-3, batch_size=4)
    bridge = random_bridge(Recipe(layers=2, heads=3))
    with torch.no_grad():
        for block in bridge.blocks:
            block.attn.q.weight.mul_(sharpness)
    weights = take_weights(bridge)
    graph, recipe = Graph(weights.shape), RECIPES[policy]
    screens = recipe.screens
    problem = Problem(
        graph, random_prompts(seed, rows=6), METRICS["kl"], RECIPES["fp32"] if screens else recipe
    )

    def evaluator():
        if not screens:
            return FastEvaluator(problem, weights)
        exact = FastEvaluator(problem, weights, screen=Plan(recipe.background(graph)))
        return ScreeningEvaluator(ScreenedDamages(exact), exact, rule)

    whole = search(evaluator(), problem, rule)
    kinds = [isinstance(event, FocusChanged) for event in whole]
    focuses = [at + 1 for at, is_focus in enumerate(kinds) if is_focus]
    for cut in {0, *range(1, len(whole), 9), *focuses, len(whole) - 1}:
        rest = acdc(graph, evaluator(), rule, replay=whole[:cut])
        assert whole[:cut] + list(rest) == whole, f"cut at {cut}"
