"""Rounding: what a row of numbers reads as once it has been stored in a format.

Symmetric, round half to even, no zero point. A *row* is the last axis: one token's activations,
or one output channel's weights; each has its own scale, so a loud row cannot blur a quiet one and
a value never depends on what else is in the batch.
"""

from dataclasses import dataclass
from functools import cache
from types import ModuleType

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pahq.precision.formats import INT8, NumberFormat

SMALLEST_PEAK = 1e-30  # keeps the scale finite when a row is all zeros


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows in a format.

    Attributes:
        codes: (*rows, width) stored values, of the format's type.
        scale: (*rows, 1) what a code is multiplied with to read it back; None without scaling.
    """

    codes: Shaped[Tensor, "*rows width"]
    scale: Float[Tensor, "*rows 1"] | None

    def __getitem__(self, rows: slice | Tensor) -> "Stored":
        """Return some of the rows, chosen on the first axis."""
        return Stored(self.codes[rows], None if self.scale is None else self.scale[rows])

    def read(self) -> Float[Tensor, "*rows width"]:
        """Return the values in FP32."""
        if self.scale is not None and (fast := kernels_for(self.codes, torch.int8)) is not None:
            rows = self.codes.reshape(-1, self.codes.shape[-1]), self.scale.flatten()
            return fast.read_rows(*rows).view(self.codes.shape)
        values = self.codes.float()
        return values if self.scale is None else values.mul_(self.scale)


def store(x: Float[Tensor, "*rows width"], fmt: NumberFormat) -> Stored:
    """Store FP32 rows in ``fmt``.

    Reference: Micikevicius et al. 2022, "FP8 Formats for Deep Learning", arXiv:2209.05433.
    """
    if fmt.scaling == "none":
        return Stored(x.to(fmt.dtype), None)
    if fmt.scaling == "cut":
        return Stored(x.clamp(-fmt.largest, fmt.largest).to(fmt.dtype), None)
    if fmt == INT8 and (fast := kernels_for(x, torch.float32)) is not None:
        codes, scales = fast.store_rows(x.reshape(-1, x.shape[-1]))
        return Stored(codes.view(x.shape), scales.view(*x.shape[:-1], 1))
    if x.device.type == "cpu" or not x.numel():
        peak, largest = x.abs().amax(dim=-1, keepdim=True), fmt.largest  # (*rows, 1)
    else:  # one pass, few launches
        peak = torch.linalg.vector_norm(x, torch.inf, dim=-1, keepdim=True)
        largest = constant(fmt.largest, x.device)
    if fmt.scaling == "overflow":
        scale = (peak / largest).clamp(min=1.0)
    else:
        scale = peak.clamp(min=SMALLEST_PEAK) / largest
    scaled = (x / scale).clamp_(-fmt.largest, fmt.largest)
    return Stored((scaled.round_() if fmt.is_integer else scaled).to(fmt.dtype), scale)


@cache
def constant(number: float, device: torch.device) -> Float[Tensor, ""]:
    """Return a number that lies on a device.

    To divide by a plain number, GPUs multiply with its reciprocal, and a last bit may differ.
    """
    with torch.inference_mode(False):  # it outlives the mode in which it is asked for first
        return torch.full((), number, device=device)


@cache
def kernels() -> ModuleType | None:
    """Return the compiled loops of kernels.py; None where numba cannot be had."""
    try:
        from pahq.precision import kernels as found

        found.load()
    except (ImportError, RuntimeError):  # not installed, or nowhere to keep what it compiles
        return None
    return found


def kernels_for(x: Tensor, *dtypes: torch.dtype) -> ModuleType | None:
    """Return the compiled loops if they take ``x``: of one of these types, and on a CPU."""
    return kernels() if x.dtype in dtypes and x.device.type == "cpu" else None


def round_trip(x: Float[Tensor, "*rows width"], fmt: NumberFormat) -> Float[Tensor, "*rows width"]:
    """Return ``x`` as it reads back after being stored in ``fmt``; FP32 returns ``x`` itself."""
    return x if fmt.dtype is torch.float32 else store(x, fmt).read()


def round_trip_weight(
    weight: Float[Tensor, "*heads fan_in fan_out"], fmt: NumberFormat
) -> Float[Tensor, "*heads fan_in fan_out"]:
    """Return a weight as it reads back, with one scale for each output channel."""
    return round_trip(weight.mT, fmt).mT
