"""Products that this machine really makes in a low format, and which formats those are.

INT8: eight-bit codes are multiplied and summed in 32-bit integers, exactly, then scaled back. torch
carries the product as ``torch._int_mm`` (oneDNN on CPUs, cuBLASLt on GPUs). On CPUs it pays where
the processor has VNNI; elsewhere the numbers are emulated. What was weighed against it stands in
docs/experiments.md.
"""

from collections.abc import Iterable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from pahq.errors import UsageError
from pahq.precision.formats import FP32, INT8, NumberFormat, find_format
from pahq.precision.quantize import Stored

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


def integer_product(x: Stored, weight: Stored) -> Float[Tensor, "*rows fan_out"]:
    """Return the product of INT8 rows and INT8 output channels, read back in FP32.

    Args:
        x: (*rows, fan_in) with a scale for each row.
        weight: (fan_out, fan_in) with a scale for each output channel.
    """
    assert x.scale is not None
    assert weight.scale is not None
    codes = x.codes.flatten(0, -2)
    total = _int_mm(codes, weight.codes)
    found = torch.mul(total, weight.scale.mT).mul_(x.scale.flatten(0, -2))
    return found.view(*x.codes.shape[:-1], -1)


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
