"""INT8 weights as ``vpdpbusd`` takes them, for products of which exponentials are summed.

See vnni.py for what is done with them. A weight lies in panels of 32 output channels, in each the
codes of four inputs side by side, 128 added. It is held in this form alone: what else is asked of
it is read back from there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

from pahq.precision.formats import INT8
from pahq.precision.quantize import Stored, store
from pahq.precision.quantize import kernels as compiled_loops

COLUMNS, DEPTH = 32, 4  # output channels of a panel, and inputs that lie side by side
OFFSET = 128
MOST_INPUTS = 1 << 16  # sums of more products of 255 by 127 may not fit into 32 bits
NEVER = -1e30  # added to a channel that is none


@dataclass(frozen=True, eq=False)
class Panels:
    """Rows (output channels) in INT8, each with a scale.

    Attributes:
        codes: (panels, fan_in / 4, 128) with 128 added; behind the last row, nothing but that.
        scale: (rows, 1) what a code is multiplied with to read it back.
    """

    codes: UInt8[Tensor, "panels fours 128"]
    scale: Float[Tensor, "rows 1"]

    @classmethod
    def of(cls, parts: Iterable[Stored], count: int, fan_in: int) -> "Panels":
        """Return ``count`` rows, which come in parts; all but the last of whole panels."""
        panels = -(-count // COLUMNS)
        codes = torch.empty(panels, fan_in // DEPTH, COLUMNS * DEPTH, dtype=torch.uint8)
        scales: list[Tensor] = []
        at = 0
        for part in parts:
            assert part.scale is not None
            scales.append(part.scale)
            rows = pad(part.codes, (0, 0, 0, -len(part.codes) % COLUMNS))
            packed = (rows.view(torch.uint8) ^ OFFSET).view(-1, COLUMNS, fan_in // DEPTH, DEPTH)
            codes[at : at + len(packed)] = packed.transpose(1, 2).flatten(2)
            at += len(packed)
        return cls(codes, torch.cat(scales))

    def __getitem__(self, rows: slice | Tensor) -> Stored:
        """Return some of the rows as they were stored; a slice without gaps, or numbers from 0."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self.scale))
            assert step == 1
            first, last = start // COLUMNS, -(-stop // COLUMNS)
            codes = self._by_channel(first, last).transpose(1, 2).flatten(2).flatten(0, 1)
            codes = codes[start - first * COLUMNS : max(start, stop) - first * COLUMNS]
        else:
            codes = self._by_channel()[rows // COLUMNS, :, rows % COLUMNS].flatten(1)
        return Stored((codes ^ OFFSET).view(torch.int8), self.scale[rows])

    def _by_channel(
        self, first: int = 0, last: int | None = None
    ) -> UInt8[Tensor, "panels fours 32 4"]:
        return self.codes[first:last].unflatten(-1, (COLUMNS, DEPTH))

    def sum_exp(
        self,
        x: Stored,
        bias: Float[Tensor, " channels"] | None,
        shift: Float[Tensor, " rows"],
    ) -> Float[Tensor, " rows"]:
        """Return the sum over output channels of exp(product + bias - shift), float64.

        Above 1e30 the sum means no more than that.
        """
        from pahq.precision import kernels, vnni  # not without numba

        channels = len(self.scale)
        biases = self.scale.new_zeros(channels) if bias is None else bias.detach()
        # What follows reads by addresses.
        assert x.codes.shape[1:] == (DEPTH * self.codes.shape[1],) != (0,)
        assert x.scale is not None
        assert x.scale.numel() == len(shift) == len(x.codes)
        assert len(biases) == channels
        none = len(self.codes) * COLUMNS - channels
        rows = x.codes.contiguous()
        first, order, begins = vnni.grouped(rows.view(torch.int32).numpy())
        codes = rows[torch.from_numpy(first)]
        codes = pad(codes, (0, 0, 0, -len(codes) % vnni.ROWS))
        begin = codes.sum(1, dtype=torch.int32).mul_(-OFFSET)
        out = torch.empty(len(rows), dtype=torch.float64)
        kernels.as_torch_threads()
        vnni.sum_exp(
            codes.numpy(),
            begin.numpy(),
            order,
            begins,
            x.scale.flatten().numpy(),
            shift.contiguous().numpy(),
            self.codes.numpy(),
            pad(self.scale.flatten(), (0, none)).numpy(),
            pad(biases, (0, none), value=NEVER).numpy(),
            out.numpy(),
        )
        return out


def suits(fan_in: int) -> bool:
    """Return whether weights of so many inputs can lie in panels here."""
    return fan_in % DEPTH == 0 and 0 < fan_in <= MOST_INPUTS and works()


@cache
def works() -> bool:
    """Return whether this processor has the instruction, and the loop gives the right sums."""
    if compiled_loops() is None:
        return False
    from numba.core.errors import NumbaError  # it is there: the other loops are

    try:
        from pahq.precision import vnni

        return vnni.there() and _agrees(vnni.ROWS + 1)
    except (AttributeError, NumbaError, RuntimeError):
        return False


def _agrees(rows: int) -> bool:
    """Return whether some sums are right."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (store(torch.randn(n, 64, generator=generator) / 8, INT8) for n in (rows, 70))
    found = Panels.of([weight], 70, 64).sum_exp(x, None, torch.zeros(rows))
    wanted = (x.read().double() @ weight.read().double().mT).exp().sum(1)
    return bool(((found - wanted).abs() < 1e-5 * wanted).all())
