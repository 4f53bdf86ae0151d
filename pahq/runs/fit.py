"""Whether a search fits into the memory, before it begins, and how much it does at once."""

from collections.abc import Sequence

import torch

from pahq.engine.budget import batch_size, full_forward_bytes, search_bytes
from pahq.errors import UsageError
from pahq.models.weights import ModelWeights
from pahq.precision.policy import Policy
from pahq.runs.config import RunConfig
from pahq.runs.memory import free_bytes
from pahq.tasks.batches import PromptBatch

USUAL_SHARE = 0.7  # of what is free


def fitting_batch(
    config: RunConfig,
    model: ModelWeights,
    batches: Sequence[PromptBatch],
    policy: Policy,
    device: torch.device,
) -> int:
    """Return the number of alternatives to try at once.

    The config's own number stays: a repeat and a resume must do as the first run did.

    Args:
        config: the settings.
        model: the weights, where the search wants them.
        batches: the prompts.
        policy: the precision.
        device: where the search computes.

    Raises:
        UsageError: if the search does not fit into the memory that it may use, with both numbers.
    """
    free = free_bytes(device)
    limit = int(USUAL_SHARE * free if config.memory_limit is None else config.memory_limit * 1e9)
    if config.engine != "fast":
        needed, fitting = full_forward_bytes(model, batches), config.batch_size or 1
    else:
        fitting = config.batch_size or batch_size(model, batches, policy, limit) or 1
        needed = search_bytes(model, batches, policy, fitting)
    if needed <= limit:
        return fitting
    given = config.memory_limit is not None
    allowed = "--memory-limit allows" if given else f"{USUAL_SHARE:.0%} of what is free are"
    at_once = "one candidate at a time" if fitting == 1 else f"{fitting} candidates at once"
    raise UsageError(
        "The search does not fit into the memory.",
        why=f"with {at_once} it needs {needed / 1e6:,.1f} MB beside the loaded model; "
        f"{allowed} {limit / 1e6:,.1f} MB",
        fix="take fewer --examples, "
        + ("raise --memory-limit" if given else "close other programs, or set --memory-limit")
        + ("" if fitting == 1 else ", or set --batch-size 1"),
    )
