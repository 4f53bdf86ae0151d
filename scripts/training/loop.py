"""The training loop: seeded, resumable at any step, one thread.

The batch of step s depends on the seed and s alone, so a run that was interrupted and resumed
draws the same batches, and gives the same weights, as one that was not.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.training.model import Block, Decoder

Rows = list[tuple[list[int], list[float]]]
Batch = dict[str, Rows]
"""Rows (token ids, weight of predicting each) by kind of document."""


@dataclass(frozen=True)
class Schedule:
    """How long, how fast, and how much each kind of document counts.

    Attributes:
        steps: number of optimiser steps.
        rate: highest learning rate, reached after ``warm_up`` steps, then a cosine down to 2 %.
        share: factor of each kind's mean loss.
        weight_decay: of the blocks' matrices.
        muon_factor: how much faster than the embeddings the blocks' matrices move.
        save_every: steps between two checkpoints.
        sparsity: how hard heads are pushed to share nothing; see ``concentrate``.
        low_precision: compute matrix products in bfloat16; weights stay FP32.
    """

    steps: int
    rate: float
    warm_up: int
    share: dict[str, float]
    weight_decay: float = 0.01
    muon_factor: float = 10.0
    save_every: int = 250
    sparsity: float = 0.0
    low_precision: bool = True

    def rate_at(self, step: int) -> float:
        """Return the learning rate of ``step``."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.rate * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class Guide:
    """A reward for heads that look at certain tokens, during the first steps only.

    Attributes:
        layer, heads: the first ``heads`` heads of this layer are rewarded.
        looks_at: "previous": the token before; "induction": the token that followed last time.
        steps: how long.
        weight: factor of -log(attention on those tokens).
    """

    layer: int
    heads: int
    looks_at: Literal["previous", "induction"]
    steps: int
    weight: float

    def loss(self, model: Decoder, ids: Tensor) -> Tensor:
        """Return the weighted mean of -log attention, over the queries that have such a token."""
        x = model.tokens(ids) + model.positions.weight[: ids.shape[1]]
        for block in model.blocks[: self.layer]:
            x = block(x)
        block = model.blocks[self.layer]
        assert isinstance(block, Block)
        pattern, _ = block.pattern_and_values(x)
        wanted = looked_at(ids, self.looks_at)
        seen = (pattern[:, : self.heads] * wanted[:, None]).sum(dim=-1).clamp(min=1e-6)
        counts = wanted.any(dim=-1)[:, None].expand_as(seen)
        return -self.weight * seen[counts].log().mean()


def looked_at(ids: Tensor, kind: Literal["previous", "induction"]) -> Tensor:
    """Return which key each query should look at: (row, query, key), bool."""
    length = ids.shape[1]
    before = torch.ones(length, length, dtype=torch.bool).tril(-1)
    if kind == "previous":
        return before.triu(-1).expand(len(ids), -1, -1)
    previous = ids.roll(1, dims=1)
    previous[:, 0] = -1
    same = ids[:, :, None] == previous[:, None, :]  # key follows this query's token
    return same & before


def losses(model: Decoder, batch: Batch) -> dict[str, Tensor]:
    """Return the mean loss of each kind of document, in nats."""
    rows = [row for kind in batch.values() for row in kind]
    ids = torch.tensor([ids for ids, _ in rows])
    weights = torch.tensor([weights for _, weights in rows])[:, 1:]
    logits = model(ids[:, :-1])
    counted = weights > 0  # the others need no softmax over the vocabulary
    each = torch.zeros_like(weights)
    each[counted] = functional.cross_entropy(
        logits[counted].float(), ids[:, 1:][counted], reduction="none"
    )
    found, start = {}, 0
    for kind, kind_rows in batch.items():
        part = slice(start, start := start + len(kind_rows))
        total = weights[part].sum().clamp(min=1.0)
        found[kind] = (each[part] * weights[part]).sum() / total
    return found


