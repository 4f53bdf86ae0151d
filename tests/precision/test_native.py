"""Native products are the emulated ones, up to the order of an FP32 sum."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.precision.formats import BF16, FORMATS, FP8_E4M3, FP32, INT8, find_format
from pahq.precision.matmul import Products
from pahq.precision.native import describe, is_native, native_product
from pahq.precision.operators import OPERATORS, Operator
from pahq.precision.quantize import round_trip, round_trip_weight, store
from tests.devices import DEVICES, needs_int8

# Half a step of a format, as a share of its row's peak.
HALF_STEP = {"fp16": 2**-11, "fp8-e4m3": 2**-4, "fp8-e5m2": 2**-3, "int8": 0.5 / 127}


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@needs_int8
@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 50), st.integers(0, 99))
def test_int8_multiplies_what_emulation_rounds(rows, fan_in, fan_out, seed):
    x, weight = gaussian(rows, fan_in, seed=seed), gaussian(fan_in, fan_out, seed=seed + 1)
    rounded = round_trip(x, INT8).double() @ round_trip_weight(weight, INT8).double()
    found = Products()(x, weight, INT8).double()
    # Codes are summed exactly; what reads back in FP32 is off by 6e-8 of each of up to 70 terms.
    assert torch.allclose(found, rounded, rtol=1e-6, atol=1e-5)


@needs_int8
def test_a_row_is_the_same_bits_whatever_else_is_in_the_batch():
    x, weight = gaussian(37, 96), gaussian(96, 40, seed=1)
    whole = Products()(x, weight, INT8)
    assert all(torch.equal(Products()(x[i : i + 1], weight, INT8)[0], whole[i]) for i in range(37))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("huge", ["weight", "activation"])
@pytest.mark.parametrize("fmt", sorted(HALF_STEP))
def test_huge_values_are_scaled_not_saturated(fmt, huge, device):
    x, weight = gaussian(6, 32), gaussian(32, 8, seed=1)
    (weight if huge == "weight" else x)[2, 3] = 1e30
    exact = x.double() @ weight.double()
    found = Products()(x.to(device), weight.to(device), find_format(fmt)).cpu().double()
    peaks = x.double().abs().amax(1, keepdim=True) * weight.double().abs().amax(0)
    # Each side is half a step of its own row or channel off, 32 terms of them.
    assert bool((found - exact).abs().le(32 * peaks * 2 * HALF_STEP[fmt] * 1.05).all())
    assert found.isfinite().all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [5, 16, 64])
@pytest.mark.parametrize("fmt", [FP32, BF16, FP8_E4M3, INT8], ids=lambda fmt: fmt.name)
def test_a_sum_of_exponentials_is_that_of_the_whole_product(block, fmt, device):
    x, weight, bias = gaussian(7, 24), gaussian(24, 37, seed=1), gaussian(37, seed=2)
    shift = gaussian(7, seed=3)
    x, weight, bias, shift = (each.to(device) for each in (x, weight, bias, shift))
    found = Products().sum_exp(x, weight, fmt, bias, shift, block)
    logits = Products()(x, weight, fmt, bias).double()
    # Logits of order 10 are known to 1e-6 in FP32, their exponentials to as much of themselves.
    assert torch.allclose(found, (logits - shift[:, None]).exp().sum(-1), rtol=1e-5)


def test_the_largest_sum_does_not_overflow():
    x = store(torch.full((1, 4096), 3.0), INT8)
    weight = store(torch.full((2, 4096), -2.0), INT8)
    if is_native(INT8, "cpu"):
        found = native_product(x, weight, INT8)
        assert torch.allclose(found, torch.full_like(found, -6.0 * 4096))


@pytest.fixture
def operators(monkeypatch):
    """Return what sets another operator of a format on this processor."""

    def use(fmt, operator):
        monkeypatch.setitem(OPERATORS["cpu"], fmt.name, operator)
        is_native.cache_clear()

    yield use
    monkeypatch.undo()
    is_native.cache_clear()


def _missing(codes, weight):
    raise NotImplementedError


def _zeros(codes, weight):
    return torch.zeros(len(codes), len(weight), dtype=torch.int32)


@pytest.mark.parametrize("wrong", [_zeros, _missing, lambda codes, weight: codes])
def test_a_wrong_operator_counts_as_none(operators, wrong):
    operators(INT8, Operator(wrong, lambda: True))
    assert describe(INT8, "cpu") == "emulated"


def test_without_integer_products_the_numbers_are_emulated(operators):
    x, weight = gaussian(5, 16), gaussian(16, 8, seed=1)
    here = Products()(x, weight, INT8)
    operators(INT8, Operator(_missing, lambda: False))
    there = Products()(x, weight, INT8)
    assert torch.allclose(here, there, rtol=1e-5, atol=1e-6)


def test_every_format_is_native_or_emulated():
    assert {describe(fmt, "cpu") for fmt in FORMATS.values()} <= {"native", "emulated"}
    assert describe(FP32, "cpu") == "native"
