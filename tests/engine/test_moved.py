"""Products with changes alone: right to a share of the change."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.engine import components, moved
from pahq.engine.moved import moved_output, standing_mlp
from pahq.models.weights import MlpWeights, Norm
from pahq.precision import native
from pahq.precision.formats import BF16, FP8_E4M3, FP32, INT8
from pahq.precision.matmul import Products

WIDTH, HIDDEN, STANDING = 24, 96, 6
# A change of the output is off by at most this share of its norm: three roundings (change, weight,
# activation's change, weight again) of half a step each, a step being 1/127, 1/256 and 1/16.
SHARES = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.04, "fp8-e4m3": 0.15}


def gaussian(generator, *shape, scale=1.0):
    return torch.randn(*shape, generator=generator) * scale


def mlp_of(generator, activation="gelu_new", norm=True):
    return MlpWeights(
        norm=Norm(gaussian(generator, WIDTH), gaussian(generator, WIDTH), 1e-5) if norm else None,
        into=gaussian(generator, WIDTH, HIDDEN, scale=WIDTH**-0.5),
        into_bias=gaussian(generator, HIDDEN),
        out=gaussian(generator, HIDDEN, WIDTH, scale=HIDDEN**-0.5),
        out_bias=gaussian(generator, WIDTH),
        activation=activation,
    )


def moved_and_exact(seed, fmt, size, activation="gelu_new", norm=True):
    generator = torch.Generator().manual_seed(seed)
    mlp = mlp_of(generator, activation, norm)
    reads = gaussian(generator, STANDING, WIDTH)
    beside = torch.randint(0, STANDING, (17,), generator=generator)
    other = reads[beside] + gaussian(generator, 17, WIDTH, scale=size)
    with torch.inference_mode():
        standing = standing_mlp(reads, mlp)
        found = moved_output(other, beside, standing, mlp, fmt, Products())
        exact = components.mlp_output(other, mlp, FP32, Products())
    return found, exact, standing.output[beside]


@given(
    st.integers(0, 999),
    st.sampled_from([FP32, BF16, INT8, FP8_E4M3]),
    st.sampled_from([1e-3, 0.1, 1.0, 10.0]),
    st.sampled_from(["gelu_new", "gelu", "relu", "silu"]),
    st.booleans(),
)
def test_an_output_errs_by_a_share_of_its_change(seed, fmt, size, activation, norm):
    found, exact, before = moved_and_exact(seed, fmt, size, activation, norm)
    # Beside it FP32 itself, whose sums of a hundred terms of order one are good to 1e-6 each.
    allowed = SHARES[fmt.name] * (exact - before).norm() + 1e-5 * before.norm()
    assert (found - exact).norm() <= allowed


@pytest.mark.parametrize("fmt", [BF16, INT8, FP8_E4M3], ids=lambda fmt: fmt.name)
def test_what_does_not_move_stays(fmt):
    found, exact, before = moved_and_exact(3, fmt, 0.0)
    assert torch.allclose(found, before, atol=1e-5)
    assert torch.allclose(found, exact, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu"])
def test_one_pass_gives_what_single_operations_give(activation, monkeypatch):
    if not native.is_native(INT8, "cpu"):
        pytest.skip("this processor has no integer products (VNNI)")
    found, exact, before = moved_and_exact(5, INT8, 0.3, activation)
    monkeypatch.setattr(moved, "kernels", lambda: None)
    plain, *_ = moved_and_exact(5, INT8, 0.3, activation)
    # A last bit may tip a rounding: a step of 1/127 of one number among a hundred.
    assert (found - plain).norm() <= 2e-3 * (exact - before).norm()
