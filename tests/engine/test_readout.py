import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pahq.engine import components, readout
from pahq.engine.readout import Readout
from pahq.metrics import METRICS, Targets, logit_diff_max
from pahq.models.weights import take_weights
from pahq.precision.formats import FORMATS, FP32
from pahq.precision.matmul import Products
from tests.random_models import Recipe, random_bridge, random_prompts


def world(metric, seed=0, norm="LN"):
    model = take_weights(random_bridge(Recipe(heads=3, norm=norm, seed=seed)))
    batch = random_prompts(seed, rows=6)[0]
    generator = torch.Generator().manual_seed(seed)
    full = torch.randn(len(batch.row), model.vocabulary, generator=generator)
    targets = Targets(batch, full.double().log_softmax(-1))
    items = torch.randint(0, len(batch.row), (23,), generator=generator)
    residuals = torch.randn(23, 12, generator=generator) * 3
    return Readout(model, metric, targets, Products()), residuals, items


@given(st.integers(0, 99), st.sampled_from(sorted(FORMATS)), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_kl_by_blocks_equals_kl_of_full_logits(seed, fmt, block):
    found, *given = world(METRICS["kl"], seed)
    found.block = block
    blocked = found.values(*given, FORMATS[fmt])
    full = found.values(*given, FORMATS[fmt], stream=False)
    # Both read logits of order 10 in float32, whose resolution is 1e-6.
    assert torch.allclose(blocked, full, atol=5e-6)


@pytest.mark.parametrize("fmt", [FP32, *(f for f in FORMATS.values() if f is not FP32)],
                         ids=lambda fmt: fmt.name)  # fmt: skip
@pytest.mark.parametrize("block", [5, 2048])
def test_a_damage_whose_exponentials_overflow_is_that_of_full_logits(fmt, block):
    """Some rows lie far above the 69 nats at which the first sum means nothing, some do not."""
    found, residuals, items = world(METRICS["kl"], norm=None)
    found.block = block
    residuals = residuals * torch.logspace(-1, 3, len(residuals))[:, None]
    blocked = found.values(residuals, items, fmt)
    full = found.values(residuals, items, fmt, stream=False)
    high = full > math.log(readout.MOST)
    assert 5 < int(high.sum()) < len(high) - 5
    assert full.max() > 1000
    # Logits are as large as the damage and known to 6e-8 of themselves, each sum over d_model.
    assert torch.allclose(blocked, full, rtol=2e-6, atol=5e-6)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_kl_alone_can_do_without_the_whole_clean_distribution(name):
    found, *given = world(METRICS[name])
    size = found.targets.log_probs.shape
    before = found.values(*given, FP32)
    found.settle(FP32)
    assert found.targets.log_probs.shape == ((size[0], 0) if name == "kl" else size)
    assert torch.equal(found.values(*given, FP32), before)


def test_a_few_targets_at_a_time_are_all_of_them(monkeypatch):
    monkeypatch.setattr(readout, "FEW", 2)
    targets = world(METRICS["nll"])[0].targets
    parts = list(readout.split(targets))
    assert len(parts) == -(-len(targets.log_probs) // 2) > 1
    assert torch.equal(torch.cat([part.log_probs for part in parts]), targets.log_probs)
    for name in ("answers", "weight"):
        pieces = [getattr(part.batch, name) for part in parts]
        assert torch.equal(torch.cat(pieces), getattr(targets.batch, name))


def test_a_residual_that_is_not_a_number_has_no_damage():
    found, residuals, items = world(METRICS["kl"])
    residuals[3, 0] = torch.nan
    for fmt in FORMATS.values():
        values = found.values(residuals, items, fmt)
        assert values.isnan().nonzero().tolist() == [[3]], fmt.name


@pytest.mark.parametrize("metric", [METRICS["logit-diff"], logit_diff_max])
def test_differences_of_logits_need_only_the_answers_columns(metric):
    found, *given = world(metric)
    full = found.values(*given, FP32, stream=False)
    assert torch.allclose(found.values(*given, FP32), full, atol=1e-5)


@pytest.mark.parametrize("name", ["prob-diff", "nll", "accuracy"])
def test_other_metrics_are_computed_some_alternatives_at_a_time(name, monkeypatch):
    found, *given = world(METRICS[name])
    whole = found.values(*given, FP32)
    monkeypatch.setattr(readout, "FULL_LOGITS", 1)
    assert torch.allclose(found.values(*given, FP32), whole)
    residuals, items = given
    logits = components.logits(residuals, found.model, FP32, Products())
    each = [found.metric(x, readout.at(found.targets, i)) for x, i in zip(
        logits[:, None], items[:, None], strict=True)]  # fmt: skip
    assert torch.allclose(torch.cat(each).double(), whole)
