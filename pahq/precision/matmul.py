"""Matrix products in a format. Accumulation is FP32 or wider; biases are added in FP32.

Where the machine multiplies in the format (native.py), it does; elsewhere the same rounded numbers
are multiplied in FP32.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.precision.formats import FP32, INT8, NumberFormat
from pahq.precision.native import (
    is_native,
    native_activated,
    native_product,
    native_sum_exp,
)
from pahq.precision.panels import Panels, suits
from pahq.precision.product import packed, product
from pahq.precision.quantize import Stored, round_trip, round_trip_weight, store
from pahq.precision.residency import EVERYTHING, Residency

CHANNELS = 4096  # output channels that are stored at a time: rounding needs copies
SMALL = 1 << 17  # weights that CPUs read back whole, though they are multiplied as stored
READ_BACK = 1 << 22  # bytes of them that are kept for the next time

Rows = Float[Tensor, "*rows fan_in"] | Stored
Bias = Float[Tensor, " fan_out"] | None


class Products:
    """Products with one model's weights, in any format.

    Weights are stored in a format once: a search multiplies with the same ones thousands of times.
    ``release`` is told which FP32 weights it need not keep at hand. ``residency`` knows those that
    lie elsewhere than where products are made; without it all are there.

    Attributes:
        most_packed_bytes: of FP32 weights held once more for faster products, the most so far.
    """

    def __init__(
        self,
        *,
        release: Callable[[Iterable[Tensor]], None] = lambda weights: None,
        residency: Residency | None = None,
    ):
        self._release, self.residency = release, residency
        # The weight itself is kept beside its copy: its id may then not be used again.
        self._rounded: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        self._stored: dict[tuple[int, str], tuple[Tensor, Stored | Panels]] = {}
        self._packed: dict[int, tuple[Tensor, Tensor]] = {}
        self.most_packed_bytes = 0
        self._read_back: OrderedDict[tuple[int, str], Tensor] = OrderedDict()  # used last: last

    def __call__(
        self,
        x: Rows,
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        bias: Bias = None,
    ) -> Float[Tensor, "*rows fan_out"]:
        """Return ``x @ weight``, both rounded to ``fmt`` first, plus a bias.

        ``x`` has one scale for each row (token), ``weight`` one for each output channel. Rows that
        are ``Stored`` have been rounded already.
        """
        if self._low(fmt, weight):
            x = x if isinstance(x, Stored) else store(x, fmt)
            return native_product(x, self.stored(weight, fmt), fmt, bias)
        if fmt == FP32 and id(weight) in self._packed:
            return product(_read(x, fmt), weight, bias, ready=self._packed[id(weight)][1])
        return product(_read(x, fmt), self.rounded(weight, fmt), bias)

    def activated(
        self,
        x: Rows,
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        bias: Bias,
        activation: str,
    ) -> Stored | None:
        """Return an activation function of the same, rounded to ``fmt`` for the next product.

        None where the two must be made one after the other.
        """
        if not self._low(fmt, weight):
            return None
        x = x if isinstance(x, Stored) else store(x, fmt)
        return native_activated(x, self.stored(weight, fmt), fmt, bias, activation)

    def sum_exp(
        self,
        x: Rows,
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        bias: Bias,
        shift: Float[Tensor, " rows"],
        block: int,
    ) -> Float[Tensor, " rows"]:
        """Return the sum over output channels of exp(x @ weight + bias - shift), float64.

        About ``block`` channels are made at a time. What overflows is above 1e30, or infinite.
        """
        if self._low(fmt, weight):
            x = x if isinstance(x, Stored) else store(x, fmt)
            held = self._held(weight, fmt)
            if isinstance(held, Panels):
                return held.sum_exp(x, bias, shift)
            return native_sum_exp(x, held, fmt, bias, shift, block)
        x = _read(x, fmt)
        found = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for part, columns in self._blocks(weight, fmt, block):
            logits = product(x, columns, None if bias is None else bias[part])
            found += logits.sub_(shift[:, None]).exp_().sum(-1)
        return found

    def mean_channel(
        self,
        shares: Float[Tensor, "rows fan_out"],
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        block: int,
    ) -> Float[Tensor, "rows fan_in"]:
        """Return the sum over output channels of a share times the channel's weights, float64."""
        found = shares.new_zeros((len(shares), weight.shape[0]))
        for part, columns in self._blocks(weight, fmt, block):
            found += shares[:, part] @ columns.mT.double()
        return found

    def _blocks(
        self, weight: Tensor, fmt: NumberFormat, block: int
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield some columns at a time; FP32's are let go again where another format is held."""
        kept_low = self._is_stored(weight)
        for start in range(0, weight.shape[1], block):
            part = slice(start, start + block)
            yield part, self.rounded(weight, fmt, part)
            if fmt == FP32 and kept_low:
                self._release([weight[:, part]])

    def rounded(
        self,
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
        columns: slice | Tensor = EVERYTHING,
    ) -> Float[Tensor, "fan_in columns"]:
        """Return ``weight``, or some of its columns, as it reads back from ``fmt``."""
        if fmt == FP32:
            return self._here(weight, columns)
        if self._low(fmt, weight):
            small = weight.numel() <= SMALL and self._device(weight) == "cpu"
            if small and columns is EVERYTHING:
                return self._small(weight, fmt)
            return self._held(weight, fmt)[columns].read().mT
        key = (id(weight), fmt.name)
        if key not in self._rounded:
            self._rounded[key] = (weight, round_trip_weight(self._here(weight), fmt))
            self._release([weight])
        weight = self._rounded[key][1]
        return weight if columns is EVERYTHING else weight[:, columns]

    def _small(self, weight: Tensor, fmt: NumberFormat) -> Tensor:
        """Return a small weight as it reads back; those that were asked for last are at hand."""
        key, kept = (id(weight), fmt.name), self._read_back
        if key not in kept:
            kept[key] = self.stored(weight, fmt).read().mT
            while sum(map(_bytes, kept.values())) > READ_BACK:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return kept[key]

    @property
    def held_bytes(self) -> int:
        """Bytes of the weights that are held in formats other than FP32."""
        read = sum(map(_bytes, self._read_back.values()))
        read += sum(_bytes(values) for _, values in self._rounded.values())
        stored = (values for _, values in self._stored.values())
        return read + sum(_bytes(s.codes) + _bytes(s.scale) for s in stored)

    def high_bytes(self, weights: Iterable[Tensor]) -> int:
        """Return the bytes of FP32 weights where products are made, at the most so far."""
        at_hand = self.residency
        if at_hand is None:
            return sum(map(_bytes, weights)) + self.most_packed_bytes
        return at_hand.most_bytes + sum(_bytes(w) for w in weights if not at_hand.is_away(w))

    def hold(
        self, weight: Float[Tensor, "fan_in fan_out"], fmt: NumberFormat, *, summed: bool = False
    ) -> None:
        """Store a weight in the form in which products take it.

        ``summed``: of its products, little else than ``sum_exp`` is wanted.
        """
        if fmt == FP32:
            return
        if self._low(fmt, weight):
            self._held(weight, fmt, summed=summed)
        else:
            self.rounded(weight, fmt)

    def pack(self, weights: Iterable[Tensor]) -> None:
        """Let FP32 products with these weights, and with no others, be faster for a while.

        They are held once more; those of which another format is held need not be at hand.
        """
        self._packed = {}
        for weight in weights:
            if self.residency is None and (ready := packed(weight)) is not None:
                self._packed[id(weight)] = weight, ready
                if self._is_stored(weight):
                    self._release([weight])
        held_now = sum(_bytes(weight) for weight, _ in self._packed.values())
        self.most_packed_bytes = max(self.most_packed_bytes, held_now)

    def forget(self, weights: Iterable[Tensor]) -> None:
        """Let go of what is held of some weights, in every format."""
        known = {id(weight) for weight in weights}
        for key in known & self._packed.keys():
            del self._packed[key]
        for held in (self._rounded, self._stored, self._read_back):
            for key in [key for key in held if key[0] in known]:
                del held[key]

    def stored(self, weight: Float[Tensor, "fan_in fan_out"], fmt: NumberFormat) -> Stored:
        """Return ``weight`` in ``fmt``: (fan_out, fan_in), a scale for each output channel."""
        held = self._held(weight, fmt)
        return held if isinstance(held, Stored) else held[:]

    def _held(self, weight: Tensor, fmt: NumberFormat, *, summed: bool = False) -> Stored | Panels:
        """Return a weight as it is held; ``summed`` says how, where it is not held yet."""
        key = (id(weight), fmt.name)
        if key not in self._stored:
            fan_in, fan_out = weight.shape
            parts = self._parts(weight, fmt)
            in_panels = summed and fmt == INT8 and self._device(weight) == "cpu" and suits(fan_in)
            held = Panels.of(parts, fan_out, fan_in) if in_panels else _joined(list(parts))
            self._stored[key] = (weight, held)
            self._release([weight])
        return self._stored[key][1]

    def _is_stored(self, weight: Tensor) -> bool:
        """Return whether a weight is held in a low format, so that FP32's may be let go."""
        return any(held is weight for held, _ in self._stored.values())

    def _parts(self, weight: Tensor, fmt: NumberFormat) -> Iterator[Stored]:
        """Yield some output channels of a weight at a time, stored."""
        for start in range(0, weight.shape[1], CHANNELS):
            yield store(self._here(weight, slice(start, start + CHANNELS)).mT, fmt)

    def _here(self, weight: Tensor, columns: slice | Tensor = EVERYTHING) -> Tensor:
        """Return an FP32 weight, or some of its columns, where products are made."""
        if self.residency is not None:
            return self.residency.here(weight, columns)
        return weight if columns is EVERYTHING else weight[:, columns]

    def _device(self, weight: Tensor) -> str:
        """Return the kind of device on which products with a weight are made."""
        return (weight if self.residency is None else self.residency).device.type

    def _low(self, fmt: NumberFormat, weight: Tensor) -> bool:
        """Return whether products with a weight are made in ``fmt`` itself."""
        return fmt != FP32 and is_native(fmt, self._device(weight))


def rounded_rows(x: Float[Tensor, "*rows width"], fmt: NumberFormat) -> Rows:
    """Return ``x`` rounded once for several uses; FP32 returns ``x`` itself."""
    return x if fmt == FP32 else store(x, fmt)


def _read(x: Rows, fmt: NumberFormat) -> Tensor:
    return x.read() if isinstance(x, Stored) else round_trip(x, fmt)


def _joined(parts: list[Stored]) -> Stored:
    codes = torch.cat([part.codes for part in parts])
    scales = [part.scale for part in parts if part.scale is not None]
    return Stored(codes, torch.cat(scales) if scales else None)


def _bytes(x: Tensor | None) -> int:
    return 0 if x is None else x.numel() * x.element_size()
