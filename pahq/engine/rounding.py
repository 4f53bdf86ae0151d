"""How far each component's values move when it alone computes in its format."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pahq.engine import components
from pahq.engine.standing import trace
from pahq.graph.build import Graph
from pahq.models.weights import HeadWeights, ModelWeights, Norm
from pahq.precision.formats import FP32, NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.policy import RECIPES, Plan
from pahq.tasks.batches import PromptBatch

Errors = dict[str, dict[str, float]]  # component -> what of it -> relative error


@torch.inference_mode()
def rounding_errors(
    model: ModelWeights, batches: Sequence[PromptBatch], formats: dict[str, str]
) -> Errors:
    """Return the relative error of what each component computes, in its format, from FP32's input.

    Of a head ``q k v pattern output``, of everything else ``output``. An error is the norm of the
    difference as a share of the norm of FP32's values, over all clean prompts.

    Args:
        model: the weights.
        batches: the prompts.
        formats: format of each component; those in FP32 are left out.
    """
    plan, full = Plan(formats), Plan(RECIPES["fp32"].background(Graph(model.shape)))
    multiply = Products()
    sums: dict[tuple[str, str], list[float]] = {}
    for batch in batches:
        streams = trace(model, batch.clean, full, multiply).streams
        for name in formats:
            if plan[name] == FP32:
                continue
            compute = _computation(model, name, batch.clean, streams, multiply)
            exact, low = compute(FP32), compute(plan[name])
            for what, values in exact.items():
                total = sums.setdefault((name, what), [0.0, 0.0])
                total[0] += float((low[what] - values).double().square().sum())
                total[1] += float(values.double().square().sum())
    found: Errors = {}
    for (name, what), (difference, size) in sums.items():
        found.setdefault(name, {})[what] = (difference / size) ** 0.5 if size else 0.0
    return found


def _computation(
    model: ModelWeights, name: str, tokens: Tensor, streams: dict[str, Tensor], multiply: Products
) -> Callable[[NumberFormat], dict[str, Tensor]]:
    """Return what computes a component's values in a format, given what it reads in FP32."""
    if name == "input":
        return lambda fmt: {"output": components.embed(model, tokens, fmt)}
    if name == "logits":
        return lambda fmt: {"output": components.logits(streams[name], model, fmt, multiply)}
    layer, _, head = name[1:].partition(".h")
    block = model.blocks[int(layer)]
    if name.startswith("m"):
        mlp = block.mlp
        assert mlp is not None
        return lambda fmt: {"output": components.mlp_output(streams[name], mlp, fmt, multiply)}
    stream, weights = streams[f"a{layer}"], block.heads[int(head)]
    return lambda fmt: _head(stream, block.norm, weights, fmt, multiply)


def _head(
    stream: Tensor, norm: Norm | None, head: HeadWeights, fmt: NumberFormat, multiply: Products
) -> dict[str, Tensor]:
    x = components.normalise(stream, norm)
    q, k, v = (components.PROJECTIONS[kind](x, head, fmt, multiply) for kind in "qkv")
    mixed = components.mixed_values(q, k, v, head.score_scale, fmt)
    return {
        "q": q,
        "k": k,
        "v": v,
        "pattern": components.attention_pattern(q, k, head.score_scale),
        "output": components.head_output(mixed, head, fmt, multiply),
    }
