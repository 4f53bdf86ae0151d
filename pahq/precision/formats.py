"""Number formats: what a value can look like once it is stored."""

from dataclasses import dataclass

import torch

from pahq import catalog


@dataclass(frozen=True)
class NumberFormat:
    """How one value is stored.

    Attributes:
        name: the name in the catalog.
        dtype: torch's type of a stored value (int4 values are stored in an int8 each).
        largest: the greatest magnitude a value may take after scaling.
        bits: size of one stored value.
        scaling: ``none`` (plain cast), ``peak`` (the row's peak lands on ``largest``),
            ``overflow`` (only rows whose peak lies above ``largest`` are scaled) or ``cut``
            (nothing is scaled: what lies above ``largest`` becomes ``largest``).
    """

    name: str
    dtype: torch.dtype
    largest: float
    bits: int
    scaling: str

    @property
    def is_integer(self) -> bool:
        """True for formats of whole numbers."""
        return self.dtype is torch.int8


def _make(name: str, dtype: torch.dtype, scaling: str, largest: float | None = None):
    bits = catalog.find(catalog.FORMATS, name, kind="format").bits
    peak = largest if largest is not None else torch.finfo(dtype).max
    return NumberFormat(name, dtype, peak, bits, scaling)


FP32 = _make("fp32", torch.float32, "none")
BF16 = _make("bf16", torch.bfloat16, "none")
FP16 = _make("fp16", torch.float16, "overflow")
FP8_E4M3 = _make("fp8-e4m3", torch.float8_e4m3fn, "peak")
FP8_E4M3_UNSCALED = _make("fp8-e4m3-unscaled", torch.float8_e4m3fn, "cut")
FP8_E5M2 = _make("fp8-e5m2", torch.float8_e5m2, "peak")
INT8 = _make("int8", torch.int8, "peak", largest=127.0)
INT4 = _make("int4", torch.int8, "peak", largest=7.0)

FORMATS = {
    fmt.name: fmt for fmt in (FP32, BF16, FP16, FP8_E4M3, FP8_E4M3_UNSCALED, FP8_E5M2, INT8, INT4)
}


def find_format(name: str) -> NumberFormat:
    """Return the format called ``name``.

    Raises:
        UnknownName: naming the nearest formats.
    """
    return FORMATS[catalog.find(catalog.FORMATS, name, kind="format").name]
