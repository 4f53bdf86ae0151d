"""The compiled loops give what torch gives for the same numbers."""

import sys
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import pahq.precision
from pahq.engine.components import activate
from pahq.precision import kernels, quantize
from pahq.precision.formats import BF16, FP32, INT8
from pahq.precision.matmul import Products
from pahq.precision.native import native_activated, native_product, native_sum_exp
from pahq.precision.quantize import round_trip, round_trip_weight, store
from tests.devices import needs_int8

EPSILON = 2**-24  # half a step of FP32, relative
NAN = float("nan")


def tanh_gelu(x):
    """Return x (1 + tanh(u)) / 2 as x sigmoid(2u), which is exact where tanh(u) is all but -1."""
    return x * (2 * (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)).sigmoid()


DOUBLE = {  # the same functions, exact to a double
    "gelu_new": tanh_gelu,
    "gelu_fast": tanh_gelu,
    "gelu_pytorch_tanh": tanh_gelu,
    "relu": F.relu,
    "silu": F.silu,
}
sizes = st.tuples(st.integers(1, 9), st.integers(1, 300))
seeds = st.integers(0, 9999)


@contextmanager
def without_numba():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quantize, "kernels", lambda: None)
        yield


def generator(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def integer_products(size, seed, *, largest=8.0):
    """Return totals, scales of rows and channels, and a bias; product and bias up to ``largest``.

    Totals are as large as those of a thousand terms, more than FP32 holds exactly.
    """
    rows, columns = size
    total = torch.randint(-(2**27), 2**27, size, generator=generator(seed), dtype=torch.int32)
    scales = torch.rand(rows, generator=generator(seed + 1)) + 0.5
    channels = torch.rand(columns, generator=generator(seed + 2)) * largest / 1.5 / 2**27
    bias = (torch.rand(columns, generator=generator(seed + 3)) * 2 - 1) * largest
    return total, scales, channels, bias


def exact(total, rows, channels, bias):
    """Return the product in float64, and what its rounding in FP32 may amount to."""
    product = total.double() * channels.double() * rows.double()[:, None]
    # The total, two products and the sum are rounded once each, in whatever order.
    return product + bias.double(), 4 * EPSILON * (product.abs() + bias.double().abs())


def activated_exactly(activation, x, error):
    """Return an activation of ``x`` in float64, and what FP32 makes of it may be off by.

    ``x`` is known to ``error``, which moves the value as far as the function moves there. It rounds
    a few times itself, an exponential by as much of itself as its exponent rounds; and below
    exp(-88) there is none.
    """
    function = DOUBLE[activation]
    value = function(x)
    moved = torch.maximum((function(x + error) - value).abs(), (function(x - error) - value).abs())
    exponent = {"relu": 0 * x, "silu": x}.get(activation, 1.6 * (x + 0.044715 * x**3))
    rounded = EPSILON * (12 + 8 * exponent.abs()) * value.abs()
    return value, moved + rounded + x.abs() * 1e-37


# --- storing rows -------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([0, 1e-44, 1e-38, 1e-35, 1e-30, 1e-3, 1, 1e6, 1e30, 5e37]),
             max_size=6),
    st.sampled_from([1, 2, 7, 16, 33, 768]),
    seeds,
)  # fmt: skip
def test_rows_are_stored_bit_for_bit_as_torch_stores_them(peaks, width, seed):
    x = gaussian(len(peaks), width, seed=seed) * torch.tensor(peaks)[:, None]
    found = store(x, INT8)
    with without_numba():
        wanted = store(x, INT8)
        values = wanted.read()
    assert torch.equal(found.codes, wanted.codes)
    assert torch.equal(found.scale, wanted.scale)
    assert torch.equal(found.read(), values)
    assert torch.equal(round_trip(x, INT8), values)


