"""What surrounds an INT8 product, each in one pass over memory, compiled by numba.

torch rounds a row in six operations and goes over the result of a product as often again; beside
integer products, which are four times faster than FP32's, this is most of the time. Where numba
cannot be had, torch's operations do the same (quantize.py, native.py, matmul.py).
"""

from functools import cache
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int, Int8, Int32
from numba import get_num_threads, njit, prange, set_num_threads
from numba.core import types
from numba.extending import intrinsic
from numba.np.ufunc.parallel import get_thread_count
from torch import Tensor

F, I = np.float32, np.int32  # noqa: E741 - literals of a kernel, so that nothing becomes a double
SMALLEST_PEAK = F(1e-30)  # as in quantize.py
LARGEST = F(127)
MAGNITUDE = I(0x7FFFFFFF)  # a float's bits without its sign grow with its size

TANH_GELU, RELU, SILU = 0, 1, 2
ACTIVATIONS = {
    "gelu_new": TANH_GELU,
    "gelu_fast": TANH_GELU,
    "gelu_pytorch_tanh": TANH_GELU,
    "relu": RELU,
    "silu": SILU,
}
# Sums may be taken in any order and products be fused; not-a-number stays what it is.
_OPTIONS = {"fastmath": {"contract", "reassoc", "nsz"}, "cache": True}


@intrinsic
@no_type_check
def _as_float(context, bits):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@intrinsic
@no_type_check
def _as_bits(context, value):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int32))

    return types.int32(types.float32), generate


@njit(inline="always")
@no_type_check
def _exp(x):
    """exp(x) to 1e-7 of itself, from exp(-87) to exp(88): Cephes' polynomial, 2^n from its bits."""
    x = min(max(x, F(-87.0)), F(88.0))
    n = np.rint(x * F(1.4426950408889634))
    f = x - n * F(0.693359375)
    f = f + n * F(2.12194440e-4)
    p = F(1.9875691500e-4) * f + F(1.3981999507e-3)
    p = p * f + F(8.3334519073e-3)
    p = p * f + F(4.1665795894e-2)
    p = p * f + F(1.6666665459e-1)
    p = p * f + F(5.0000001201e-1)
    return (p * f * f + f + F(1.0)) * _as_float((I(n) + I(127)) << I(23))


@njit(inline="always")
@no_type_check
def _store_row(row, codes):
    """Round one row; return its scale. The largest of integers is found faster than of floats."""
    top = I(0)
    for j in range(row.shape[0]):
        top = max(top, _as_bits(row[j]) & MAGNITUDE)
    peak = _as_float(top)
    scale = (SMALLEST_PEAK if peak < SMALLEST_PEAK else peak) / LARGEST
    for j in range(row.shape[0]):
        codes[j] = np.int8(I(np.rint(row[j] / scale)))
    return scale


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _store(x, codes, scale):
    for i in prange(x.shape[0]):
        scale[i] = _store_row(x[i], codes[i])


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _read_rows(codes, scale, out):
    for i in prange(codes.shape[0]):
        line, found, row_scale = codes[i], out[i], scale[i]
        for j in range(line.shape[0]):
            found[j] = F(line[j]) * row_scale


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _read(total, rows, channels, bias, out):
    for i in prange(total.shape[0]):
        line, found, scale = total[i], out[i], rows[i]
        for j in range(line.shape[0]):
            found[j] = F(line[j]) * channels[j] * scale + bias[j]


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _activate(total, rows, channels, bias, kind, codes, scale):
    for i in prange(total.shape[0]):
        line, row_scale = total[i], rows[i]
        row = np.empty(line.shape[0], F)
        if kind == TANH_GELU:
            for j in range(line.shape[0]):
                x = F(line[j]) * channels[j] * row_scale + bias[j]
                u = F(0.7978845608028654) * (x + F(0.044715) * x * x * x)
                row[j] = x / (F(1.0) + _exp(F(-2.0) * u))
        elif kind == SILU:
            for j in range(line.shape[0]):
                x = F(line[j]) * channels[j] * row_scale + bias[j]
                row[j] = x / (F(1.0) + _exp(-x))
        else:
            for j in range(line.shape[0]):
                row[j] = max(F(line[j]) * channels[j] * row_scale + bias[j], F(0.0))
        scale[i] = _store_row(row, codes[i])


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _store_moved(x, standing, beside, codes, scale):
    for i in prange(x.shape[0]):
        line, before = x[i], standing[beside[i]]
        row = np.empty(line.shape[0], F)
        for j in range(line.shape[0]):
            row[j] = line[j] - before[j]
        scale[i] = _store_row(row, codes[i])


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _activate_moved(total, rows, channels, standing, active, beside, kind, codes, scale):
    for i in prange(total.shape[0]):
        line, row_scale = total[i], rows[i]
        before, active_before = standing[beside[i]], active[beside[i]]
        row = np.empty(line.shape[0], F)
        if kind == TANH_GELU:
            for j in range(line.shape[0]):
                x = F(line[j]) * channels[j] * row_scale + before[j]
                u = F(0.7978845608028654) * (x + F(0.044715) * x * x * x)
                row[j] = x / (F(1.0) + _exp(F(-2.0) * u)) - active_before[j]
        elif kind == SILU:
            for j in range(line.shape[0]):
                x = F(line[j]) * channels[j] * row_scale + before[j]
                row[j] = x / (F(1.0) + _exp(-x)) - active_before[j]
        else:
            for j in range(line.shape[0]):
                x = F(line[j]) * channels[j] * row_scale + before[j]
                row[j] = max(x, F(0.0)) - active_before[j]
        scale[i] = _store_row(row, codes[i])


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _read_moved(total, rows, channels, standing, beside, out):
    for i in prange(total.shape[0]):
        line, found, scale, before = total[i], out[i], rows[i], standing[beside[i]]
        for j in range(line.shape[0]):
            found[j] = F(line[j]) * channels[j] * scale + before[j]


