"""Streams that are made when they are wanted are those of the forward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine import standing
from pahq.engine.standing import Streams, levels_of, spaced, trace
from pahq.graph.build import Graph
from pahq.models.weights import take_weights
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from tests.random_models import Recipe, random_bridge, random_prompts, recipes


def world(recipe, policy, seed=0):
    model = take_weights(random_bridge(recipe))
    plan = Plan(RECIPES[policy].background(Graph(model.shape)))
    batch = random_prompts(seed)[0]
    return model, batch.corrupt, plan, Products()


@given(recipes, st.sampled_from(["fp32", "pahq-int8"]), st.integers(1, 3), st.booleans(), st.data())
@settings(max_examples=12)
def test_streams_are_those_of_the_forward_bit_for_bit(recipe, policy, apart, keep, data):
    forward = world(recipe, policy)
    model, _, plan, multiply = forward
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(standing, "APART", apart)
        everything = trace(*forward).streams
        assert list(everything) == levels_of(model)
        carried = Streams(trace(*forward, levels=spaced(model)), model, plan, multiply)
        for level in data.draw(st.permutations(levels_of(model))):
            assert torch.equal(carried.at(level), everything[level])
            if keep:
                carried.keep(level)


def test_a_kept_stream_outlives_what_lies_below():
    model, _, plan, multiply = forward = world(Recipe(layers=3, heads=2), "fp32")
    with torch.inference_mode():
        carried = Streams(trace(*forward, levels=spaced(model)), model, plan, multiply)
        carried.keep("m1")
        expected = carried.at("m1").clone()
        carried.at("a2")
        carried.written.clear()
        assert torch.equal(carried.at("m1"), expected)
        with pytest.raises(KeyError):
            carried.at("a1")


def test_a_trace_keeps_what_is_asked_for_only():
    forward = world(Recipe(layers=2, heads=2), "fp32")
    with torch.inference_mode():
        few = trace(*forward, levels={"logits"}, keep_written=False)
        assert (list(few.streams), few.written) == (["logits"], {})
        assert torch.equal(few.streams["logits"], trace(*forward).streams["logits"])