def test_halves_round_to_even_in_both():
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5]])
    assert store(x, INT8).codes.tolist() == [[127, 0, 2, 2, 0, -2, 126]]


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (2, 0, 5)])
def test_any_number_of_axes_is_stored_by_its_last(shape):
    for x in (gaussian(*shape), gaussian(*shape[::-1]).permute(*range(len(shape))[::-1])):
        stored = store(x, INT8)
        assert stored.codes.shape == shape
        assert stored.scale.shape == (*shape[:-1], 1)
        with without_numba():
            values = store(x, INT8).read()
        assert torch.equal(stored.read(), values)
        assert torch.equal(round_trip(x, INT8), values)


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_a_row_with_what_is_no_number_reads_as_none(value):
    x = gaussian(3, 20)
    x[1, 4] = value
    found = store(x, INT8).read()
    assert torch.equal(found.nan_to_num(7.0), round_trip(x, INT8).nan_to_num(7.0))
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], store(x[[0, 2]], INT8).read())
    with without_numba():
        assert torch.equal(found.nan_to_num(7.0), store(x, INT8).read().nan_to_num(7.0))


# --- reading products ---------------------------------------------------------------------------


@given(sizes, seeds, st.booleans())
def test_a_product_reads_as_in_float64(size, seed, biased):
    total, rows, channels, bias = integer_products(size, seed)
    wanted, error = exact(total, rows, channels, bias if biased else torch.zeros_like(bias))
    found = kernels.read_product(total, rows, channels, bias if biased else None)
    assert bool(((found.double() - wanted).abs() <= error).all())


@pytest.mark.parametrize("activation", sorted(kernels.ACTIVATIONS))
@given(sizes, seeds, st.sampled_from([0.1, 2.0, 8.0]))
def test_an_activation_reads_back_within_half_a_code_of_float64s(activation, size, seed, largest):
    total, rows, channels, bias = integer_products(size, seed, largest=largest)
    codes, scale = kernels.store_activated(total, rows, channels, bias, activation)
    wanted, error = activated_exactly(activation, *exact(total, rows, channels, bias))
    # A row's scale is a 127th of its peak, which is known as well as its least known value.
    peak = wanted.abs().amax(-1).clamp(min=float(kernels.SMALLEST_PEAK))
    known = error.amax(-1) + 2 * EPSILON * peak
    assert bool(((127 * scale.double() - peak).abs() <= known).all())
    # Half a code, and what dividing by the scale rounds: 127 is known to a few EPSILON of itself.
    half = scale.double()[:, None] * (0.5 + 127 * 4 * EPSILON)
    assert bool(((codes * scale.double()[:, None] - wanted).abs() <= half + error).all())
    # Where a row is known to a quarter of a code, a code tips over to its neighbour at most.
    sure = error.amax(-1) <= peak / 127 / 4
    near = (codes.int() - store(wanted.float(), INT8).codes.int()).abs() <= 1
    assert bool(near[sure].all())


@pytest.mark.parametrize("activation", ["gelu_new", "silu", "relu"])
@pytest.mark.parametrize("value", [-1e4, -90.0, 90.0, 1e4])
def test_far_from_zero_an_activation_is_the_line_or_nothing(activation, value):
    total, one = torch.tensor([[1, -1]], dtype=torch.int32), torch.ones(1)
    bias = torch.full((2,), value)
    codes, scale = kernels.store_activated(total, one, torch.ones(2), bias, activation)
    wanted = (bias + torch.tensor([1.0, -1.0])).clamp(min=0.0)
    # Half a code of the row's peak.
    assert torch.allclose(codes[0] * scale, wanted, rtol=0, atol=abs(value) / 254 * 1.02)


@pytest.mark.parametrize("activation", ["gelu_new", "silu", "relu"])
def test_what_is_not_a_number_stays_so_in_its_own_row(activation):
    total, rows, channels, bias = integer_products((3, 40), 0)
    rows[1] = NAN
    found = kernels.read_product(total, rows, channels, bias)
    assert found[1].isnan().all()
    codes, scale = kernels.store_activated(total, rows, channels, bias, activation)
    sums = torch.zeros(3, dtype=torch.float64)
    kernels.add_sum_exp(sums, total, rows, channels, bias, torch.zeros(3))
    for each in (found, codes * scale[:, None], sums[:, None]):
        assert each[1].isnan().all()
        assert each[[0, 2]].isfinite().all()


