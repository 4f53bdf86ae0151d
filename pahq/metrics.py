"""Damage: how bad a circuit is. Higher is worse; reduced in float64.

Each function takes the logits of a batch's targets and returns one number per target; the caller
sums them with the targets' weights, which is the mean over positions, then over rows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq import catalog
from pahq.errors import UsageError
from pahq.tasks.batches import NO_TOKEN, PromptBatch


@dataclass(frozen=True, eq=False)
class Targets:
    """What logits are measured against.

    Attributes:
        batch: the prompts, with answers and wrong answers of each target.
        log_probs: (target, vocab) float64: the full FP32 model's log-probabilities on clean.
    """

    batch: PromptBatch
    log_probs: Float[Tensor, "target vocab"]


Metric = Callable[[Float[Tensor, "*alt target vocab"], Targets], Float[Tensor, "*alt target"]]


def kl(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """KL(full model || circuit), in nats."""
    log_q = logits.double().log_softmax(dim=-1)
    return (targets.log_probs.exp() * (targets.log_probs - log_q)).sum(dim=-1)


def logit_diff(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """Minus (mean answer logit - mean wrong logit)."""
    right = _masked_mean(logits, targets.batch.answers)
    return _masked_mean(logits, targets.batch.wrong) - right


def logit_diff_max(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """Minus (mean answer logit - largest wrong logit): the docstring task's own metric."""
    wrong, present = _gather(logits, targets.batch.wrong)
    worst = wrong.masked_fill(~present, -torch.inf).amax(dim=-1)
    return worst - _masked_mean(logits, targets.batch.answers)


def prob_diff(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """Minus (sum of p(answers) - sum of p(wrong answers))."""
    probs = logits.double().softmax(dim=-1)
    right, wrong = (
        (_gather(probs, ids)[0] * _gather(probs, ids)[1]).sum(dim=-1)
        for ids in (targets.batch.answers, targets.batch.wrong)
    )
    return wrong - right


def nll(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """Minus the log of the answers' summed probability, in nats."""
    log_p, present = _gather(logits.double().log_softmax(dim=-1), targets.batch.answers)
    return -log_p.masked_fill(~present, -torch.inf).logsumexp(dim=-1)


def error_rate(
    logits: Float[Tensor, "*alt target vocab"], targets: Targets
) -> Float[Tensor, "*alt target"]:
    """1 where the most likely token is no answer, else 0."""
    best = logits.argmax(dim=-1, keepdim=True)
    return 1.0 - (best == targets.batch.answers).any(dim=-1).double()


METRICS: dict[str, Metric] = {
    "kl": kl,
    "logit-diff": logit_diff,
    "prob-diff": prob_diff,
    "nll": nll,
    "accuracy": error_rate,
}


def find_metric(name: str, *, task: str) -> Metric:
    """Return the metric called ``name``; the docstring task has its own logit difference.

    Raises:
        UnknownName: naming the nearest metrics.
    """
    catalog.find(catalog.METRICS, name, kind="metric")
    return logit_diff_max if (name, task) == ("logit-diff", "docstring") else METRICS[name]


def check_answers(name: str, batches: tuple[PromptBatch, ...], *, task: str) -> None:
    """Refuse a metric that needs answers which the task does not name.

    Raises:
        UsageError: naming the metric and what is missing.
    """
    entry = catalog.find(catalog.METRICS, name, kind="metric")
    for field, words in (("answers", "answers"), ("wrong", "wrong answers")):
        named = all(_has_token(getattr(batch, field)) for batch in batches)
        if words in entry.needs and not named:
            raise UsageError(
                f"The metric '{name}' cannot be used with the task '{task}'.",
                why=f"it needs {words}, and some prompt names none",
                fix="use --metric kl, which needs neither, or name them in the task file",
            )


def damage(metric: Metric, logits: Float[Tensor, "target vocab"], targets: Targets) -> float:
    """Return a batch's share of the damage."""
    return float((metric(logits, targets).double() * targets.batch.weight).sum())


def unpatched(metric: Metric, targets: Iterable[Targets]) -> float:
    """Return the damage of the full FP32 model itself: 0 where it is measured against it."""
    # Every metric takes log-probabilities for logits: a constant more or less changes nothing.
    return sum(damage(metric, t.log_probs, t) for t in targets)


def _has_token(ids: Int[Tensor, "target token"]) -> bool:
    return bool((ids != NO_TOKEN).any(dim=-1).all())


def _gather(
    values: Float[Tensor, "*alt target vocab"], ids: Int[Tensor, "target token"]
) -> tuple[Tensor, Tensor]:
    """Return the values at ``ids`` and which of them are real tokens."""
    present = ids != NO_TOKEN
    index = ids.clamp(min=0).expand(*values.shape[:-1], -1)
    return values.gather(-1, index), present


def _masked_mean(
    values: Float[Tensor, "*alt target vocab"], ids: Int[Tensor, "target token"]
) -> Tensor:
    found, present = _gather(values.double(), ids)
    return (found * present).sum(dim=-1) / present.sum(dim=-1)


def solved(targets: Targets) -> Float[Tensor, " target"]:
    """Return 1 where the full model does the task, else 0.

    With wrong answers named: the right ones are together more likely. Without: the most likely
    token is an answer. NaN where the task names no answers.
    """
    batch, log_probs = targets.batch, targets.log_probs
    right, named = _gather(log_probs.exp(), batch.answers)
    wrong, contrasted = _gather(log_probs.exp(), batch.wrong)
    prefers = (right * named).sum(-1) > (wrong * contrasted).sum(-1)
    hits = (log_probs.argmax(-1, keepdim=True) == batch.answers).any(-1)
    result = torch.where(contrasted.any(-1), prefers, hits).double()
    return result.masked_fill(~named.any(-1), torch.nan)


def task_score(targets: Iterable[Targets]) -> float:
    """Return the share of prompts that the full model gets right; NaN where answers are missing."""
    return sum(float((solved(t) * t.batch.weight).sum()) for t in targets)
