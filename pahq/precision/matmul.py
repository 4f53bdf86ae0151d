"""Matrix products in a format. Accumulation is FP32 or wider; the caller adds biases in FP32.

Where the machine multiplies in the format (native.py), it does; elsewhere the same rounded numbers
are multiplied in FP32.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from pahq.precision.formats import NumberFormat
from pahq.precision.native import integer_product, is_native
from pahq.precision.product import product
from pahq.precision.quantize import Stored, round_trip, round_trip_weight, store

EVERYTHING = slice(None)


class Products:
    """Products with one model's weights, in any format.

    Weights are stored in a format once: a search multiplies with the same ones thousands of times.
    """

    def __init__(self) -> None:
        # The weight itself is kept beside its copy: its id may then not be used again.
        self._rounded: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        self._stored: dict[tuple[int, str], tuple[Tensor, Stored]] = {}

    def __call__(
        self,
        x: Float[Tensor, "*rows fan_in"],
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
    ) -> Float[Tensor, "*rows fan_out"]:
        """Return ``x @ weight``, both rounded to ``fmt`` first.

        ``x`` has one scale for each row (token), ``weight`` one for each output channel.
        """
        if _low(fmt, weight):
            return integer_product(store(x, fmt), self.stored(weight, fmt))
        return product(round_trip(x, fmt), self.rounded(weight, fmt))

    def by_columns(
        self,
        x: Float[Tensor, "rows fan_in"],
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        block: int,
    ) -> Iterator[Float[Tensor, "rows columns"]]:
        """Yield the same product, ``block`` output channels at a time."""
        starts = range(0, weight.shape[1], block)
        if _low(fmt, weight):
            codes, channels = store(x, fmt), self.stored(weight, fmt)
            for start in starts:
                yield integer_product(codes, channels[start : start + block])
        else:
            x, weight = round_trip(x, fmt), self.rounded(weight, fmt)
            for start in starts:
                yield product(x, weight[:, start : start + block])

    def rounded(
        self,
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        columns: slice | Tensor = EVERYTHING,
    ) -> Float[Tensor, "fan_in columns"]:
        """Return ``weight``, or some of its columns, as it reads back from ``fmt``."""
        if _low(fmt, weight):
            return self.stored(weight, fmt)[columns].read().mT
        if fmt.name != "fp32":
            key = (id(weight), fmt.name)
            if key not in self._rounded:
                self._rounded[key] = (weight, round_trip_weight(weight, fmt))
            weight = self._rounded[key][1]
        return weight if columns is EVERYTHING else weight[:, columns]

    def stored(self, weight: Float[Tensor, "fan_in fan_out"], fmt: NumberFormat) -> Stored:
        """Return ``weight`` in ``fmt``: (fan_out, fan_in), a scale for each output channel."""
        key = (id(weight), fmt.name)
        if key not in self._stored:
            self._stored[key] = (weight, store(weight.mT.contiguous(), fmt))
        return self._stored[key][1]


def _low(fmt: NumberFormat, weight: Tensor) -> bool:
    return fmt.name != "fp32" and is_native(fmt, weight.device.type)
