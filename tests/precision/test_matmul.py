import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.precision import matmul
from pahq.precision.formats import BF16, FORMATS, FP8_E4M3, FP32, INT8
from pahq.precision.matmul import Products
from pahq.precision.native import is_native
from pahq.precision.product import packs
from pahq.precision.quantize import round_trip_weight
from tests.devices import DEVICES, needs_int8

# Signal to noise of a product of Gaussian matrices, dB: both sides round, so 3 dB below a cast.
SNR = {"bf16": 47, "fp16": 65, "fp8-e4m3": 25, "fp8-e4m3-unscaled": 25, "fp8-e5m2": 19,
       "int8": 36, "int4": 13}  # fmt: skip


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_fp32_is_the_plain_product():
    x, weight = gaussian(5, 8), gaussian(8, 3, seed=1)
    assert torch.equal(Products()(x, weight, FP32), x @ weight)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "fmt", [f for f in FORMATS.values() if f is not FP32], ids=lambda f: f.name
)
def test_a_low_product_keeps_its_signal_to_noise(fmt, device):
    x, weight = gaussian(64, 256).to(device), gaussian(256, 64, seed=1).to(device)
    exact = x @ weight
    noise = Products()(x, weight, fmt) - exact
    assert 10 * torch.log10(exact.square().sum() / noise.square().sum()) >= SNR[fmt.name]


@given(st.integers(1, 6), st.integers(0, 5), st.sampled_from([BF16, FP8_E4M3, INT8]))
def test_a_row_does_not_depend_on_what_else_is_in_the_batch(rows, row, fmt):
    multiply, weight = Products(), gaussian(16, 8, seed=2)
    x = gaussian(rows, 16)
    row %= rows
    alone = multiply(x[row : row + 1], weight, fmt)
    # Not equal bit for bit: FP32 sums may go in another order in a product of another size.
    assert torch.allclose(multiply(x, weight, fmt)[row], alone[0], rtol=1e-5, atol=1e-6)


def test_small_integers_multiply_exactly_in_int8():
    x = torch.tensor([[127.0, -3.0], [1.0, 127.0]])
    weight = torch.tensor([[127.0, 2.0], [5.0, 127.0]])
    assert torch.allclose(Products()(x, weight, INT8), x @ weight, rtol=1e-6)


def test_a_rounded_weight_is_made_once():
    multiply, weight = Products(), gaussian(4, 4)
    assert multiply.rounded(weight, FP8_E4M3) is multiply.rounded(weight, FP8_E4M3)
    assert multiply.rounded(weight, FP8_E4M3) is not multiply.rounded(weight, BF16)
    assert multiply.stored(weight, INT8) is multiply.stored(weight, INT8)


@needs_int8
def test_small_weights_are_read_back_again_where_there_is_no_room_for_all(monkeypatch):
    weights = [torch.randn(32, 64) for _ in range(5)]
    monkeypatch.setattr(matmul, "READ_BACK", 3 * weights[0].nbytes)
    products = Products()
    once = [products.rounded(weight, INT8).clone() for weight in weights]
    held = products.held_bytes
    for weight, expected in zip(weights, once, strict=True):
        assert torch.equal(expected, round_trip_weight(weight, INT8))
        assert torch.equal(products.rounded(weight, INT8), expected)
        assert products.rounded(weight, INT8) is products.rounded(weight, INT8)
    assert products.held_bytes == held


def test_what_is_forgotten_is_held_in_no_format_and_the_rest_stays():
    multiply, weights = Products(), [gaussian(32, 64), gaussian(32, 64, seed=1)]
    multiply.rounded(weights[0], INT8)
    alone = multiply.held_bytes
    for weight in weights:
        for fmt in (INT8, BF16, FP8_E4M3):
            multiply.rounded(weight, fmt)
    multiply.forget(weights[1:])
    multiply.forget([gaussian(32, 64)])
    assert multiply.held_bytes == alone + 2 * weights[0].nbytes


@needs_int8
def test_a_weight_is_held_in_the_form_that_products_take():
    weight, released = gaussian(24, 10), []
    multiply = Products(release=released.extend)
    multiply.hold(weight, FP32)
    assert multiply.held_bytes == 0
    assert released == []
    multiply.hold(weight, INT8)
    assert multiply.held_bytes == 24 * 10 + 4 * 10  # codes, and a scale for each channel
    multiply.hold(weight, INT8)
    assert [each is weight for each in released] == [True]
    multiply.hold(weight, BF16)  # emulated: FP32 numbers
    assert multiply.held_bytes == 24 * 10 + 4 * 10 + 4 * 24 * 10


def test_a_large_weight_is_stored_in_parts_like_the_whole(monkeypatch):
    weight = gaussian(16, 50)
    whole = Products().stored(weight, INT8)
    monkeypatch.setattr("pahq.precision.matmul.CHANNELS", 7)
    parts = Products().stored(weight, INT8)
    assert torch.equal(whole.codes, parts.codes)
    assert torch.equal(whole.scale, parts.scale)


@needs_int8
def test_an_fp32_pass_over_a_weight_held_low_gives_its_blocks_back():
    weight, released = gaussian(8, 10), []
    multiply = Products(release=released.extend)
    multiply.sum_exp(gaussian(2, 8), weight, FP32, None, torch.zeros(2), 4)
    assert released == []  # only FP32: it stays
    multiply.hold(weight, INT8)
    released.clear()
    multiply.sum_exp(gaussian(2, 8), weight, FP32, None, torch.zeros(2), 4)
    assert [tuple(part.shape) for part in released] == [(8, 4), (8, 4), (8, 2)]


@torch.inference_mode()
def test_packed_weights_give_the_same_products_until_others_are_packed():
    first, second = gaussian(1024, 1030), gaussian(1030, 1024, seed=1)
    x = gaussian(20, 1024, seed=2)
    released = []
    plain, multiply = Products(), Products(release=released.extend)
    multiply.pack([first, gaussian(4, 4)])
    assert list(multiply._packed) == ([id(first)] if packs() else [])
    assert multiply.most_packed_bytes == (first.nbytes if packs() else 0)
    for fmt in (FP32, INT8):
        assert torch.equal(multiply(x, first, fmt), plain(x, first, fmt))
    released.clear()
    multiply.pack([second, first])  # held in INT8 by now: what was read to pack it can go
    assert (released == [first]) or not packs() or not is_native(INT8, "cpu")
    assert torch.equal(multiply(x, first, FP32), plain(x, first, FP32))
    multiply.forget([first])
    assert id(first) not in multiply._packed
    multiply.pack(())
    assert multiply._packed == {}
    assert multiply.most_packed_bytes == (first.nbytes + second.nbytes if packs() else 0)
