"""Reading out over likely tokens: the rest to first order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.engine import components, likely
from pahq.engine.likely import LEFT, LikelyTokens
from pahq.models.weights import take_weights
from pahq.precision.formats import FP32
from pahq.precision.matmul import Products
from tests.random_models import VOCABULARY, Recipe, random_bridge

D_MODEL = 12


@pytest.fixture
def few(monkeypatch):
    """Read at most half of a small vocabulary."""
    monkeypatch.setattr(likely, "SMALL", 0)
    monkeypatch.setattr(likely, "MOST", 0.5)


def world(seed, spread):
    """Return a model, residuals of some targets, and their likely tokens."""
    model = take_weights(random_bridge(Recipe(heads=3, seed=seed)))
    x = torch.randn(5, D_MODEL, generator=torch.Generator().manual_seed(seed)) * spread
    logits = components.logits(x, model, FP32, Products()).double()
    found = LikelyTokens(model, logits.log_softmax(-1))
    return model, components.normalise(x, model.norm), found


def whole_sum(model, x, shift):
    logits = x.double() @ model.unembedding.double() + model.unembedding_bias.double()
    return (logits - shift[:, None]).exp().sum(-1)


def test_a_small_vocabulary_is_read_whole():
    model, x, found = world(0, 1.0)
    assert found.columns.tolist() == list(range(VOCABULARY))
    shift, items = torch.zeros(5), torch.arange(5)
    found.anchor(x)
    assert torch.allclose(found.sum_exp(x, items, shift), whole_sum(model, x, shift), rtol=1e-5)


@given(st.integers(0, 99), st.sampled_from([0.0, 1e-3, 1e-2, 0.1]))
def test_what_is_left_over_is_right_to_first_order(seed, size):
    patch = pytest.MonkeyPatch()
    with patch.context() as m, torch.inference_mode():
        m.setattr(likely, "SMALL", 0)
        m.setattr(likely, "MOST", 0.5)
        model, x, found = world(seed, 1.0)
        assert len(found.columns) <= VOCABULARY // 2
        found.anchor(x)
        items = torch.tensor([4, 0, 0, 2, 3, 1, 1])
        moved = x[items] + size * torch.randn(
            7, D_MODEL, generator=torch.Generator().manual_seed(seed + 1)
        )
        shift = torch.full((7,), 2.0)
        exact = whole_sum(model, moved, shift)
        difference = (moved - x[items]).double() @ model.unembedding.double()
        left = torch.ones(VOCABULARY, dtype=torch.bool)
        left[found.columns] = False
        # exp(g . d) of a mean is below the mean of exponentials by half their variance, at most.
        spread = difference[:, left].abs().amax(-1)
        rest = whole_sum(model, moved, shift) * spread.square() * spread.exp()
        assert bool(
            ((found.sum_exp(moved, items, shift) - exact).abs() <= rest + 1e-5 * exact).all()
        )


def test_no_more_tokens_are_read_than_are_needed(few):
    model, _, _ = world(0, 1.0)
    log_probs = torch.full((2, VOCABULARY), 1e-6).double()
    log_probs[0, 3], log_probs[1, 7] = 1.0, 1.0
    log_probs = (log_probs / log_probs.sum(-1, keepdim=True)).log()
    assert LikelyTokens(model, log_probs).columns.tolist() == [3, 7]
    log_probs = log_probs.exp()
    log_probs[1, 9] = 2 * LEFT
    log_probs = (log_probs / log_probs.sum(-1, keepdim=True)).log()
    assert LikelyTokens(model, log_probs).columns.tolist() == [3, 7, 9]