# --- sums of exponentials -----------------------------------------------------------------------


@given(sizes, seeds, st.sampled_from([0.5, 8.0, 30.0]), st.floats(-50.0, 20.0))
def test_a_sum_of_exponentials_is_that_of_float64(size, seed, largest, less):
    total, rows, channels, bias = integer_products(size, seed, largest=largest)
    shift = torch.full((size[0],), less) + gaussian(size[0], seed=seed)
    before = torch.rand(size[0], generator=generator(seed)).double()
    logits, error = exact(total, rows, channels, bias)
    terms = logits - shift[:, None].double()
    found = before.clone()
    kernels.add_sum_exp(found, total, rows, channels, bias, shift)
    wanted = before + terms.clamp(max=88).exp().sum(-1)
    # An exponential is off by as much of itself as its exponent is off, and by 1e-7 of its own; a
    # sum in FP32 by a rounding for each term at most. Where a term has more than 88, the sum is
    # only known to be huge.
    share = float((error + 2 * EPSILON * terms.abs()).max()) + 2e-7 + size[1] * EPSILON
    huge = (terms > 87.9).any(-1)
    assert torch.allclose(found[~huge], wanted[~huge], rtol=share, atol=1e-35)
    assert bool((found[huge] > 1e30).all())


@pytest.mark.parametrize("exponent", [70.0, 87.9, 88.1, 89.0, 200.0, 1e6, 1e30])
@pytest.mark.parametrize("columns", [1, 40])
def test_an_overflow_is_larger_than_any_sum_that_means_something(exponent, columns):
    total, one = torch.zeros(1, columns, dtype=torch.int32), torch.ones(1)
    found = torch.zeros(1, dtype=torch.float64)
    bias = torch.zeros(columns)
    bias[-1] = exponent
    kernels.add_sum_exp(found, total, one, torch.ones(columns), bias, torch.zeros(1))
    assert found[0] > 1e30
    if exponent < 88:
        # 88 is known to 4e-6 in FP32, its exponential to as much of itself.
        assert float(found[0]) == pytest.approx(float(bias.double().exp()[-1]), rel=1e-5)


def test_exponents_far_below_add_nothing_that_counts():
    total, one = torch.zeros(1, 1000, dtype=torch.int32), torch.ones(1)
    found = torch.ones(1, dtype=torch.float64)
    bias = torch.full((1000,), -1e30)
    kernels.add_sum_exp(found, total, one, torch.ones(1000), bias, torch.zeros(1))
    assert found[0] == 1.0


# --- rows and threads ---------------------------------------------------------------------------


@given(sizes, seeds)
def test_a_row_is_the_same_bits_whatever_else_is_in_the_batch(size, seed):
    given = integer_products(size, seed)
    shift = gaussian(size[0], seed=seed)
    for one, whole in zip(_alone(*given, shift), _together(*given, shift), strict=True):
        assert torch.equal(one, whole)


def test_more_threads_change_no_bit():
    given, shift = integer_products((64, 500), 3), gaussian(64)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.append(_together(*given, shift))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def _together(total, rows, channels, bias, shift):
    sums = torch.zeros(len(total), dtype=torch.float64)
    kernels.add_sum_exp(sums, total, rows, channels, bias, shift)
    product = kernels.read_product(total, rows, channels, bias)
    activated = kernels.store_activated(total, rows, channels, bias, "gelu_new")
    stored = kernels.store_rows(product)
    return [product, *activated, *stored, kernels.read_rows(*stored), sums]


def _alone(total, rows, channels, bias, shift):
    each = [
        _together(total[i : i + 1], rows[i : i + 1], channels, bias, shift[i : i + 1])
        for i in range(len(total))
    ]
    return [torch.cat(parts) for parts in zip(*each, strict=True)]


# --- with a weight ------------------------------------------------------------------------------


