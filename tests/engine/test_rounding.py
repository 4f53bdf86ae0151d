"""Rounding errors of each component alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine.rounding import rounding_errors
from pahq.graph.build import Graph
from pahq.models.weights import take_weights
from pahq.precision.formats import BF16, INT8
from pahq.precision.policy import RECIPES
from pahq.precision.quantize import round_trip
from tests.random_models import Recipe, random_bridge, random_prompts, recipes

HEAD = {"q", "k", "v", "pattern", "output"}


def world(recipe, seed=0):
    model = take_weights(random_bridge(recipe))
    return model, random_prompts(seed, rows=4), Graph(model.shape).components


def test_fp32_moves_nothing():
    model, prompts, names = world(Recipe())
    assert rounding_errors(model, prompts, dict.fromkeys(names, "fp32")) == {}
    assert rounding_errors(model, prompts, {}) == {}


@given(recipes, st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_heads_have_five_errors_and_everything_else_one(recipe, seed):
    model, prompts, names = world(recipe, seed)
    found = rounding_errors(model, prompts, dict.fromkeys(names, "int8"))
    assert tuple(found) == names
    for name, errors in found.items():
        assert set(errors) == (HEAD if name.startswith("a") else {"output"})


@given(recipes, st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_int8_moves_each_value_a_little_and_int4_more(recipe, seed):
    model, prompts, names = world(recipe, seed)
    small, large = (
        rounding_errors(model, prompts, dict.fromkeys(names, fmt)) for fmt in ("int8", "int4")
    )
    for name, errors in small.items():
        for what, error in errors.items():
            # A pattern, and what it mixes, moves as far as scores do, which may be large.
            if what in ("q", "k", "v") or not name.startswith("a"):
                assert error < 0.05, (name, what)
            assert error > 0 or what == "pattern"
    heads = [name for name in names if name.startswith("a")]
    for what in HEAD:
        assert sum(small[h][what] for h in heads) < sum(large[h][what] for h in heads)


def test_only_what_is_lowered_is_listed_by_its_own_format():
    model, prompts, _ = world(Recipe())
    both = rounding_errors(model, prompts, {"a0.h0": "int8", "m1": "bf16", "a1.h1": "fp32"})
    assert set(both) == {"a0.h0", "m1"}
    # Each component reads FP32's values, so none depends on what the others compute in.
    assert both["m1"] == rounding_errors(model, prompts, {"m1": "bf16"})["m1"]


def test_the_embeddings_error_is_that_of_its_rows():
    model, prompts, _ = world(Recipe())
    for fmt in (INT8, BF16):
        found = rounding_errors(model, prompts, {"input": fmt.name})["input"]["output"]
        difference = size = 0.0
        for batch in prompts:
            rows = model.embedding[batch.clean]
            exact = rows + model.position[: rows.shape[1]]
            low = round_trip(rows, fmt) + model.position[: rows.shape[1]]
            difference += float((low - exact).double().square().sum())
            size += float(exact.double().square().sum())
        assert found == pytest.approx((difference / size) ** 0.5, rel=1e-6)  # FP32 sums


def test_values_that_are_all_zero_have_no_error():
    bridge = random_bridge(Recipe())
    with torch.no_grad():
        bridge.blocks[0].mlp.W_out.zero_()
        bridge.blocks[0].mlp.b_out.zero_()
    model, prompts = take_weights(bridge), random_prompts(0)
    found = rounding_errors(model, prompts, {"m0": "int8", "m1": "int8"})
    assert found["m0"] == {"output": 0.0}
    assert found["m1"]["output"] > 0


def test_a_policys_plan_can_be_given_as_it_is():
    model, prompts, names = world(Recipe())
    plan = RECIPES["pahq-fp8"].background(Graph(model.shape))
    found = rounding_errors(model, prompts, plan)
    assert set(found) == {name for name in names if name not in ("input", "logits")}
    assert max(errors["output"] for errors in found.values()) < 0.2  # FP8 keeps 3 bits: 6% each
