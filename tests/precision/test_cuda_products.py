"""Native products of a GPU against emulated ones, and weights that wait in the host's memory."""

import pytest
import torch

from pahq.precision.formats import FP8_E4M3, FP8_E5M2, FP32, INT8, find_format
from pahq.precision.matmul import Products
from pahq.precision.native import describe, is_native
from pahq.precision.operators import OPERATORS
from pahq.precision.quantize import round_trip, round_trip_weight
from pahq.precision.residency import Residency

pytestmark = pytest.mark.gpu
FORMATS = sorted(OPERATORS["cuda"])
GPU = torch.device("cuda")


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def native(name):
    fmt = find_format(name)
    if not is_native(fmt, "cuda"):
        pytest.skip(f"this GPU does not multiply in {name}")
    return fmt


def allowed(name, x, weight):
    """Return how far a product may be off, given its rounded sides in float64."""
    # The operator's sum, and FP32's rounding of it and of two scales.
    share = OPERATORS["cuda"][name].slack + 2**-21
    return share * (x.abs() @ weight.abs()) + 1e-30


def test_hopper_multiplies_in_every_format():
    if torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("this GPU is older than Hopper")
    assert {name: describe(find_format(name), "cuda") for name in FORMATS} == dict.fromkeys(
        FORMATS, "native"
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (5, 17, 9), (37, 64, 768), (400, 768, 3072), (33, 768, 2001)], ids=str
)
def test_a_product_is_that_of_the_rounded_numbers(name, sizes):
    fmt, (rows, fan_in, fan_out) = native(name), sizes
    x, weight = gaussian(rows, fan_in), gaussian(fan_in, fan_out, seed=1)
    bias = gaussian(fan_out, seed=2)
    found = Products()(x.to(GPU), weight.to(GPU), fmt, bias.to(GPU)).cpu().double()
    x, weight = round_trip(x, fmt).double(), round_trip_weight(weight, fmt).double()
    exact = x @ weight + bias.double()
    off = (found - exact).abs()
    assert bool((off <= allowed(name, x, weight) + 2**-23 * exact.abs()).all())


@pytest.mark.parametrize("name", FORMATS)
def test_strided_rows_and_leading_axes_make_the_same_product(name):
    fmt, weight = native(name), gaussian(64, 48, seed=1).to(GPU)
    x = gaussian(3, 10, 64).to(GPU)
    whole = Products()(x, weight, fmt)
    assert whole.shape == (3, 10, 48)
    for part, wanted in (
        (x[:, 2:7], whole[:, 2:7]),
        (x.transpose(0, 1), whole.transpose(0, 1)),
        (x[1:1], whole[1:1]),
    ):
        found = Products()(part, weight, fmt)
        # FP32 sums of 64 terms of order 1, perhaps in another order, or of FP8 in other blocks.
        assert torch.allclose(found, wanted, rtol=1e-3, atol=OPERATORS["cuda"][name].slack * 64)


@pytest.mark.parametrize("name", FORMATS)
def test_some_columns_read_as_in_the_whole(name):
    fmt, weight = native(name), gaussian(24, 50)
    multiply, wanted = Products(), round_trip_weight(weight, fmt)
    far, columns = weight.to(GPU), torch.tensor([9, 0, 3])
    assert torch.equal(multiply.rounded(far, fmt).cpu(), wanted)
    assert torch.equal(multiply.rounded(far, fmt, slice(3, 8)).cpu(), wanted[:, 3:8])
    assert torch.equal(multiply.rounded(far, fmt, columns.to(GPU)).cpu(), wanted[:, columns])


# --- weights in the host's memory ---------------------------------------------------------------


def pinned(*shape, seed=0):
    return gaussian(*shape, seed=seed).mT.contiguous().pin_memory().mT


def test_a_weight_on_the_host_takes_its_codes_on_the_device():
    weight, fmt = pinned(1024, 4096), native("fp8-e4m3")
    multiply, before = Products(residency=Residency(GPU)), torch.cuda.memory_allocated()
    multiply.hold(weight, fmt)
    held = torch.cuda.memory_allocated() - before
    assert weight.numel() <= held <= weight.numel() + 4 * 4096 + 4096  # and what is rounded up to
    assert multiply.held_bytes == weight.numel() + 4 * 4096


@pytest.mark.parametrize("fmt", [FP32, INT8, FP8_E4M3, FP8_E5M2], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("brought", [True, False])
def test_products_with_a_weight_on_the_host_are_those_on_the_device(fmt, brought):
    weight, x, bias = pinned(64, 3000), gaussian(20, 64).to(GPU), gaussian(3000, seed=2).to(GPU)
    residency = Residency(GPU)
    far, near = Products(residency=residency), Products()
    copy, shift = weight.to(GPU), torch.zeros(20, device=GPU)
    if brought:
        residency.bring([weight])
    assert torch.equal(far(x, weight, fmt, bias), near(x, copy, fmt, bias))
    sums = (m.sum_exp(x, w, fmt, bias, shift, 512) for m, w in ((far, weight), (near, copy)))
    assert torch.equal(*sums)
    columns = torch.tensor([2999, 4], device=GPU)
    for some in (slice(5, 90), columns):
        assert torch.equal(far.rounded(weight, fmt, some), near.rounded(copy, fmt, some))


def test_what_was_let_go_is_free_and_what_is_brought_is_right_under_load():
    residency, weights = Residency(GPU), [pinned(2048, 2048, seed=i) for i in range(4)]
    load = torch.randn(4096, 4096, device=GPU)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for turn in range(12):
        weight = weights[turn % 4]
        residency.bring([weight])
        for _ in range(4):
            load @ load
        # Read on the compute stream while it is busy, and let go at once: others take its memory.
        found = residency.here(weight).sum(dtype=torch.float64)
        residency.let_go([weight])
        assert float(found) == pytest.approx(float(weight.double().sum()), abs=1e-6)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before + (64 << 20)  # what load @ load is made in
    assert residency.most_bytes == 4 * 2048 * 2048
