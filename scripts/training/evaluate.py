"""How well a model does its tasks on prompts it has never seen, and where its heads look.

Shared by the model cards and by the tests that check them. A model is anything that maps token
ids (row, pos) to logits (row, pos, vocabulary).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pahq.tasks import docstring, greater_than, induction, ioi, pronoun
from pahq.tasks.base import HELD_OUT_SEED, EncodedPair, Task, encode, examples
from pahq.tasks.batches import NO_TOKEN, PromptBatch, batches
from pahq.tokenizer import Tokenizer
from scripts.training import scenes

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """What a model reaches on one kind of held-out prompt.

    Attributes:
        what: which prompts.
        measure: "accuracy" or "probability difference".
        value: from 0 to 1 (a probability difference from -1).
        prompts: how many were asked.
    """

    what: str
    measure: str
    value: float
    prompts: int


def held_out(
    task: Task, count: int, *, tokenizer: Tokenizer, context: int, unseen_pairs: bool = False
) -> tuple[EncodedPair, ...]:
    """Return prompts of a seed that no training and no search uses.

    Args:
        unseen_pairs: keep those whose two names never met in a training document.
    """
    drawn = examples(task, 20 * count, seed=HELD_OUT_SEED, tokenizer=tokenizer)
    chosen = (pair for _, pair in drawn if not unseen_pairs or _unseen(pair.answers + pair.wrong))
    rows = [pair for pair, _ in zip(chosen, range(count), strict=False)]
    return encode(rows, tokenizer=tokenizer, vocabulary=tokenizer.size, context=context)


def _unseen(names: Sequence[str | int]) -> bool:
    return frozenset(str(name).strip() for name in names) in scenes.HELD_OUT_PAIRS


def accuracy(model: Forward, pairs: Sequence[EncodedPair]) -> float:
    """Return the share of prompts whose most likely next token is an answer."""
    right = 0
    for batch in batches(pairs):
        best = _at_targets(model, batch).argmax(dim=-1, keepdim=True)
        right += int((best == batch.answers).any(dim=-1).sum())
    return right / len(pairs)


def probability_difference(model: Forward, pairs: Sequence[EncodedPair]) -> float:
    """Return the mean of p(answers) - p(wrong answers)."""
    total = 0.0
    for batch in batches(pairs):
        p = _at_targets(model, batch).softmax(dim=-1)
        total += (_sum(p, batch.answers) - _sum(p, batch.wrong)).sum().item()
    return total / len(pairs)


@torch.no_grad()
def _at_targets(model: Forward, batch: PromptBatch) -> Tensor:
    return model(batch.clean)[batch.row, batch.position]


def _sum(p: Tensor, tokens: Tensor) -> Tensor:
    named = tokens != NO_TOKEN
    return (p.gather(1, tokens.clamp(min=0)) * named).sum(dim=1)


@torch.no_grad()
def second_half(
    model: Forward, *, tokenizer: Tokenizer, context: int, rows: int = 100, longest: int = 20
) -> Score:
    """Return the accuracy over the second half of random words that repeat after a random gap.

    Neither the distance between the halves nor their place is fixed, and no word stands twice in
    one half; every word of the second half but its first counts.
    """
    rng = random.Random(f"second half/{HELD_OUT_SEED}")
    words = induction.words(tokenizer)
    room = min(longest, len(words) // 2, (context - 6) // 2)
    right = asked = 0
    for _ in range(rows):
        length = rng.randint(room // 2, room)
        drawn = rng.sample(words, length + rng.randint(0, 6))
        first, gap = drawn[:length], drawn[length:]
        best = model(torch.tensor([first + gap + first]))[0].argmax(dim=-1)
        start = length + len(gap)
        right += int((best[start:-1] == torch.tensor(first[1:])).sum())
        asked += length - 1
    return Score("induction, second half of non-periodic repeats", "accuracy", right / asked, rows)


def scores(
    model: Forward, tasks: Sequence[str], *, tokenizer: Tokenizer, context: int, count: int = 300
) -> list[Score]:
    """Return what ``model`` reaches on each of ``tasks``, in order."""
    found: list[Score] = []

    def add(what: str, task: Task, *, unseen_pairs: bool = False) -> None:
        pairs = held_out(
            task, count, tokenizer=tokenizer, context=context, unseen_pairs=unseen_pairs
        )
        found.append(Score(what, "accuracy", accuracy(model, pairs), len(pairs)))

    for name in tasks:
        if name == "ioi":
            unseen = ioi.Ioi(templates=scenes.HELD_OUT_TEMPLATES)
            add("ioi", ioi.TASK)
            add("ioi, all templates", ioi.Ioi(templates=ioi.ALL_TEMPLATES))
            add("ioi, unseen pairs of names", ioi.TASK, unseen_pairs=True)
            add("ioi, unseen templates", unseen)
            add("ioi, unseen templates and pairs of names", unseen, unseen_pairs=True)
        elif name == "greater-than":
            pairs = held_out(greater_than.TASK, count, tokenizer=tokenizer, context=context)
            value = probability_difference(model, pairs)
            found.append(Score(name, "probability difference", value, len(pairs)))
        elif name == "induction":
            add(name, induction.TASK)
            found.append(second_half(model, tokenizer=tokenizer, context=context))
        else:
            add(name, {"docstring": docstring.TASK, "pronoun": pronoun.TASK}[name])
    return found


@dataclass(frozen=True)
class HeadProfile:
    """Where a head looks on random words, averaged over all positions that can look that far.

    Attributes:
        name: as in the graph, "a0.h3".
        lags: attention on the token 0, 1, 2 ... back.
        induction: attention on the token that followed the same word last time, on repeats.
    """

    name: str
    lags: tuple[float, ...]
    induction: float


def head_profiles(
    patterns: Callable[[Tensor], Tensor], *, tokenizer: Tokenizer, context: int, lags: int = 5
) -> list[HeadProfile]:
    """Return the profile of every head.

    Args:
        patterns: maps ids (row, pos) to attention (layer, row, head, query, key).
    """
    rng = random.Random(f"profiles/{HELD_OUT_SEED}")
    words = induction.words(tokenizer)
    length = min(len(words) // 2, context // 2 - 2)
    once, twice = [], []
    for _ in range(64):
        drawn = rng.sample(words, length)
        once.append(drawn)
        twice.append(drawn + drawn)
    random_words, repeats = patterns(torch.tensor(once)), patterns(torch.tensor(twice))
    query = torch.arange(length, 2 * length - 1)
    stripe = repeats[..., query, query - length + 1].mean(dim=(1, 3))
    found = []
    for layer in range(len(random_words)):
        for head in range(random_words.shape[2]):
            attention = random_words[layer, :, head].mean(dim=0)
            profile = tuple(attention.diagonal(-lag).mean().item() for lag in range(lags))
            name = f"a{layer}.h{head}"
            found.append(HeadProfile(name, profile, stripe[layer, head].item()))
    return found
