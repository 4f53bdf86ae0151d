"""What stands while one receiver's edges are tested: everything that a test does not change.

A receiver reads ``carried stream + sum over kept senders of (current - carried value)``: with few
kept edges that is a short sum. The differences of heads are kept as wide as a head (before W_O),
about six times smaller than what they write.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.models.weights import Block, ModelWeights
from pahq.precision.matmul import Products
from pahq.precision.policy import Plan
from pahq.precision.product import product

Stream = Float[Tensor, "batch pos d_model"]
Narrow = Float[Tensor, "batch pos width"]  # d_head for heads, d_model for MLPs and input


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward without cuts.

    Attributes:
        streams: residual stream where each layer's attention (``a3``), each MLP (``m3``) and
            ``logits`` read it.
        written: what each sender wrote; of a head, its rounded input of W_O instead.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    written: dict[str, Narrow] = field(default_factory=dict)


@torch.no_grad()
def trace(
    model: ModelWeights,
    tokens: Int[Tensor, "batch pos"],
    plan: Plan,
    multiply: Products,
    *,
    begin: tuple[int, Stream] | None = None,
    after_layer: Callable[[int], None] = lambda layer: None,
) -> Trace:
    """Run the model under ``plan`` and keep what the fast engine needs.

    Args:
        model: the weights.
        tokens: token ids.
        plan: format of each component.
        multiply: matrix products.
        begin: a layer and what it reads, if what lies below is known already.
        after_layer: is told the number of each layer that is done.
    """
    found = Trace()
    if begin is None:
        begin = 0, components.embed(model, tokens, plan["input"])
        found.written["input"] = begin[1]
    first, stream = begin
    for layer, block in enumerate(model.blocks[first:], first):
        found.streams[f"a{layer}"] = stream
        stream = stream + _heads(found, layer, block, stream, plan, multiply)
        if block.mlp is not None:
            name = f"m{layer}"
            found.streams[name] = stream
            out = components.mlp_output(stream, block.mlp, plan[name], multiply)
            found.written[name] = out
            stream = stream + out
        after_layer(layer)
    found.streams["logits"] = stream
    return found


def _heads(
    found: Trace, layer: int, block: Block, stream: Stream, plan: Plan, multiply: Products
) -> Stream:
    x = components.normalise(stream, block.norm)
    total = block.attention_bias.expand_as(stream)
    for h, head in enumerate(block.heads):
        name = f"a{layer}.h{h}"
        fmt = plan[name]
        q = components.query(x, head, fmt, multiply)
        k = components.key(x, head, fmt, multiply)
        v = components.value(x, head, fmt, multiply)
        mixed = components.mixed_values(q, k, v, head.score_scale, fmt)
        found.written[name] = mixed
        total = total + product(mixed, multiply.rounded(head.out, fmt))
    return total


def ablated(corrupt: Trace, ablation: str, model: ModelWeights) -> Trace:
    """Return what cut edges carry, in the form of a forward.

    Heads are linear in what is kept of them, so the mean of what a head writes is what its mean
    writes, and the stream of carried values is the mean (or only the biases) of the streams.
    """
    if ablation == "mean":
        return Trace(
            *(
                {name: x.mean(0, keepdim=True).expand_as(x) for name, x in values.items()}
                for values in (corrupt.streams, corrupt.written)
            )
        )
    if ablation == "zero":
        return Trace(
            {name: _biases(name, model).expand_as(x) for name, x in corrupt.streams.items()},
            {name: torch.zeros_like(x) for name, x in corrupt.written.items()},
        )
    return corrupt


def _biases(level: str, model: ModelWeights) -> Float[Tensor, " d_model"]:
    """Return the attention biases that lie before ``level``: no sender owns them."""
    layers = len(model.blocks) if level == "logits" else int(level[1:]) + (level[0] == "m")
    total = torch.zeros_like(model.blocks[0].attention_bias)
    for block in model.blocks[:layers]:
        total = total + block.attention_bias
    return total
