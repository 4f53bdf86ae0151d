"""FP32 matrix products at the speed the processor has.

torch multiplies FP32 through MKL, which does not use AVX-512 on AMD: oneDNN, which torch carries
too, is 2 to 2.5 times faster there (docs/experiments.md). It is asked through the operator that
torch's own compiler uses; where that is missing or wrong, ``@`` does the work.
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

# Multiply-adds from which on the operator gains more than it costs: what it compiles for each new
# number of rows takes a millisecond, and small models would meet their last one as they finish.
WORTH = 1 << 23
LARGE = 1 << 20  # numbers of a weight from which on it is worth packing
ROWS = 400  # for so many it is packed; others can be multiplied too


def product(
    x: Float[Tensor, "*rows fan_in"],
    weight: Float[Tensor, "fan_in fan_out"],
    bias: Float[Tensor, " fan_out"] | None = None,
    *,
    ready: Tensor | None = None,
) -> Float[Tensor, "*rows fan_out"]:
    """Return ``x @ weight``, plus a bias, in FP32.

    Args:
        x: what is multiplied.
        weight: with what.
        bias: is added.
        ready: the weight as ``packed`` returned it.
    """
    few = x.numel() * weight.shape[1] < WORTH
    if few or torch.is_grad_enabled() or not (_suits(x) and _suits(weight) and works()):
        return x @ weight if bias is None else x @ weight + bias
    if ready is not None:
        return _multiply(x, ready, bias)
    return _multiply(x, _columns(weight), bias)


def packed(weight: Float[Tensor, "fan_in fan_out"]) -> Tensor | None:
    """Return ``weight`` as the operator takes it fastest; None where it does not take it so.

    It costs what a few products cost, gives the same numbers, and saves a seventh of each.
    """
    if weight.numel() < LARGE or not (_suits(weight) and packs()):
        return None
    return _pack(_columns(weight))


def _suits(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32


def _columns(weight: Tensor) -> Tensor:
    columns = weight.mT
    if not (columns.is_contiguous() or weight.is_contiguous()):
        columns = columns.contiguous()  # any other layout takes it seconds
    return columns


@cache
def works() -> bool:
    """Return whether the operator exists here and computes a product."""
    if not torch.backends.mkldnn.is_available():
        return False
    return _agrees(lambda weight: weight)


@cache
def packs() -> bool:
    """Return whether the operator takes packed weights too."""
    return works() and _agrees(_pack)


def _agrees(form: Callable[[Tensor], Tensor]) -> bool:
    x, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
    try:
        return bool(torch.equal(_multiply(x, form(weight)), x @ weight.mT))
    except (AttributeError, RuntimeError, TypeError):
        return False


def _pack(columns: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(columns, ROWS)


def _multiply(x: Tensor, columns: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, columns, bias, "none", [], "")
