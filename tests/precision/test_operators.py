"""What the operators of GPUs are given, and what they make of it, as far as no GPU is needed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from pahq.precision import operators
from pahq.precision.formats import FORMATS, FP8_E4M3, FP8_E4M3_UNSCALED, FP8_E5M2, find_format
from pahq.precision.matmul import Products
from pahq.precision.native import is_native, native_product
from pahq.precision.operators import OPERATORS, Operator, _as_fp8, _as_fp16
from pahq.precision.quantize import Stored, constant, round_trip, round_trip_weight, store

CUDA = sorted(OPERATORS["cuda"])
FP8 = [FP8_E4M3, FP8_E4M3_UNSCALED, FP8_E5M2]


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(codes, weight):
    return codes.float() @ weight.float().mT


# Where a processor has no such operator, one that multiplies the same codes stands for it.
STANDING_IN = {
    "fp8-e4m3": _as_fp8,
    "fp8-e4m3-unscaled": _as_fp8,
    "fp8-e5m2": _as_fp16,
    "bf16": plain,
    "fp16": plain,
}


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Make every format of GPUs native on the processor."""
    for name, multiply in STANDING_IN.items():
        there = OPERATORS["cuda"][name]
        operator = Operator(multiply, lambda: True, multiple=there.multiple, slack=there.slack)
        monkeypatch.setitem(OPERATORS["cpu"], name, operator)
    monkeypatch.setattr(operators, "_with_fp32_sums", plain)
    is_native.cache_clear()
    yield
    monkeypatch.undo()
    is_native.cache_clear()


def test_gpus_multiply_in_every_format_but_four_bit_integers():
    assert {"fp32", "int4", *CUDA} == set(FORMATS)


@pytest.fixture
def on_no_real_device():
    """Let torch follow shapes and types alone; what it made is of no use elsewhere."""
    constant.cache_clear()
    with FakeTensorMode():
        yield
    constant.cache_clear()


@pytest.mark.usefixtures("on_no_real_device")
@pytest.mark.parametrize("name", CUDA)
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (5, 17, 9), (0, 16, 16), (16, 16, 1), (19, 264, 24), (3, 32, 50257)]
)
def test_a_gpus_operator_takes_what_it_is_given(name, sizes):
    """torch checks sizes, strides and types of tensors that lie on no real device."""
    rows, fan_in, fan_out = sizes
    fmt = find_format(name)
    x, weight = (store(torch.randn(n, fan_in, device="cuda"), fmt) for n in (rows, fan_out))
    found = native_product(x, weight, fmt, torch.randn(fan_out, device="cuda"))
    assert (found.shape, found.dtype) == ((rows, fan_out), torch.float32)
    assert found.device.type == "cuda"


@pytest.mark.parametrize("name", CUDA)
@given(st.integers(0, 40), st.integers(1, 70), st.integers(1, 50), st.integers(0, 99))
def test_zeros_fill_up_to_the_sizes_that_an_operator_takes(name, rows, fan_in, fan_out, seed):
    there, fmt = OPERATORS["cuda"][name], find_format(name)

    def multiply(codes, weight):
        assert len(codes) >= there.rows
        assert codes.shape[1] == weight.shape[1]
        assert codes.shape[1] % there.multiple == len(weight) % there.multiple == 0
        return plain(codes, weight)

    operator = Operator(multiply, lambda: True, rows=there.rows, multiple=there.multiple)
    x, weight = (store(gaussian(n, fan_in, seed=seed + n), fmt).codes for n in (rows, fan_out))
    # More zeros, other blocks: sums in another order.
    assert torch.allclose(operator(x, weight), plain(x, weight), rtol=1e-5, atol=1e-2)


def test_every_e5m2_number_is_an_fp16_number():
    every = torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2)
    wide, exact = every.half().float(), every.float()
    assert torch.equal(wide.nan_to_num(7.0), exact.nan_to_num(7.0))
    assert torch.equal(wide.isnan(), exact.isnan())


def test_e5m2_goes_to_the_product_as_fp16(monkeypatch):
    seen = []

    def multiply(codes, weight):
        seen.extend((codes, weight))
        return plain(codes, weight)

    monkeypatch.setattr(operators, "_with_fp32_sums", multiply)
    codes = store(gaussian(3, 8), FP8_E5M2).codes
    _as_fp16(codes, codes)
    assert [each.dtype for each in seen] == [torch.float16] * 2
    assert all(torch.equal(each.float(), codes.float()) for each in seen)