def train(
    model: Decoder,
    draw: Callable[[random.Random, int], Batch],
    schedule: Schedule,
    *,
    seed: int,
    folder: Path,
    guides: Sequence[Guide] = (),
    say: Callable[[str], None] = print,
    stop_after: int | None = None,
) -> Decoder:
    """Train ``model`` in place, going on from the last checkpoint in ``folder`` if there is one.

    Args:
        draw: makes the batch of a step from a random source of its own.
        guides: heads that are shown where to look, during the first steps.
        stop_after: leave after this step with a checkpoint, as an interruption would.
    """
    optimisers = _optimisers(model, schedule)
    checkpoint = folder / "checkpoint.pt"
    step, seconds = _resume(checkpoint, model, optimisers)
    if step:
        say(f"going on from step {step:,} of {schedule.steps:,}")
    started = time.monotonic() - seconds
    mean: dict[str, float] = {}
    while step < schedule.steps:
        batch = draw(random.Random(f"{seed}/{step}"), step)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate_at(step) * group["factor"]
        with torch.autocast("cpu", torch.bfloat16, enabled=schedule.low_precision):
            found = losses(model, batch)
        total = torch.stack([schedule.share[kind] * loss for kind, loss in found.items()]).sum()
        for guide in guides:
            if step < guide.steps:
                rows = [row for kind in batch.values() for row in kind]
                total = total + guide.loss(model, torch.tensor([ids for ids, _ in rows])[:, :-1])
        model.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        if schedule.sparsity:
            rate = schedule.rate_at(step) * schedule.muon_factor
            concentrate(model, by=rate * schedule.sparsity)
        step += 1
        for kind, loss in found.items():
            mean[kind] = 0.95 * mean.get(kind, loss.item()) + 0.05 * loss.item()
        if step % 50 == 0:
            say(_line(step, schedule.steps, time.monotonic() - started, mean))
        if step % schedule.save_every == 0 or step in (schedule.steps, stop_after):
            _save(checkpoint, model, optimisers, step, time.monotonic() - started)
        if step == stop_after:
            break
    return model


@torch.no_grad()
def concentrate(model: Decoder, *, by: float) -> None:
    """Shorten every head's value and output matrices by the length ``by`` (a group lasso step).

    What eight heads do together costs more than what one does alone, so heads stop doing the same
    thing eight times over, and a circuit has fewer edges.
    """
    for block in model.blocks:
        assert isinstance(block, Block)
        width, heads = block.out.in_features, block.heads
        values = block.qkv.weight[2 * width :].view(heads, -1)
        outputs = block.out.weight.view(width, heads, -1)
        for lengths, matrices in (
            (values.norm(dim=1), values.view(heads, -1, width)),
            (outputs.norm(dim=(0, 2)), outputs.transpose(0, 1)),
        ):
            matrices *= (1 - by / lengths.clamp(min=1e-9)).clamp(min=0.0)[:, None, None]


def _optimisers(model: Decoder, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, norms and biases.

    Muon moves all directions of a matrix by the same amount. Induction, which needs a weak signal
    in two layers at once, comes about twice as early as with AdamW alone.

    Reference: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    matrices = [p for p in model.blocks.parameters() if p.dim() == 2]
    chosen = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in chosen]
    adam = {"params": others, "factor": 1.0}
    muon = {"params": matrices, "factor": schedule.muon_factor}
    return [
        torch.optim.AdamW([adam], betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        torch.optim.Muon([muon], weight_decay=schedule.weight_decay),
    ]


def _line(step: int, steps: int, seconds: float, mean: dict[str, float]) -> str:
    left = seconds / step * (steps - step)
    shown = "  ".join(f"{kind} {loss:.3f}" for kind, loss in mean.items())
    return f"step {step:5,} of {steps:,}  {seconds:5.0f} s, {left:4.0f} s left  loss: {shown}"


def _save(
    path: Path,
    model: Decoder,
    optimisers: list[torch.optim.Optimizer],
    step: int,
    seconds: float,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    state = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, scratch)
    scratch.replace(path)


def _resume(
    path: Path, model: Decoder, optimisers: list[torch.optim.Optimizer]
) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return saved["step"], saved["seconds"]


def seconds_spent(folder: Path) -> float:
    """Return how long the training that left its checkpoint in ``folder`` took, in seconds."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["seconds"]


def rows_of(kinds: Sequence[tuple[str, int, Callable[[], tuple[list[int], list[float]]]]]) -> Batch:
    """Draw ``count`` rows of each kind, in the order given."""
    return {kind: [make() for _ in range(count)] for kind, count, make in kinds if count}
