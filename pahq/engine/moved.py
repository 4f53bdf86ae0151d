"""How an MLP's output moves when its input does, in low precision.

``W (x + d) = W x + W d``: what stands is computed once in FP32, and only products with what moved
are made in the low format. Rounding errs by a share of what is rounded, so a small change comes out
with a small error: about a hundredth of the change in INT8, whatever the values are.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.models.weights import MlpWeights
from pahq.precision.formats import INT8, NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.native import is_native, native_totals
from pahq.precision.product import product
from pahq.precision.quantize import Stored, kernels

Beside = Int[Tensor, " row"]  # the standing row of each row: its prompt and place


@dataclass(frozen=True, eq=False)
class StandingMlp:
    """What an MLP computes while nothing moves, in FP32; a row for each prompt and place.

    Attributes:
        normalised: (standing, d_model) what it reads, after LayerNorm.
        hidden: (standing, d_mlp) before the activation function.
        active: (standing, d_mlp) behind it.
        output: (standing, d_model) what it writes.
    """

    normalised: Float[Tensor, "standing d_model"]
    hidden: Float[Tensor, "standing d_mlp"]
    active: Float[Tensor, "standing d_mlp"]
    output: Float[Tensor, "standing d_model"]


def standing_mlp(reads: Float[Tensor, "standing d_model"], mlp: MlpWeights) -> StandingMlp:
    """Return what an MLP computes of what it reads."""
    normalised = components.normalise(reads, mlp.norm)
    hidden = product(normalised, mlp.into, mlp.into_bias)
    active = components.activate(hidden, mlp.activation)
    return StandingMlp(normalised, hidden, active, product(active, mlp.out, mlp.out_bias))


def moved_output(
    reads: Float[Tensor, "row d_model"],
    beside: Beside,
    standing: StandingMlp,
    mlp: MlpWeights,
    fmt: NumberFormat,
    multiply: Products,
) -> Float[Tensor, "row d_model"]:
    """Return what an MLP writes when it reads ``reads``, changes multiplied in ``fmt``."""
    x = components.normalise(reads, mlp.norm)
    if fmt == INT8 and x.device.type == "cpu" and is_native(INT8, "cpu"):
        found = _integers(x, beside, standing, mlp, multiply)
        if found is not None:
            return found
    change = multiply(x - standing.normalised[beside], mlp.into, fmt)
    active = components.activate(standing.hidden[beside] + change, mlp.activation)
    return standing.output[beside] + multiply(active - standing.active[beside], mlp.out, fmt)


def _integers(
    x: Float[Tensor, "row d_model"],
    beside: Beside,
    standing: StandingMlp,
    mlp: MlpWeights,
    multiply: Products,
) -> Float[Tensor, "row d_model"] | None:
    """Return the same, each product and what surrounds it in one pass; None where that fails."""
    fast = kernels()
    if fast is None or mlp.activation not in fast.ACTIVATIONS:
        return None
    moved = Stored(*_rows(fast.store_moved(x, standing.normalised, beside)))
    totals = native_totals(moved, multiply.stored(mlp.into, INT8), INT8)
    codes = fast.store_moved_active(
        *totals, standing.hidden, standing.active, beside, mlp.activation
    )
    totals = native_totals(Stored(*_rows(codes)), multiply.stored(mlp.out, INT8), INT8)
    return fast.read_moved(*totals, standing.output, beside)


def _rows(stored: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    codes, scale = stored
    return codes, scale[:, None]