@njit(parallel=True, **_OPTIONS)
@no_type_check
def _sum_exp(total, rows, channels, bias, shift, out):
    for i in prange(total.shape[0]):
        line, scale, less = total[i], rows[i], shift[i]
        found = F(0.0)
        for j in range(line.shape[0]):
            found += _exp(F(line[j]) * channels[j] * scale + bias[j] - less)
        out[i] += found


def load() -> None:
    """Compile every loop, or load what was compiled before, so that the first use is fast."""
    x = torch.ones(2, 3)
    codes, scale = store_rows(x)
    read_rows(codes, scale)
    total, channels = codes.int(), torch.ones(3)
    read_product(total, scale, channels, None)
    store_activated(total, scale, channels, None, "relu")
    add_sum_exp(torch.zeros(2, dtype=torch.float64), total, scale, channels, None, scale)
    beside = torch.zeros(2, dtype=torch.long)
    store_moved(x, x, beside)
    store_moved_active(total, scale, channels, x, x, beside, "relu")
    read_moved(total, scale, channels, x, beside)


# --- for tensors --------------------------------------------------------------------------------


def store_rows(x: Float[Tensor, "rows width"]) -> tuple[Tensor, Tensor]:
    """Return (rows, width) INT8 codes and (rows,) scales of FP32 rows, bit for bit as torch's."""
    codes, scale = torch.empty(x.shape, dtype=torch.int8), torch.empty(len(x))
    as_torch_threads()
    _store(x.contiguous().numpy(), codes.numpy(), scale.numpy())
    return codes, scale


def read_rows(
    codes: Int8[Tensor, "rows width"], scale: Float[Tensor, " rows"]
) -> Float[Tensor, "rows width"]:
    """Return stored rows in FP32."""
    out = torch.empty(codes.shape)
    as_torch_threads()
    _read_rows(codes.contiguous().numpy(), scale.contiguous().numpy(), out.numpy())
    return out


def read_product(
    total: Int32[Tensor, "rows columns"],
    rows: Float[Tensor, " rows"],
    channels: Float[Tensor, " columns"],
    bias: Float[Tensor, " columns"] | None,
) -> Float[Tensor, "rows columns"]:
    """Return an INT8 product in FP32, scaled back, plus a bias."""
    out = torch.empty(total.shape)
    as_torch_threads()
    _read(*_arrays(total, rows, channels, bias), out.numpy())
    return out


