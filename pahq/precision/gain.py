"""What a format's products gain over FP32's on this machine, measured."""

import time

import torch
from torch import Tensor

from pahq.precision.formats import FP32, NumberFormat
from pahq.precision.matmul import Products

FAN_IN, FAN_OUT = 768, 3072  # an MLP of GPT-2 small
ROWS = {"cpu": 600, "cuda": 2400}  # about as many as a search multiplies with it at once
REPEATS = 5


def gain(fmt: NumberFormat, device: torch.device) -> float:
    """Return how many times faster than in FP32 a product is, rounding of its input included."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(*shape, generator=generator).to(device)
        for shape in ((ROWS[device.type], FAN_IN), (FAN_IN, FAN_OUT))
    )
    multiply = Products()
    seconds: dict[str, list[float]] = {FP32.name: [], fmt.name: []}
    with torch.inference_mode():
        for _ in range(REPEATS + 1):  # in turns: other programs slow both down alike
            for each in (FP32, fmt):
                seconds[each.name].append(_seconds(multiply, x, weight, each))
    return min(seconds[FP32.name][1:]) / min(seconds[fmt.name][1:])


def _seconds(multiply: Products, x: Tensor, weight: Tensor, fmt: NumberFormat) -> float:
    began = time.perf_counter()
    multiply(x, weight, fmt)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
