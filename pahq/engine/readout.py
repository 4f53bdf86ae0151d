"""From final residuals to the metric, for many cases at once, without all logits in memory.

KL needs the whole vocabulary, but of it only a log-sum-exp and one dot product:

    KL(p || q) = log sum exp(W^T x + b - s),    s = p . (W^T x + b) - sum p log p

``W p`` is computed once, and the sum goes over blocks of the vocabulary: it is 1 where q is p.
Differences of logits need only the answers' columns. Everything else computes full logits, some
alternatives at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.engine.amounts import amounts
from pahq.engine.likely import LikelyTokens
from pahq.metrics import Metric, Targets, kl, logit_diff, logit_diff_max
from pahq.models.pages import trim_heap
from pahq.models.weights import ModelWeights
from pahq.precision.formats import FP32, NumberFormat
from pahq.precision.matmul import CHANNELS, Products, rounded_rows
from pahq.precision.quantize import Stored, round_trip
from pahq.tasks.batches import NO_TOKEN

MOST = 1e30  # a sum of exponentials above it overflows: a KL of 69 nats
FEW = 8  # targets whose whole distributions are looked at together
FULL_LOGITS = 1 << 24  # logits held at once where a metric wants them all: 64 MB

Residuals = Float[Tensor, "item d_model"]
Items = Int[Tensor, " item"]  # the target of each item


class Readout:
    """The metric at one batch's targets, from final residuals.

    Attributes:
        block: columns of the vocabulary that are made at a time.
    """

    def __init__(self, model: ModelWeights, metric: Metric, targets: Targets, multiply: Products):
        self.model, self.metric, self.targets, self.multiply = model, metric, targets, multiply
        self.block = amounts(targets.log_probs.device).block
        self._expected: dict[str, Tensor] = {}
        bias = model.unembedding_bias
        self._bias = bias if bias is not None and bool(bias.any()) else None
        # Of the clean distribution KL needs only these: per target, float64.
        parts = [self._entropy(part.log_probs) for part in split(targets)]
        self._negative_entropy = torch.cat(parts)

    def _entropy(self, log_probs: Float[Tensor, "target vocab"]) -> Float[Tensor, " target"]:
        """Return sum p log p, less what the unembedding's bias adds to the expected logit."""
        probs = log_probs.exp()
        found = (probs * log_probs).sum(-1)
        return found if self._bias is None else found - probs @ self._bias.double()

    @property
    def held_bytes(self) -> int:
        """Bytes of what is kept of the clean distributions."""
        held = (self.targets.log_probs, *self._expected.values())
        return sum(x.numel() * x.element_size() for x in held)

    def settle(self, *formats: NumberFormat) -> None:
        """Let go of the clean distributions, which are large: for KL these formats need no more."""
        if self.metric is not kl:
            return
        for fmt in formats:
            self._expected_direction(fmt)
        log_probs = self.targets.log_probs
        self.targets = replace(self.targets, log_probs=log_probs.new_empty(len(log_probs), 0))

    def values(
        self,
        residuals: Residuals,
        items: Items,
        fmt: NumberFormat,
        *,
        stream: bool = True,
        likely: LikelyTokens | None = None,
    ) -> Float[Tensor, " item"]:
        """Return the metric at each item's target, float64, not weighted.

        Args:
            residuals: what ``logits`` reads, before the last LayerNorm.
            items: the target that each belongs to.
            fmt: the unembedding's format.
            stream: use the shortcuts above; without them, full logits and the plain metric.
            likely: of the vocabulary, for KL in FP32, read no more than these tokens.
        """
        if stream and self.metric is kl:
            return self._kl(residuals, items, fmt, likely)
        if stream and self.metric in (logit_diff, logit_diff_max):
            return self._few_columns(residuals, items, fmt).double()
        return self._full(residuals, items, fmt)

    def _kl(
        self, residuals: Residuals, items: Items, fmt: NumberFormat, likely: LikelyTokens | None
    ) -> Float[Tensor, " item"]:
        x = rounded_rows(components.normalise(residuals, self.model.norm), fmt)
        values = x.read() if isinstance(x, Stored) else x
        expected = (values.double() * self._expected_direction(fmt)[items]).sum(-1)
        exact = expected - self._negative_entropy[items]
        shift = exact.float()
        if likely is not None and fmt == FP32:
            total = likely.sum_exp(values, items, shift)
            return total.log() + shift.double() - exact
        total = self._sum_exp(x, fmt, shift)
        overflown = ~(total < MOST)
        if bool(overflown.any()):
            shift[overflown] = self._peaks(values[overflown], fmt)
            total = self._sum_exp(x, fmt, shift)
        return total.log() + shift.double() - exact

    def _sum_exp(
        self, x: Residuals | Stored, fmt: NumberFormat, shift: Float[Tensor, " item"]
    ) -> Float[Tensor, " item"]:
        return self.multiply.sum_exp(x, self.model.unembedding, fmt, self._bias, shift, self.block)

    def _peaks(self, x: Residuals, fmt: NumberFormat) -> Float[Tensor, " item"]:
        """Return the largest logit of each item."""
        step = max(1, FULL_LOGITS // self.model.unembedding.shape[1])
        parts = x.split(step)
        weight = self.model.unembedding
        return torch.cat([self.multiply(p, weight, fmt, self._bias).amax(-1) for p in parts])

    def _expected_direction(self, fmt: NumberFormat) -> Float[Tensor, "target d_model"]:
        """Return W p: the direction whose dot product with x is the expected logit."""
        if fmt.name not in self._expected:
            self._expected[fmt.name] = self.multiply.mean_channel(
                self.targets.log_probs.exp(), self.model.unembedding, fmt, self.block
            )
        return self._expected[fmt.name]

    def _few_columns(
        self, residuals: Residuals, items: Items, fmt: NumberFormat
    ) -> Float[Tensor, " item"]:
        batch = self.targets.batch
        named = torch.cat([batch.answers.flatten(), batch.wrong.flatten()])
        columns = named[named != NO_TOKEN].unique()
        x = round_trip(components.normalise(residuals, self.model.norm), fmt)
        logits = x @ self.multiply.rounded(self.model.unembedding, fmt, columns)
        if self._bias is not None:
            logits = logits + self._bias[columns]
        renamed = replace(
            batch,
            answers=_renamed(batch.answers, columns),
            wrong=_renamed(batch.wrong, columns),
        )
        return self.metric(logits, at(Targets(renamed, self.targets.log_probs[:, columns]), items))

    def _full(self, residuals: Residuals, items: Items, fmt: NumberFormat) -> Tensor:
        step = max(1, FULL_LOGITS // self.model.unembedding.shape[1])
        return torch.cat(
            [
                self.metric(
                    components.logits(part, self.model, fmt, self.multiply), at(self.targets, which)
                ).double()
                for part, which in zip(residuals.split(step), items.split(step), strict=True)
            ]
        )


def full_log_probs(
    final: Residuals,
    model: ModelWeights,
    multiply: Products,
    release: Callable[[list[Tensor]], None] | None = None,
) -> Float[Tensor, "item vocab"]:
    """Return log-probabilities in FP32, float64, given final residuals before LayerNorm.

    ``release`` is told which columns of the unembedding are not needed any more.
    """
    x, bias, parts = components.normalise(final, model.norm), model.unembedding_bias, []
    for part in model.unembedding.split(CHANNELS, dim=1):
        parts.append(multiply(x, part, FP32))
        if release is not None:
            release([part])
    logits = torch.cat(parts, dim=1).double()
    trim_heap()
    return (logits if bias is None else logits + bias).log_softmax(-1)


def at(targets: Targets, items: Items) -> Targets:
    """Return what the logits of some items are measured against."""
    batch = targets.batch
    names = ("row", "position", "weight", "answers", "wrong")
    chosen = replace(batch, **{name: getattr(batch, name)[items] for name in names})
    return Targets(chosen, targets.log_probs[items])


def split(targets: Targets) -> Iterator[Targets]:
    """Yield the same, a few targets at a time: what is made of a distribution is as large."""
    items = torch.arange(len(targets.log_probs), device=targets.log_probs.device)
    return (at(targets, few) for few in items.split(FEW))


def _renamed(
    ids: Int[Tensor, "target token"], columns: Int[Tensor, " column"]
) -> Int[Tensor, "target token"]:
    """Return the place of each id among ``columns``."""
    places = torch.searchsorted(columns, ids.clamp(min=0))
    return places.masked_fill(ids == NO_TOKEN, NO_TOKEN)
