"""Which of torch's operators multiplies the codes of a format, on which kind of device.

Codes are multiplied as they are stored; scales are applied afterwards (native.py), so what is
rounded is exactly what emulation rounds.

- INT8: ``_int_mm``, summed in int32, exactly (oneDNN on CPUs, cuBLASLt on GPUs).
- FP8 E4M3: ``_scaled_mm`` with scales of one. It could apply the scales of rows and channels
  itself, but for FP32 results only on some GPUs and versions of CUDA.
- FP8 E5M2: cuBLASLt multiplies no two E5M2 matrices. Every E5M2 number is an FP16 number (of the
  same exponent), so the codes are widened and multiplied as FP16: nothing is lost, the weights are
  held in eight bits all the same, and the speed is FP16's.
- BF16, FP16: ``mm`` with FP32 results.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn.functional import pad

from pahq.precision.formats import BF16, FP8_E4M3, FP8_E4M3_UNSCALED, FP8_E5M2, FP16, INT8
from pahq.precision.quantize import constant

Multiply = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Operator:
    """One way to multiply codes.

    Attributes:
        multiply: (rows, fan_in) and (fan_out, fan_in) codes -> (rows, fan_out) sums of products,
            int32 or FP32.
        there: whether this machine has what it needs; asked before it is tried.
        rows: fewest rows that it takes.
        fan_in: fewest columns.
        multiple: what both widths must be a multiple of.
        slack: how far a sum may be off, as a share of the sum of its terms' sizes.
    """

    multiply: Multiply
    there: Callable[[], bool]
    rows: int = 1
    fan_in: int = 1
    multiple: int = 1
    slack: float = 0.0

    def __call__(
        self, codes: Shaped[Tensor, "rows fan_in"], weight: Shaped[Tensor, "fan_out fan_in"]
    ) -> Shaped[Tensor, "rows fan_out"]:
        """Return ``codes @ weight.T``, not scaled, for any sizes."""
        (rows, fan_in), fan_out = codes.shape, len(weight)
        width = max(fan_in, self.fan_in)
        more = max(self.rows - rows, 0), width - fan_in + -width % self.multiple
        if any(more):
            codes = _with_zeros(codes, *more)
        if more[1] or fan_out % self.multiple:
            weight = _with_zeros(weight, -fan_out % self.multiple, more[1])
        return self.multiply(codes, weight).narrow(0, 0, rows).narrow(1, 0, fan_out)


def _with_zeros(codes: Tensor, rows: int, columns: int) -> Tensor:
    # As bytes: zero bits are a zero in every format, and not every type can be filled.
    return pad(codes.view(torch.uint8), (0, columns, 0, rows)).view(codes.dtype)


def _as_integers(codes: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.aten._int_mm(codes, weight.mT)


def _as_fp8(codes: Tensor, weight: Tensor) -> Tensor:
    one = constant(1.0, codes.device)
    return torch.ops.aten._scaled_mm(
        codes.contiguous(), weight.contiguous().mT, one, one,
        out_dtype=torch.float32, use_fast_accum=False,
    )  # fmt: skip


def _with_fp32_sums(codes: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.aten.mm.dtype(codes, weight.mT, torch.float32)


def _as_fp16(codes: Tensor, weight: Tensor) -> Tensor:
    return _with_fp32_sums(codes.half(), weight.half())


def _has_vnni() -> bool:
    return torch.cpu._is_vnni_supported()


def _capability(major: int, minor: int) -> Callable[[], bool]:
    def there() -> bool:
        if not torch.cuda.is_available():
            return False
        return torch.cuda.get_device_capability() >= (major, minor)

    return there


# Tensor cores add the products of a block of FP8 codes with 13 bits behind the largest, and only
# the blocks in FP32; those of 16-bit codes they add in FP32, cut off instead of rounded.
_FP8 = Operator(_as_fp8, _capability(8, 9), multiple=16, slack=2**-8)
OPERATORS: dict[str, dict[str, Operator]] = {
    "cpu": {
        # oneDNN takes a single column for a row.
        INT8.name: Operator(_as_integers, _has_vnni, fan_in=2),
    },
    "cuda": {
        INT8.name: Operator(_as_integers, _capability(8, 0), rows=17, multiple=8),
        FP8_E4M3.name: _FP8,
        FP8_E4M3_UNSCALED.name: _FP8,
        FP8_E5M2.name: Operator(_as_fp16, _capability(7, 0), slack=2**-13),
        BF16.name: Operator(_with_fp32_sums, _capability(8, 0), slack=2**-13),
        FP16.name: Operator(_with_fp32_sums, _capability(7, 0), slack=2**-13),
    },
}
