"""Products that this machine really makes in a low format, and which formats those are.

The stored codes are multiplied and summed in FP32 (integers in int32, exactly); the scales of rows
and output channels are applied in FP32 afterwards. operators.py says what multiplies which format.
On CPUs that is INT8 where the processor has VNNI; elsewhere the numbers are emulated. What was
weighed against it stands in docs/experiments.md.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.errors import UsageError
from pahq.precision.formats import FP32, NumberFormat, find_format
from pahq.precision.operators import OPERATORS, Operator
from pahq.precision.quantize import Stored, kernels_for, store

Scales = Tensor | None  # (number,) of rows or of output channels
INTEGERS = torch.int8, torch.int32  # codes and their sums


@cache
def is_native(fmt: NumberFormat, device: str) -> bool:
    """Return whether products in ``fmt`` are made as such on a kind of device (``cpu``, ``cuda``).

    A product that the operator gets wrong counts as none.
    """
    if fmt == FP32:
        return True
    operator = OPERATORS.get(device, {}).get(fmt.name)
    return operator is not None and operator.there() and _agrees(operator, fmt, device)


def describe(fmt: NumberFormat, device: str) -> str:
    """Return ``native`` or ``emulated``."""
    return "native" if is_native(fmt, device) else "emulated"


def check_native(names: Iterable[str], device: str) -> None:
    """Refuse formats that a kind of device does not multiply in.

    Raises:
        UsageError: naming them.
    """
    missing = [name for name in names if not is_native(find_format(name), device)]
    if missing:
        raise UsageError(
            f"This {device} does not multiply in {', '.join(missing)}.",
            why="--native-only refuses emulated formats: the right numbers without the speed",
            fix="drop --native-only, or take a policy of native formats: see `pahq formats`",
        )


def native_product(
    x: Stored,
    weight: Stored,
    fmt: NumberFormat,
    bias: Float[Tensor, " fan_out"] | None = None,
) -> Float[Tensor, "*rows fan_out"]:
    """Return the product of rows and output channels in a format, read back in FP32, plus a bias.

    Args:
        x: (*rows, fan_in), with a scale for each row if ``fmt`` is scaled.
        weight: (fan_out, fan_in), with a scale for each output channel likewise.
        fmt: the format of both; native on their device.
        bias: added in FP32.
    """
    total, rows, channels = native_totals(x, weight, fmt)
    if (fast := kernels_for(total, *INTEGERS)) is not None:
        found = fast.read_product(total, rows, channels, bias)
    else:
        found = _read(total, rows, channels, bias)
    return found.view(*x.codes.shape[:-1], len(weight.codes))


def native_activated(
    x: Stored,
    weight: Stored,
    fmt: NumberFormat,
    bias: Float[Tensor, " fan_out"] | None,
    activation: str,
) -> Stored | None:
    """Return an activation function of ``native_product``, stored in the same format.

    None where no compiled loop makes it.
    """
    fast = kernels_for(x.codes, *INTEGERS)
    if fast is None or activation not in fast.ACTIVATIONS:
        return None
    total, rows, channels = native_totals(x, weight, fmt)
    codes, scale = fast.store_activated(total, rows, channels, bias, activation)
    shape = x.codes.shape[:-1]
    return Stored(codes.view(*shape, -1), scale.view(*shape, 1))


def native_sum_exp(
    x: Stored,
    weight: Stored,
    fmt: NumberFormat,
    bias: Float[Tensor, " fan_out"] | None,
    shift: Float[Tensor, " rows"],
    block: int,
) -> Float[Tensor, " rows"]:
    """Return the sum over output channels of exp(product + bias - shift), float64.

    ``block`` channels are made at a time. An overflow gives infinity.
    """
    found = torch.zeros(len(shift), dtype=torch.float64, device=shift.device)
    for start in range(0, len(weight.codes), block):
        part = slice(start, start + block)
        more = None if bias is None else bias[part]
        total, rows, channels = native_totals(x, weight[part], fmt)
        if (fast := kernels_for(total, *INTEGERS)) is not None:
            fast.add_sum_exp(found, total, rows, channels, more, shift)
        else:
            logits = _read(total, rows, channels, more)
            found += logits.sub_(shift[:, None]).exp_().sum(-1)
    return found


def native_totals(x: Stored, weight: Stored, fmt: NumberFormat) -> tuple[Tensor, Scales, Scales]:
    """Return the product of the codes, (rows, fan_out), and the scales of either side."""
    operator = OPERATORS[x.codes.device.type][fmt.name]
    total = operator(x.codes.flatten(0, -2), weight.codes)
    return total, _flat(x.scale), _flat(weight.scale)


def _flat(scale: Tensor | None) -> Scales:
    return None if scale is None else scale.flatten()


def _read(
    total: Tensor, rows: Scales, channels: Scales, bias: Tensor | None
) -> Float[Tensor, "rows fan_out"]:
    """Return a product in FP32, scaled back, plus a bias; ``total`` may be overwritten."""
    found = total if channels is None else torch.mul(total, channels)
    if rows is not None:
        found *= rows.unsqueeze(1)
    if bias is not None:
        found += bias
    return found


def _agrees(operator: Operator, fmt: NumberFormat, device: str) -> bool:
    """Return whether the operator multiplies some codes as they read, up to its slack."""
    try:
        for x, weight in _trials(fmt):
            found = operator(x.to(device), weight.to(device)).cpu().double()
            x, weight = x.float().double(), weight.float().double()
            off = (found - x @ weight.mT).abs()
            if not bool((off <= operator.slack * (x.abs() @ weight.abs().mT)).all()):
                return False
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False
    return True


def _trials(fmt: NumberFormat) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows and output channels to multiply: first of large codes, then of all sizes."""
    generator = torch.Generator().manual_seed(0)
    for spread in (0.0, 12.0):
        # Wider than 127 * 127 * 132 would fit into 16 bits by far, and with an odd number of rows.
        x, weight = (
            (torch.rand(rows, 264, generator=generator) * 2 - 1)
            * torch.exp2(-spread * torch.rand(rows, 264, generator=generator))
            for rows in (19, 24)
        )
        yield store(x, fmt).codes, store(weight, fmt).codes