@pytest.mark.parametrize("fmt", FP8, ids=lambda fmt: fmt.name)
@given(
    x=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    fan_out=st.integers(1, 40),
    seed=st.integers(0, 99),
    biased=st.booleans(),
)
@pytest.mark.usefixtures("as_on_a_gpu")
def test_scaled_codes_are_what_emulation_multiplies(fmt, x, fan_out, seed, biased):
    rows, fan_in = x
    x, weight = gaussian(rows, fan_in, seed=seed), gaussian(fan_in, fan_out, seed=seed + 1)
    bias = gaussian(fan_out, seed=seed + 2) if biased else None
    exact = round_trip(x, fmt).double() @ round_trip_weight(weight, fmt).double()
    found = Products()(x, weight, fmt, bias).double()
    # FP32 sums of up to 40 terms of order 1, scaled back twice.
    assert torch.allclose(found, exact if bias is None else exact + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(STANDING_IN))
@pytest.mark.usefixtures("as_on_a_gpu")
def test_all_that_products_do_is_as_emulated(name, monkeypatch):
    fmt, x, weight = find_format(name), gaussian(7, 24), gaussian(24, 37, seed=1)
    bias, shift, columns = gaussian(37, seed=2), gaussian(7, seed=3), torch.tensor([3, 36, 0])
    here = Products()
    assert is_native(fmt, "cpu")
    found = (
        here(x.view(1, 7, 24), weight, fmt, bias)[0],
        here.sum_exp(x, weight, fmt, bias, shift, 16),
        here.rounded(weight, fmt),
        here.rounded(weight, fmt, slice(3, 9)),
        here.rounded(weight, fmt, columns),
    )
    assert here.activated(x, weight, fmt, bias, "relu") is None
    here.hold(weight, fmt)
    stored = here.stored(weight, fmt)
    assert stored.codes.dtype == fmt.dtype
    assert stored.codes.is_contiguous()
    assert (stored.scale is None) == (fmt.scaling in ("none", "cut"))
    monkeypatch.delitem(OPERATORS["cpu"], name)
    is_native.cache_clear()
    there = Products()
    wanted = (
        there(x, weight, fmt, bias),
        there.sum_exp(x, weight, fmt, bias, shift, 16),
        there.rounded(weight, fmt),
        there.rounded(weight, fmt, slice(3, 9)),
        there.rounded(weight, fmt, columns),
    )
    for mine, theirs in zip(found[:2], wanted[:2], strict=True):
        # Logits of order 10 are known to 1e-6 in FP32, their exponentials to as much.
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(found[2:], wanted[2:], strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_weight_is_held_in_one_byte_each():
    weight, multiply = gaussian(24, 10), Products()
    multiply.hold(weight, FP8_E4M3)
    assert multiply.held_bytes == 24 * 10 + 4 * 10  # codes, and a scale for each channel
    multiply.hold(weight, FP8_E4M3_UNSCALED)
    assert multiply.held_bytes == 2 * 24 * 10 + 4 * 10


@pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("huge", ["weight", "activation"])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_huge_values_are_scaled_not_saturated(fmt, huge):
    x, weight = gaussian(6, 32), gaussian(32, 8, seed=1)
    (weight if huge == "weight" else x)[2, 3] = 1e30
    exact = round_trip(x, fmt).double() @ round_trip_weight(weight, fmt).double()
    found = Products()(x, weight, fmt).double()
    assert found.isfinite().all()
    # FP32 sums of 32 terms, of which the largest counts.
    assert torch.allclose(found, exact, rtol=1e-5, atol=1e-5)
    assert found.abs().max() > 1e28


def test_without_a_gpu_its_operators_are_not_asked_for():
    if not torch.cuda.is_available():
        assert not any(is_native(find_format(name), "cuda") for name in CUDA)


def test_stored_rows_without_a_scale_can_be_chosen():
    stored = Stored(store(gaussian(4, 3), FP8_E4M3_UNSCALED).codes, None)
    assert torch.equal(stored[1:3].read(), stored.read()[1:3])
    assert torch.equal(stored[torch.tensor([3, 0])].read(), stored.read()[[3, 0]])