@needs_int8
@given(st.integers(1, 20), st.integers(1, 70), st.integers(1, 50), seeds)
def test_without_numba_products_are_the_same(rows, fan_in, fan_out, seed):
    x, weight = gaussian(rows, fan_in, seed=seed), gaussian(fan_in, fan_out, seed=seed + 1)
    bias, shift = gaussian(fan_out, seed=seed + 2), gaussian(rows, seed=seed + 3)
    here = Products()
    product, sums = here(x, weight, INT8, bias), here.sum_exp(x, weight, INT8, bias, shift, 16)
    activated = here.activated(x, weight, INT8, bias, "gelu_new")
    with without_numba():
        there = Products()
        # FP32 sums of a product and a bias, both below 1e2, in another order.
        assert torch.allclose(there(x, weight, INT8, bias), product, rtol=1e-6, atol=1e-5)
        # A logit of 50 is known to 1e-5, its exponential to as much of itself.
        other = there.sum_exp(x, weight, INT8, bias, shift, 16)
        assert torch.allclose(other, sums, rtol=1e-4)
        assert there.activated(x, weight, INT8, bias, "gelu_new") is None
    wanted = activate(product, "gelu_new")
    # A code is half a step off, and may have tipped over to its neighbour.
    assert bool(((activated.read() - wanted).abs() <= 1.01 * activated.scale + 1e-6).all())


@needs_int8
def test_the_exact_gelu_is_made_by_torch():
    x, weight = gaussian(3, 8), gaussian(8, 5, seed=1)
    assert Products().activated(x, weight, INT8, None, "gelu") is None
    assert native_activated(store(x, INT8), store(weight.mT, INT8), INT8, None, "gelu") is None


def test_only_integers_are_activated_in_one_pass():
    x, weight = gaussian(3, 8), gaussian(8, 5, seed=1)
    for fmt in (FP32, BF16):
        assert Products().activated(x, weight, fmt, None, "relu") is None


@pytest.mark.parametrize("numba", [True, False])
def test_leading_axes_are_kept(numba):
    x, weight = store(gaussian(2, 3, 8), INT8), store(gaussian(5, 8, seed=1), INT8)
    if numba:
        assert native_activated(x, weight, INT8, None, "relu").codes.shape == (2, 3, 5)
        assert native_activated(x, weight, INT8, None, "relu").scale.shape == (2, 3, 1)
        assert native_product(x, weight, INT8).shape == (2, 3, 5)
    else:
        with without_numba():
            assert native_product(x, weight, INT8).shape == (2, 3, 5)


@pytest.mark.parametrize("numba", [True, False])
def test_a_sum_that_overflows_is_huge_and_the_others_stay(numba):
    x = store(torch.tensor([[200.0, 0.0], [1.0, 0.0]]), INT8)
    weight = store(torch.eye(2), INT8)
    if numba:
        found = native_sum_exp(x, weight, INT8, None, torch.zeros(2), 1)
    else:
        with without_numba():
            found = native_sum_exp(x, weight, INT8, None, torch.zeros(2), 1)
    assert found[0] > 1e30
    assert float(found[1]) == pytest.approx(1 + torch.e, rel=1e-6)


@pytest.mark.parametrize("numba", [True, False])
@pytest.mark.parametrize("columns", [slice(3, 8), torch.tensor([9, 0, 3])], ids=["slice", "some"])
def test_some_columns_read_as_in_the_whole(numba, columns):
    weight = gaussian(24, 10)
    wanted = round_trip_weight(weight, INT8)
    if numba:
        multiply = Products()
        assert torch.equal(multiply.rounded(weight, INT8, columns), wanted[:, columns])
        assert torch.equal(multiply.rounded(weight, INT8), wanted)
    else:
        with without_numba():
            assert torch.equal(Products().rounded(weight, INT8, columns), wanted[:, columns])


def test_where_numba_cannot_be_had_there_are_no_loops(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "pahq.precision.kernels")
    monkeypatch.delattr(pahq.precision, "kernels")
    assert quantize.kernels.__wrapped__() is None
