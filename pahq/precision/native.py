"""Products that this machine really makes in a low format, and which formats those are.

INT8: eight-bit codes are multiplied and summed in 32-bit integers, exactly, then scaled back. torch
carries the product as ``torch._int_mm`` (oneDNN on CPUs, cuBLASLt on GPUs). On CPUs it pays where
the processor has VNNI; elsewhere the numbers are emulated. What was weighed against it stands in
docs/experiments.md.
"""

from collections.abc import Iterable
from functools import cache
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from pahq.errors import UsageError
from pahq.precision.formats import FP32, INT8, NumberFormat, find_format
from pahq.precision.quantize import Stored, kernels

# cuBLASLt takes no fewer rows, and no sizes that are not multiples.
CUDA_ROWS, CUDA_MULTIPLE = 17, 8


@cache
def is_native(fmt: NumberFormat, device: str) -> bool:
    """Return whether products in ``fmt`` are made as such on a kind of device (``cpu``, ``cuda``).

    A product that the operator gets wrong counts as none.
    """
    if fmt == FP32:
        return True
    return fmt == INT8 and _has_integer_products(device) and _multiplies_integers(device)


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


def integer_product(
    x: Stored, weight: Stored, bias: Float[Tensor, " fan_out"] | None = None
) -> Float[Tensor, "*rows fan_out"]:
    """Return the product of INT8 rows and INT8 output channels, read back in FP32, plus a bias.

    Args:
        x: (*rows, fan_in) with a scale for each row.
        weight: (fan_out, fan_in) with a scale for each output channel.
        bias: added in FP32.
    """
    total, rows, channels = integer_totals(x, weight)
    if (fast := _kernels(total)) is not None:
        found = fast.read_product(total, rows, channels, bias)
    else:
        found = torch.mul(total, channels).mul_(rows[:, None])
        if bias is not None:
            found += bias
    return found.view(*x.codes.shape[:-1], -1)


def integer_activated(
    x: Stored, weight: Stored, bias: Float[Tensor, " fan_out"] | None, activation: str
) -> Stored | None:
    """Return an activation function of ``integer_product`` as INT8 rows.

    None where no compiled loop makes it.
    """
    total, rows, channels = integer_totals(x, weight)
    fast = _kernels(total)
    if fast is None or activation not in fast.ACTIVATIONS:
        return None
    codes, scale = fast.store_activated(total, rows, channels, bias, activation)
    shape = x.codes.shape[:-1]
    return Stored(codes.view(*shape, -1), scale.view(*shape, 1))


def integer_sum_exp(
    x: Stored,
    weight: Stored,
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
        total, rows, channels = integer_totals(x, weight[part])
        if (fast := _kernels(total)) is not None:
            fast.add_sum_exp(found, total, rows, channels, more, shift)
        else:
            logits = torch.mul(total, channels).mul_(rows[:, None])
            logits = logits if more is None else logits.add_(more)
            found += logits.sub_(shift[:, None]).exp_().sum(-1)
    return found


def integer_totals(x: Stored, weight: Stored) -> tuple[Tensor, Tensor, Tensor]:
    """Return the product of the codes, (rows, fan_out) int32, and the scales of either side."""
    assert x.scale is not None
    assert weight.scale is not None
    return _int_mm(x.codes.flatten(0, -2), weight.codes), x.scale.flatten(), weight.scale.flatten()


def _kernels(total: Tensor) -> ModuleType | None:
    return kernels() if total.device.type == "cpu" else None


def _int_mm(codes: Tensor, weight: Tensor) -> Tensor:
    """Return ``codes @ weight.T`` in int32, for any sizes."""
    (rows, fan_in), fan_out = codes.shape, weight.shape[0]
    if codes.device.type == "cuda":
        more = max(CUDA_ROWS - rows, 0), -fan_in % CUDA_MULTIPLE, -fan_out % CUDA_MULTIPLE
    else:
        more = 0, int(fan_in == 1), 0  # oneDNN takes a single column for a row
    if any(more):
        codes, weight = pad(codes, (0, more[1], 0, more[0])), pad(weight, (0, more[1], 0, more[2]))
    return torch.ops.aten._int_mm(codes, weight.mT)[:rows, :fan_out]


def _has_integer_products(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return device == "cpu" and torch.cpu._is_vnni_supported()


def _multiplies_integers(device: str) -> bool:
    generator = torch.Generator().manual_seed(0)
    # Wider than 127 * 127 * 132 would fit into 16 bits by far, and with an odd number of rows.
    x, weight = (
        torch.randint(-127, 128, (rows, 264), generator=generator, dtype=torch.int8)
        for rows in (19, 24)
    )
    try:
        found = _int_mm(x.to(device), weight.to(device)).cpu()
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found, x.int() @ weight.int().mT)
