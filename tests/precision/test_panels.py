"""Weights in panels are what they were, and their sums of exponentials those of the product."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.precision import matmul
from pahq.precision.formats import INT8
from pahq.precision.matmul import CHANNELS, Products
from pahq.precision.native import native_sum_exp
from pahq.precision.panels import COLUMNS, MOST_INPUTS, Panels, suits, works
from pahq.precision.quantize import Stored, kernels, store
from tests.devices import needs_int8


def there():
    """Return whether the machine has what the loop needs, whether or not the loop is right."""
    if kernels() is None:
        return False
    from pahq.precision import vnni

    return vnni.there()


needs_panels = pytest.mark.skipif(not there(), reason="no AVX-512 VNNI here")
seeds = st.integers(0, 9999)
SINGLE = 2**-24  # half a step of FP32, relative


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def panels_of(stored, part=COLUMNS):
    count, fan_in = stored.codes.shape
    return Panels.of((stored[i : i + part] for i in range(0, count, part)), count, fan_in)


@given(st.integers(1, 130), st.integers(1, 9), st.sampled_from([32, 64, 4096]), seeds)
def test_rows_come_back_as_they_were(count, fours, part, seed):
    stored = store(gaussian(count, 4 * fours, seed=seed), INT8)
    panels = panels_of(stored, part)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(count, (5,), generator=generator)
    start, stop = sorted(torch.randint(count + 1, (2,), generator=generator).tolist())
    ends = slice(start, start), slice(stop, start), slice(start, stop + 2048)
    for rows in (slice(None), slice(start, stop), *ends, chosen):
        found, wanted = panels[rows], stored[rows]
        assert torch.equal(found.codes, wanted.codes)
        assert torch.equal(found.scale, wanted.scale)


def exact_sum(x, weight, bias, shift):
    """Return the sum in float64, and by what share of itself FP32 may get it wrong.

    Each exponent is a logit, rounded three times, plus a bias, less a shift; the exponential of
    what is left is known to 2e-7 of itself and as much as that exponent rounds; FP32 adds up the
    64 numbers of a lane.
    """
    logits = x.read().double() @ weight.read().double().mT
    exponent = logits + bias.double() - shift.double()[:, None]
    size = logits.abs() + bias.abs() + shift.abs()[:, None] + exponent.abs()
    values = exponent.exp()
    relative = 4 * SINGLE * size + 2e-7 + 64 * SINGLE
    return values.sum(1), (values * relative).sum(1)


@needs_panels
def test_the_loop_is_used_where_it_can_be():
    assert works()
    assert suits(64)


@needs_panels
@given(
    st.integers(0, 40), st.integers(1, 2300), st.integers(1, 24), st.floats(0.0, 12.0),
    st.booleans(), seeds,
)  # fmt: skip
def test_the_sum_is_that_of_the_product(rows, channels, fours, loud, biased, seed):
    x = store(gaussian(rows, 4 * fours, seed=seed), INT8)
    weight = store(gaussian(channels, 4 * fours, seed=seed + 1) * loud / fours**0.5 / 2, INT8)
    bias = gaussian(channels, seed=seed + 2) * biased
    shift = gaussian(rows, seed=seed + 3) * loud
    found = panels_of(weight).sum_exp(x, bias if biased else None, shift)
    wanted, error = exact_sum(x, weight, bias, shift)
    assert found.dtype == torch.float64
    means = wanted < 1e30  # above that, a sum says no more than so
    assert bool(((found - wanted).abs() <= error)[means].all())
    assert bool((found[~means] > 9e29).all())


@needs_panels
def test_the_largest_codes_do_not_overflow():
    x = Stored(torch.full((1, MOST_INPUTS), -127, dtype=torch.int8), torch.full((1, 1), 1e-9))
    for code in (-127, 127):
        codes = torch.full((3, MOST_INPUTS), code, dtype=torch.int8)
        found = panels_of(Stored(codes, torch.ones(3, 1))).sum_exp(x, None, torch.zeros(1))
        wanted = 3 * torch.tensor(-127.0 * code * MOST_INPUTS * 1e-9).double().exp()
        assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert not suits(2 * MOST_INPUTS)
    assert not suits(MOST_INPUTS - 1)


@needs_panels
def test_what_is_too_large_is_seen_and_no_number_stays_none():
    weight = panels_of(store(torch.eye(8) * 300, INT8))
    x = store(torch.eye(8)[:3], INT8)
    x.scale[2] = torch.nan
    found = weight.sum_exp(x, None, torch.tensor([0.0, 300.0, 0.0]))
    assert found[0] > 1e30
    assert found[1].item() == pytest.approx(1.0, rel=2e-5)  # a logit of 300 in FP32
    assert found[2].isnan()
    assert bool((weight.sum_exp(x, None, torch.full((3,), 500.0))[:2] < 1e-30).all())


@needs_panels
@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_has_the_same_sum_alone(threads):
    x = store(gaussian(30, 16), INT8)
    x.codes[5:25:2], x.codes[11] = x.codes[4].clone(), -x.codes[11]  # scales differ
    weight, shift = panels_of(store(gaussian(30000, 16, seed=1), INT8)), gaussian(30, seed=2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        every = weight.sum_exp(x, None, shift)
        alone = [weight.sum_exp(x[i : i + 1], None, shift[i : i + 1]) for i in range(30)]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(every, torch.cat(alone))


@needs_panels
def test_what_does_not_fit_together_is_refused():
    weight = panels_of(store(gaussian(40, 16), INT8))
    for rows, fan_in, shifts, biases in ((3, 20, 3, 40), (3, 16, 2, 40), (3, 16, 3, 39)):
        x = store(gaussian(rows, fan_in), INT8)
        with pytest.raises(AssertionError):
            weight.sum_exp(x, torch.zeros(biases), torch.zeros(shifts))


@needs_panels
def test_rows_that_lie_apart_are_read_as_they_are():
    x, shift = store(gaussian(10, 16), INT8), gaussian(10, seed=1)
    weight = panels_of(store(gaussian(40, 16, seed=2), INT8))
    apart = Stored(x.codes.mT.contiguous().mT, x.scale)
    found = weight.sum_exp(apart, None, shift.repeat_interleave(2)[::2])
    assert torch.equal(found, weight.sum_exp(x, None, shift))


@needs_panels
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 5))
def test_equal_rows_are_found(numbers, width):
    from pahq.precision import vnni

    # As words that differ in one byte, in their order, or only where a sum would not show it.
    words = torch.tensor(
        [[n * 256 if i == n % width else -n for i in range(width)] for n in numbers]
    )
    first, order, begins = vnni.grouped(words.int().numpy())
    assert [numbers[i] for i in first] == list(dict.fromkeys(numbers))
    kinds = [order[a:b].tolist() for a, b in pairwise(begins)]
    assert [min(kind) for kind in kinds] == first.tolist()
    assert [{numbers[i] for i in kind} for kind in kinds] == [{numbers[i]} for i in first]
    assert sorted(order.tolist()) == list(range(len(numbers)))


@needs_int8
@pytest.mark.parametrize("channels", [10, CHANNELS + 40])
def test_products_answer_everything_of_a_weight_held_for_sums(channels):
    weight, bias = gaussian(16, channels) / 4, gaussian(channels, seed=1)
    x, shift = gaussian(5, 16, seed=2), gaussian(5, seed=3)
    plain, summed = Products(), Products()
    summed.hold(weight, INT8, summed=True)
    held = summed.held_bytes
    assert isinstance(summed._held(weight, INT8), Panels) == there()
    some, half = torch.tensor([channels - 1, 0, 3]), slice(channels // 2, channels)
    assert torch.equal(summed(x, weight, INT8, bias), plain(x, weight, INT8, bias))
    for columns in (some, half):
        found = summed.rounded(weight, INT8, columns)
        assert torch.equal(found, plain.rounded(weight, INT8, columns))
    shares = torch.rand(4, channels, dtype=torch.float64)
    means = (each.mean_channel(shares, weight, INT8, 64) for each in (plain, summed))
    assert torch.equal(*means)
    found = summed.sum_exp(x, weight, INT8, bias, shift, 64)
    # Logits of order 1: either sum errs by some last bits of them.
    assert torch.allclose(found, plain.sum_exp(x, weight, INT8, bias, shift, 64), rtol=2e-6)
    stored = plain.stored(weight, INT8)
    assert torch.equal(summed.stored(weight, INT8).codes, stored.codes)
    assert held <= plain.held_bytes + COLUMNS * 16  # one form of it, and no whole panel more


@needs_int8
def test_without_the_instruction_a_weight_is_held_as_before(monkeypatch):
    monkeypatch.setattr(matmul, "suits", lambda fan_in: False)
    weight, x, shift = gaussian(16, 40), gaussian(3, 16, seed=1), torch.zeros(3)
    multiply = Products()
    multiply.hold(weight, INT8, summed=True)
    found = multiply.sum_exp(x, weight, INT8, None, shift, 16)
    stored = multiply.stored(weight, INT8)
    assert torch.equal(found, native_sum_exp(store(x, INT8), stored, INT8, None, shift, 16))


@needs_panels
@pytest.mark.parametrize("error", [RuntimeError, AttributeError])
def test_a_loop_that_fails_or_errs_is_not_used(monkeypatch, error):
    def fails(*arguments):
        raise error

    from pahq.precision import vnni

    for loop in (fails, lambda *arguments: arguments[-1].fill(1.0)):
        monkeypatch.setattr(vnni, "sum_exp", loop)
        assert not works.__wrapped__()


@needs_panels
def test_inputs_that_are_no_multiple_of_four_are_held_as_before():
    weight = gaussian(6, 40)
    multiply = Products()
    multiply.hold(weight, INT8, summed=True)
    x, shift = gaussian(3, 6, seed=1), torch.zeros(3)
    found = multiply.sum_exp(x, weight, INT8, None, shift, 16)
    stored = multiply.stored(weight, INT8)
    assert torch.equal(found, native_sum_exp(store(x, INT8), stored, INT8, None, shift, 16))
