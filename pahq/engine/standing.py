"""What stands while one receiver's edges are tested: everything that a test does not change.

A receiver reads ``carried stream + sum over kept senders of (current - carried value)``: with few
kept edges that is a short sum. What heads write is kept as wide as a head (before W_O), about six
times smaller.
"""

from collections.abc import Callable, Container
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
APART = 4  # layers between streams that are kept where the others can be made from them


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward without cuts.

    Attributes:
        streams: residual stream where each layer's attention (``a3``), each MLP (``m3``) and
            ``logits`` read it, as far as it was kept.
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
    levels: Container[str] | None = None,
    keep_written: bool = True,
) -> Trace:
    """Run the model under ``plan`` and keep what the fast engine needs.

    Args:
        model: the weights.
        tokens: token ids.
        plan: format of each component.
        multiply: matrix products.
        begin: a layer and what it reads, if what lies below is known already.
        after_layer: is told the number of each layer that is done.
        levels: the streams to keep, by who reads them; None keeps all.
        keep_written: whether what senders wrote is kept.
    """
    found = Trace()

    def keep(level: str, stream: Stream) -> None:
        if levels is None or level in levels:
            found.streams[level] = stream

    written: dict[str, Narrow] = found.written if keep_written else {}
    if begin is None:
        begin = 0, components.embed(model, tokens, plan["input"])
        written["input"] = begin[1]
    first, stream = begin
    for layer, block in enumerate(model.blocks[first:], first):
        keep(f"a{layer}", stream)
        written.update(_heads(layer, block, stream, plan, multiply))
        stream = _step(f"a{layer}", stream, written, model, plan, multiply)
        if block.mlp is not None:
            name = f"m{layer}"
            keep(name, stream)
            written[name] = components.mlp_output(stream, block.mlp, plan[name], multiply)
            stream = _step(name, stream, written, model, plan, multiply)
        if not keep_written:
            written.clear()
        after_layer(layer)
    keep("logits", stream)
    return found


def _heads(
    layer: int, block: Block, stream: Stream, plan: Plan, multiply: Products
) -> dict[str, Narrow]:
    """Return the rounded input of each head's W_O."""
    x, found = components.normalise(stream, block.norm), {}
    for h, head in enumerate(block.heads):
        name = f"a{layer}.h{h}"
        fmt = plan[name]
        q = components.query(x, head, fmt, multiply)
        k = components.key(x, head, fmt, multiply)
        v = components.value(x, head, fmt, multiply)
        found[name] = components.mixed_values(q, k, v, head.score_scale, fmt)
    return found


def _step(
    level: str,
    stream: Stream,
    written: dict[str, Narrow],
    model: ModelWeights,
    plan: Plan,
    multiply: Products,
) -> Stream:
    """Return the stream behind the components that read ``stream`` at ``level``."""
    if level[0] == "m":
        return stream + written[level]
    block = model.blocks[int(level[1:])]
    total = block.attention_bias.expand_as(stream)
    for h, head in enumerate(block.heads):
        name = f"{level}.h{h}"
        total = total + product(written[name], multiply.rounded(head.out, plan[name]))
    return stream + total


class Streams:
    """What senders write in one forward, and the residual streams made of it.

    Few streams are read during a search: those of levels at which a component is under test or
    read itself. So only some are kept from the beginning, and others made from these when they
    are wanted: the same sums in the same order, so the same bits.

    Attributes:
        written: what each sender writes; of a head, the rounded input of W_O instead.
    """

    def __init__(self, found: Trace, model: ModelWeights, plan: Plan, multiply: Products):
        self.written, self._kept = found.written, found.streams
        self._how = model, plan, multiply
        self._levels = levels_of(model)
        self._last: tuple[str, Stream] | None = None

    def at(self, level: str) -> Stream:
        """Return the stream at a level; it needs what all senders below it write."""
        if level in self._kept:
            return self._kept[level]
        known = dict([self._last]) if self._last is not None else {}
        known |= self._kept
        end = self._levels.index(level)
        start = next(i for i in range(end, -1, -1) if self._levels[i] in known)
        stream = known[self._levels[start]]
        for below in self._levels[start:end]:
            stream = _step(below, stream, self.written, *self._how)
        self._last = level, stream
        return stream

    def keep(self, level: str) -> None:
        """Keep the stream at a level: what lies below may be let go of."""
        self._kept[level] = self.at(level)
        self._last = None

    def leave(self, level: str) -> None:
        """Let go of the stream at a level."""
        self._kept.pop(level, None)
        if self._last is not None and self._last[0] == level:
            self._last = None

    def tensors(self) -> list[Tensor]:
        """Return all that is kept."""
        return [*self.written.values(), *self._kept.values()]


def levels_of(model: ModelWeights) -> list[str]:
    """Return the names of the levels at which streams are read, lowest first."""
    blocks = enumerate(model.blocks)
    found = [[f"a{i}"] if block.mlp is None else [f"a{i}", f"m{i}"] for i, block in blocks]
    return [level for each in found for level in each] + ["logits"]


def spaced(model: ModelWeights) -> frozenset[str]:
    """Return levels whose streams are enough to make all others from."""
    return frozenset({"logits", *(f"a{layer}" for layer in range(0, len(model.blocks), APART))})


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
