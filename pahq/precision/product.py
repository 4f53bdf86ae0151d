"""FP32 matrix products at the speed the processor has.

torch multiplies FP32 through MKL, which does not use AVX-512 on AMD: oneDNN, which torch carries
too, is 2 to 2.5 times faster there (docs/experiments.md). It is asked through the operator that
torch's own compiler uses; where that is missing or wrong, ``@`` does the work.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

# Multiply-adds from which on the operator gains more than it costs: what it compiles for each new
# number of rows takes a millisecond, and small models would meet their last one as they finish.
WORTH = 1 << 23


def product(
    x: Float[Tensor, "*rows fan_in"],
    weight: Float[Tensor, "fan_in fan_out"],
    bias: Float[Tensor, " fan_out"] | None = None,
) -> Float[Tensor, "*rows fan_out"]:
    """Return ``x @ weight``, plus a bias, in FP32."""
    suits = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    if not suits or x.numel() * weight.shape[1] < WORTH or torch.is_grad_enabled() or not works():
        return x @ weight if bias is None else x @ weight + bias
    columns = weight.mT
    if not (columns.is_contiguous() or weight.is_contiguous()):
        columns = columns.contiguous()  # any other layout takes it seconds
    return _multiply(x, columns, bias)


@cache
def works() -> bool:
    """Return whether the operator exists here and computes a product."""
    if not torch.backends.mkldnn.is_available():
        return False
    x, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
    try:
        return bool(torch.equal(_multiply(x, weight), x @ weight.mT))
    except (AttributeError, RuntimeError, TypeError):
        return False


def _multiply(x: Tensor, columns: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, columns, bias, "none", [], "")