def store_activated(
    total: Int32[Tensor, "rows columns"],
    rows: Float[Tensor, " rows"],
    channels: Float[Tensor, " columns"],
    bias: Float[Tensor, " columns"] | None,
    activation: str,
) -> tuple[Tensor, Tensor]:
    """Return codes and scales of an activation function, one of ``ACTIVATIONS``, of a product."""
    codes, scale = torch.empty(total.shape, dtype=torch.int8), torch.empty(len(total))
    as_torch_threads()
    arrays = _arrays(total, rows, channels, bias)
    _activate(*arrays, ACTIVATIONS[activation], codes.numpy(), scale.numpy())
    return codes, scale


def add_sum_exp(
    out: Float[Tensor, " rows"],
    total: Int32[Tensor, "rows columns"],
    rows: Float[Tensor, " rows"],
    channels: Float[Tensor, " columns"],
    bias: Float[Tensor, " columns"] | None,
    shift: Float[Tensor, " rows"],
) -> None:
    """Add to ``out`` (float64) the sum over columns of exp(product + bias - shift).

    Exponents above 88 count as 88: a sum above 1e30 means nothing.
    """
    as_torch_threads()
    _sum_exp(*_arrays(total, rows, channels, bias), shift.numpy(), out.numpy())


# --- what moved from standing values: ``beside`` is the standing row of each row ---------------


def store_moved(
    x: Float[Tensor, "rows width"],
    standing: Float[Tensor, "standing width"],
    beside: Int[Tensor, " rows"],
) -> tuple[Tensor, Tensor]:
    """Return codes and scales of the difference of rows to standing ones."""
    codes, scale = torch.empty(x.shape, dtype=torch.int8), torch.empty(len(x))
    as_torch_threads()
    _store_moved(
        x.contiguous().numpy(), standing.numpy(), beside.numpy(), codes.numpy(), scale.numpy()
    )
    return codes, scale


def store_moved_active(
    total: Int32[Tensor, "rows columns"],
    rows: Float[Tensor, " rows"],
    channels: Float[Tensor, " columns"],
    standing: Float[Tensor, "standing columns"],
    active: Float[Tensor, "standing columns"],
    beside: Int[Tensor, " rows"],
    activation: str,
) -> tuple[Tensor, Tensor]:
    """Return codes and scales of how an activation function moves when its input does.

    The input moves by a product from ``standing``, the activation from ``active``.
    """
    codes, scale = torch.empty(total.shape, dtype=torch.int8), torch.empty(len(total))
    as_torch_threads()
    _activate_moved(
        total.numpy(), rows.contiguous().numpy(), channels.contiguous().numpy(), standing.numpy(),
        active.numpy(), beside.numpy(), ACTIVATIONS[activation], codes.numpy(), scale.numpy(),
    )  # fmt: skip
    return codes, scale


def read_moved(
    total: Int32[Tensor, "rows columns"],
    rows: Float[Tensor, " rows"],
    channels: Float[Tensor, " columns"],
    standing: Float[Tensor, "standing columns"],
    beside: Int[Tensor, " rows"],
) -> Float[Tensor, "rows columns"]:
    """Return standing rows plus a product, scaled back."""
    out = torch.empty(total.shape)
    as_torch_threads()
    _read_moved(
        total.numpy(), rows.contiguous().numpy(), channels.contiguous().numpy(), standing.numpy(),
        beside.numpy(), out.numpy(),
    )  # fmt: skip
    return out


def _arrays(
    total: Int[Tensor, "rows columns"], rows: Tensor, channels: Tensor, bias: Tensor | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    if bias is None:
        bias = _zeros(len(channels))
    a, b, c, d = (x.contiguous().numpy() for x in (total, rows, channels, bias.detach()))
    return a, b, c, d


@cache
def _zeros(count: int) -> Tensor:
    return torch.zeros(count)


def as_torch_threads() -> None:
    """Let numba use as many threads as torch does."""
    wanted = min(torch.get_num_threads(), get_thread_count())
    if get_num_threads() != wanted:
        set_num_threads(wanted)
