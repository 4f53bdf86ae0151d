"""Noise of formats, measured without patches, against the engines that patch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine import components
from pahq.engine.fast import FastEvaluator
from pahq.engine.problem import NOTHING_CUT, Problem
from pahq.engine.propagate import Shortcuts
from pahq.engine.reference import ReferenceEvaluator
from pahq.engine.sensitivity import CANDIDATES, NoiseMeter
from pahq.engine.standing import trace
from pahq.graph.build import Graph
from pahq.metrics import METRICS, Targets, damage
from pahq.models.weights import take_weights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan, Policy
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

# Sums of FP32 numbers of order 10 in another order; their resolution is 1e-6.
TOLERANCE = 1e-6
# Without full logits, the rounding of each is no longer that of all: as in test_readout.py.
STREAMED = 5e-6
# The reference sums heads in another order: a last bit can tip a rounding by a whole step.
LOW_TOLERANCE = 2e-3
UNIFORM = ("int8", "bf16", "fp8-e4m3", "int4")


def world(recipe, seed=0, rows=4):
    model = take_weights(random_bridge(recipe))
    return model, random_prompts(seed, rows=rows)


def policy_of(formats):
    return Policy("mine", "fp32", "fp32", "fp32", "fp32", components=formats)


def full_noise(model, prompts, formats):
    """Return the noise of whole forwards, each from the embedding on."""
    full = Plan(RECIPES["fp32"].background(Graph(model.shape)))
    multiply, total = Products(), 0.0
    for batch in prompts:
        exact, low = (
            components.logits(
                trace(model, batch.clean, plan, multiply).streams["logits"][
                    batch.row, batch.position
                ],
                model,
                plan["logits"],
                multiply,
            )
            for plan in (full, Plan({**full.formats, **formats}))
        )
        targets = Targets(batch, exact.double().log_softmax(-1))
        total += damage(METRICS["kl"], low, targets)
    return total


@given(recipes, st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_fp32_has_no_noise(recipe, seed):
    model, prompts = world(recipe, seed)
    meter = NoiseMeter(model, prompts)
    assert meter.noise({}) == 0.0
    assert meter.noise(RECIPES["fp32"].background(meter.graph)) == 0.0
    assert meter.pairs == 4


@given(recipes, st.integers(0, 999), st.sampled_from(UNIFORM))
@settings(max_examples=12, deadline=None)
def test_everything_lowered_is_the_engines_noise_floor(recipe, seed, fmt):
    model, prompts = world(recipe, seed)
    graph = Graph(model.shape)
    formats = dict.fromkeys(graph.components, fmt)
    found = NoiseMeter(model, prompts).noise(formats)
    problem = Problem(graph, prompts, METRICS["kl"], policy_of(formats))
    streamed = FastEvaluator(problem, model).damage(NOTHING_CUT)
    assert found == pytest.approx(streamed, abs=STREAMED)
    whole = FastEvaluator(problem, model, shortcuts=Shortcuts(stream_vocabulary=False))
    assert found == pytest.approx(whole.damage(NOTHING_CUT), abs=TOLERANCE)
    slow = ReferenceEvaluator(problem, model).damage(NOTHING_CUT)
    assert found == pytest.approx(slow, abs=LOW_TOLERANCE, rel=0.05)


@given(recipes, st.integers(0, 999), st.sampled_from(UNIFORM), st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_any_components_lowered_are_whole_forwards(recipe, seed, fmt, random):
    model, prompts = world(recipe, seed)
    meter = NoiseMeter(model, prompts)
    some = random.sample(meter.graph.components, random.randint(1, len(meter.graph.components)))
    formats = dict.fromkeys(some, fmt)
    assert meter.noise(formats) == pytest.approx(full_noise(model, prompts, formats), abs=1e-12)


@pytest.mark.parametrize("fmt", UNIFORM)
@pytest.mark.parametrize("lowered", ["last layer", "last mlp", "logits", "input"])
def test_what_lies_below_need_not_be_computed_again(lowered, fmt):
    """Forwards begin at the first lowered layer; the embedding is the only thing below a0."""
    model, prompts = world(Recipe(layers=3, heads=2))
    chosen = {
        "last layer": ["a2.h0", "a2.h1", "m2", "logits"], "last mlp": ["m2"],
        "logits": ["logits"], "input": ["input"],
    }[lowered]  # fmt: skip
    formats = dict.fromkeys(chosen, fmt)
    found = NoiseMeter(model, prompts).noise(formats)
    # The same sums in the same order.
    assert found == pytest.approx(full_noise(model, prompts, formats), abs=1e-12)
    assert found > 0


@given(recipes, st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_sensitivity_has_every_component_in_every_format(recipe, seed):
    model, prompts = world(recipe, seed)
    meter, told = NoiseMeter(model, prompts), []
    found = meter.sensitivity(CANDIDATES["cpu"], lambda done, total: told.append((done, total)))
    assert meter.multiply.held_bytes == 0  # one component at a time, and the last one is over
    count = len(meter.graph.components)
    assert tuple(found) == meter.graph.components
    for name, each in found.items():
        assert tuple(each) == CANDIDATES["cpu"]
        for fmt, noise in each.items():
            assert noise == max(meter.noise({name: fmt}), 0.0) >= 0.0
    assert told == [(done, count) for done in range(1, count + 1)]


def test_a_coarser_format_is_noisier():
    model, prompts = world(Recipe(layers=2, heads=3), rows=6)
    meter = NoiseMeter(model, prompts)
    noise = [
        meter.noise(dict.fromkeys(meter.graph.components, f)) for f in ("bf16", "int8", "int4")
    ]
    assert 0 < noise[0] < noise[1] < noise[2]


def test_a_batch_counts_by_its_prompts():
    """Prompts of two lengths are two batches; each prompt weighs the same."""
    model, prompts = world(Recipe(layers=1, heads=2), seed=1, rows=5)
    assert len(prompts) == 2
    meter, formats = NoiseMeter(model, prompts), {"a0.h0": "int4", "m0": "int4"}
    both = meter.noise(formats)
    assert both == pytest.approx(full_noise(model, prompts, formats), abs=1e-12)
    assert sum(float(batch.weight.sum()) for batch in prompts) == pytest.approx(1.0)
    # Measured one by one the weights are the same, and so the parts.
    parts = [NoiseMeter(model, [batch]).noise(formats) for batch in prompts]
    assert sum(parts) == pytest.approx(both, abs=1e-12)


def test_measuring_changes_no_weight():
    model, prompts = world(Recipe(layers=1, heads=2))
    before = [w.clone() for each in model.matrices().values() for w in each]
    NoiseMeter(model, prompts).sensitivity(["int8", "bf16"])
    after = [w for each in model.matrices().values() for w in each]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
