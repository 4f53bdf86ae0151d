import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.precision.formats import BF16, FORMATS, FP8_E4M3, FP8_E5M2, FP16, FP32, INT4, INT8
from pahq.precision.quantize import round_trip, round_trip_weight, store

LOW = [BF16, FP16, FP8_E4M3, FP8_E5M2, INT8, INT4]
# Largest error of one value relative to its row's peak: half the coarsest step of the format.
BOUND = {"bf16": 2**-8, "fp16": 2**-11, "fp8-e4m3": 2**-4, "fp8-e5m2": 2**-3,
         "int8": 0.5 / 127, "int4": 0.5 / 7}  # fmt: skip
# Signal to noise of Gaussian rows, dB: measured, a little below rounded down.
SNR = {"bf16": 50, "fp16": 68, "fp8-e4m3": 28, "fp8-e5m2": 22, "int8": 39, "int4": 16}


def gaussian(rows=64, width=256, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
@given(st.integers(0, 10_000), st.floats(-30, 30))
def test_an_error_is_at_most_half_a_step_of_the_rows_peak(fmt, seed, exponent):
    x = gaussian(4, 32, seed) * 2.0**exponent
    error = (round_trip(x, fmt) - x).abs()
    # FP16 without scaling loses small rows to subnormals: an absolute step of 2**-25.
    floor = 2**-25 if fmt is FP16 else 0.0
    allowed = BOUND[fmt.name] * x.abs().amax(-1, keepdim=True) * 1.001 + floor
    assert (error <= allowed).all()


@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
def test_gaussian_rows_keep_the_formats_signal_to_noise(fmt):
    x = gaussian()
    noise = round_trip(x, fmt) - x
    decibel = 10 * torch.log10(x.square().sum() / noise.square().sum())
    assert decibel >= SNR[fmt.name]


@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
def test_a_loud_row_does_not_blur_a_quiet_one(fmt):
    x = gaussian(2, 32)
    alone = round_trip(x[:1], fmt)
    x[1] *= 1e6
    assert torch.equal(round_trip(x, fmt)[:1], alone)


@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
def test_storing_twice_changes_nothing_more(fmt):
    once = round_trip(gaussian(), fmt)
    assert torch.allclose(round_trip(once, fmt), once, rtol=1e-6, atol=0)


@pytest.mark.parametrize("fmt", [FP16, FP8_E4M3, FP8_E5M2, INT8, INT4], ids=lambda f: f.name)
def test_a_huge_value_is_scaled_never_saturated(fmt):
    x = torch.tensor([[3e30, -1.5e30, 0.0]])
    back = round_trip(x, fmt)
    assert back.isfinite().all()
    assert back[0, 0] == pytest.approx(3e30, rel=1e-3)
    assert back[0, 1] == pytest.approx(-1.5e30, rel=2 * BOUND[fmt.name] + 1e-3)


@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
def test_a_row_of_zeros_stays_zero(fmt):
    assert torch.equal(round_trip(torch.zeros(2, 5), fmt), torch.zeros(2, 5))


@pytest.mark.gpu
@pytest.mark.parametrize("fmt", LOW, ids=lambda f: f.name)
@pytest.mark.parametrize("exponent", [-20, 0, 20, 100])
def test_a_gpu_stores_the_same_bits(fmt, exponent):
    x = gaussian() * 2.0**exponent
    x[0], x[1] = 0.0, x[1] * 1e-3
    here, there = store(x, fmt), store(x.cuda(), fmt)
    assert torch.equal(here.codes.float(), there.codes.cpu().float())
    assert (here.scale is None) == (there.scale is None)
    if here.scale is not None and there.scale is not None:
        assert torch.equal(here.scale, there.scale.cpu())


@pytest.mark.gpu
@pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2, INT8], ids=lambda f: f.name)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_gpu_too_loses_a_row_that_is_not_finite(fmt, value):
    x = gaussian()
    x[0, 1] = value
    back = store(x.cuda(), fmt)
    assert not back.scale[0].isfinite().any()
    assert back.scale[1:].isfinite().all()


def test_fp32_is_untouched():
    x = gaussian()
    assert round_trip(x, FP32) is x


def test_integers_round_half_to_even():
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5]])
    assert store(x, INT8).codes.tolist() == [[127, 0, 2, 2, 0]]


def test_a_weight_has_one_scale_for_each_output_channel():
    weight = gaussian(8, 4)
    louder = weight.clone()
    louder[:, 3] *= 1000
    assert torch.equal(
        round_trip_weight(louder, INT8)[:, :3], round_trip_weight(weight, INT8)[:, :3]
    )


def test_the_catalog_lists_exactly_these_formats():
    from pahq import catalog

    assert [entry.name for entry in catalog.FORMATS] == list(FORMATS)
