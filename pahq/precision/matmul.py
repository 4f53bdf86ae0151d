"""Matrix products in a format. Accumulation is FP32; biases are added by the caller in FP32."""

from jaxtyping import Float
from torch import Tensor

from pahq.precision.formats import NumberFormat
from pahq.precision.product import product
from pahq.precision.quantize import round_trip, round_trip_weight


class Products:
    """Products with one model's weights, in any format (emulated: round, then multiply in FP32).

    Rounded weights are kept: a search multiplies with the same ones thousands of times.
    """

    def __init__(self) -> None:
        # The weight itself is kept beside its copy: its id may then not be used again.
        self._rounded: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def __call__(
        self,
        x: Float[Tensor, "*rows fan_in"],
        weight: Float[Tensor, "fan_in fan_out"],
        fmt: NumberFormat,
    ) -> Float[Tensor, "*rows fan_out"]:
        """Return ``x @ weight``, both rounded to ``fmt`` first.

        ``x`` has one scale for each row (token), ``weight`` one for each output channel.
        """
        return product(round_trip(x, fmt), self.rounded(weight, fmt))

    def rounded(
        self, weight: Float[Tensor, "fan_in fan_out"], fmt: NumberFormat
    ) -> Float[Tensor, "fan_in fan_out"]:
        """Return ``weight`` as it reads back from ``fmt``."""
        if fmt.name == "fp32":
            return weight
        key = (id(weight), fmt.name)
        if key not in self._rounded:
            self._rounded[key] = (weight, round_trip_weight(weight, fmt))
        return self._rounded[key][1]
