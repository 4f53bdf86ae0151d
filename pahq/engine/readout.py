"""From final residuals to damage, for many alternatives at once, without all logits in memory.

KL needs the whole vocabulary, but of it only a log-sum-exp and one dot product:

    KL(p || q) = sum p log p - p . (W^T x + b) + logsumexp(W^T x + b)

``W p`` is computed once, and the log-sum-exp goes over blocks of the vocabulary. Differences of
logits need only the answers' columns. Everything else computes full logits, some alternatives at
a time.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.engine import components
from pahq.metrics import Metric, Targets, kl, logit_diff, logit_diff_max
from pahq.models.weights import ModelWeights
from pahq.precision.formats import NumberFormat
from pahq.precision.matmul import Products
from pahq.precision.quantize import round_trip
from pahq.tasks.batches import NO_TOKEN

BLOCK = 8192  # vocabulary columns at a time: large enough for full speed, a few MB a hundred rows
FULL_LOGITS = 1 << 24  # logits held at once where a metric wants them all: 64 MB

Residuals = Float[Tensor, "alt target d_model"]


class Readout:
    """Damage of one batch's targets from their final residuals."""

    def __init__(self, model: ModelWeights, metric: Metric, targets: Targets, multiply: Products):
        self.model, self.metric, self.targets, self.multiply = model, metric, targets, multiply
        self._expected: dict[str, Tensor] = {}
        probs = targets.log_probs.exp()
        self._negative_entropy = (probs * targets.log_probs).sum(-1)  # (target,) float64

    def damage(self, residuals: Residuals, fmt: NumberFormat, *, stream: bool = True) -> Tensor:
        """Return each alternative's share of the damage, (alt,) float64.

        Args:
            residuals: what ``logits`` reads, before the last LayerNorm.
            fmt: the unembedding's format.
            stream: use the shortcuts above; without them, full logits and the plain metric.
        """
        if stream and self.metric is kl:
            found = self._kl(residuals, fmt)
        elif stream and self.metric in (logit_diff, logit_diff_max):
            found = self._few_columns(residuals, fmt)
        else:
            found = self._full(residuals, fmt)
        return (found.double() * self.targets.batch.weight).sum(-1)

    def _kl(self, residuals: Residuals, fmt: NumberFormat) -> Float[Tensor, "alt target"]:
        x = round_trip(components.normalise(residuals, self.model.norm), fmt)
        expected = (x.double() * self._expected_direction(fmt)).sum(-1)
        if self.model.unembedding_bias is not None:
            bias = self.model.unembedding_bias.double()
            expected = expected + self.targets.log_probs.exp() @ bias
        return self._negative_entropy - expected + self._log_sum_exp(x, fmt)

    def _expected_direction(self, fmt: NumberFormat) -> Float[Tensor, "target d_model"]:
        """Return W p: the direction whose dot product with x is the expected logit."""
        if fmt.name not in self._expected:
            weight = self.multiply.rounded(self.model.unembedding, fmt)
            probs, total = self.targets.log_probs.exp(), 0
            for start in range(0, weight.shape[1], BLOCK):
                block = slice(start, start + BLOCK)
                total = total + probs[:, block] @ weight[:, block].T.double()
            self._expected[fmt.name] = torch.as_tensor(total)
        return self._expected[fmt.name]

    def _log_sum_exp(self, x: Residuals, fmt: NumberFormat) -> Float[Tensor, "alt target"]:
        weight, bias = self.multiply.rounded(self.model.unembedding, fmt), None
        if self.model.unembedding_bias is not None and bool(self.model.unembedding_bias.any()):
            bias = self.model.unembedding_bias
        rows = x.flatten(0, 1)
        parts = []
        for start in range(0, weight.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            logits = rows @ weight[:, block]
            if bias is not None:
                logits += bias[block]
            peak = logits.amax(-1, keepdim=True)
            parts.append(logits.sub_(peak).exp_().sum(-1).double().log() + peak[:, 0].double())
        return torch.stack(parts).logsumexp(0).unflatten(0, x.shape[:2])

    def _few_columns(self, residuals: Residuals, fmt: NumberFormat) -> Float[Tensor, "alt target"]:
        batch = self.targets.batch
        named = torch.cat([batch.answers.flatten(), batch.wrong.flatten()])
        columns = named[named != NO_TOKEN].unique()
        x = round_trip(components.normalise(residuals, self.model.norm), fmt)
        logits = x @ self.multiply.rounded(self.model.unembedding, fmt)[:, columns]
        if self.model.unembedding_bias is not None:
            logits = logits + self.model.unembedding_bias[columns]
        renamed = replace(
            batch,
            answers=_renamed(batch.answers, columns),
            wrong=_renamed(batch.wrong, columns),
        )
        return self.metric(logits, Targets(renamed, self.targets.log_probs[:, columns]))

    def _full(self, residuals: Residuals, fmt: NumberFormat) -> Float[Tensor, "alt target"]:
        each = residuals.shape[1] * self.model.unembedding.shape[1]
        return torch.cat(
            [
                self.metric(
                    components.logits(part, self.model, fmt, self.multiply), self.targets
                ).double()
                for part in residuals.split(max(1, FULL_LOGITS // each))
            ]
        )


def _renamed(
    ids: Int[Tensor, "target token"], columns: Int[Tensor, " column"]
) -> Int[Tensor, "target token"]:
    """Return the place of each id among ``columns``."""
    places = torch.searchsorted(columns, ids.clamp(min=0))
    return places.masked_fill(ids == NO_TOKEN, NO_TOKEN)
