from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings

from pahq.engine.checks import check_model
from pahq.errors import CheckFailed
from pahq.models.weights import take_weights
from tests.random_models import Recipe, random_bridge, recipes


@given(recipes)
@settings(max_examples=6, deadline=None)
def test_a_model_that_is_reproduced_passes(recipe):
    bridge = random_bridge(recipe)
    check_model(take_weights(bridge), bridge)


def test_a_hugging_face_model_passes():
    bridge = random_bridge(Recipe(family="gpt2"))
    check_model(take_weights(bridge), bridge)


def test_a_changed_weight_fails_parity_and_says_by_how_much():
    bridge = random_bridge(Recipe())
    weights = take_weights(bridge)
    wrong = replace(weights, unembedding=weights.unembedding * 1.1)
    with pytest.raises(CheckFailed, match=r"(?s)'parity' failed at logits.*nats.*--engine bridge"):
        check_model(wrong, bridge)


def test_a_bias_that_nobody_adds_fails():
    bridge = random_bridge(Recipe())
    weights = take_weights(bridge)
    blocks = tuple(
        replace(b, attention_bias=torch.zeros_like(b.attention_bias)) for b in weights.blocks
    )
    with pytest.raises(CheckFailed):
        check_model(replace(weights, blocks=blocks), bridge)


def test_heads_that_share_one_input_fail_isolation(monkeypatch):
    # The defect of published code: every head reads the query input of one of them.
    from pahq.engine import reference

    bridge = random_bridge(Recipe(heads=3))
    right = reference._Stream.read

    def shared(self, receivers):
        reads = right(self, receivers)
        if not receivers[0].endswith("<q>"):
            return reads
        heads = len(receivers) // 3
        return torch.cat([reads[heads - 1 : heads].expand(heads, *reads.shape[1:]), reads[heads:]])

    monkeypatch.setattr(reference._Stream, "read", shared)
    with pytest.raises(CheckFailed, match=r"'isolation' failed at a0\.h2"):
        check_model(take_weights(bridge), bridge)
