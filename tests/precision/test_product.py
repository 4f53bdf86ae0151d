import pytest
import torch

from pahq.precision import product as module
from pahq.precision.product import packed, product


@pytest.mark.parametrize("rows", [(1500,), (3, 500), (2, 5, 150)])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "columns", "rows"])
@torch.inference_mode()
def test_it_is_the_product_whatever_the_layout(rows, layout):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*rows, 64, generator=generator)
    weight = {
        "contiguous": torch.randn(64, 96, generator=generator),
        "transposed": torch.randn(96, 64, generator=generator).T,
        "columns": torch.randn(64, 300, generator=generator)[:, 100:196],
        "rows": torch.randn(300, 64, generator=generator).T[:, 100:196],
    }[layout]
    assert x.numel() * 96 >= module.WORTH
    # 64 products of order 1, summed in float32.
    assert torch.allclose(product(x, weight).double(), x.double() @ weight.double(), atol=1e-5)


@pytest.mark.skipif(not module.packs(), reason="oneDNN takes no packed weights here")
@pytest.mark.parametrize("rows", [20, 150, 400, 1500])
@pytest.mark.parametrize("biased", [False, True])
@torch.inference_mode()
def test_a_packed_weight_gives_the_same_numbers(rows, biased):
    x, bias = torch.randn(rows, 1030), torch.randn(1040) if biased else None
    for weight in (torch.randn(1030, 1040), torch.randn(1040, 1030).T):
        ready = packed(weight)
        assert ready is not None
        assert torch.equal(product(x, weight, bias, ready=ready), product(x, weight, bias))
        few = x[:1]  # too few for the operator
        assert few.numel() * 1040 < module.WORTH
        assert torch.equal(product(few, weight, bias, ready=ready), product(few, weight, bias))


def test_what_gains_nothing_is_not_packed():
    assert packed(torch.randn(64, 96)) is None
    assert packed(torch.randn(1024, 1024, dtype=torch.float64)) is None


@torch.inference_mode()
def test_where_the_operator_is_missing_torchs_own_product_is_used(monkeypatch):
    x, weight = torch.randn(1500, 64), torch.randn(64, 96)
    expected = x @ weight

    def missing(*_):
        raise AttributeError("no such operator")

    module.works.cache_clear()
    monkeypatch.setattr(module, "_multiply", missing)
    assert not module.works()
    assert torch.equal(product(x, weight), expected)
    module.works.cache_clear()


def test_where_weights_cannot_be_packed_the_operator_is_used_all_the_same(monkeypatch):
    def missing(*_):
        raise AttributeError("no such operator")

    works = module.works()
    module.packs.cache_clear()
    monkeypatch.setattr(module, "_pack", missing)
    assert packed(torch.randn(1024, 1024)) is None
    assert module.works() == works
    module.packs.cache_clear()


def test_with_gradients_torchs_own_product_is_used():
    x, weight = torch.randn(1500, 64, requires_grad=True), torch.randn(64, 96)
    product(x, weight).sum().backward()
    assert x.grad is not None
