"""Prompt pairs as a person reads them: tokens side by side, changed ones marked. No torch."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

from pahq.tasks.base import EncodedPair
from pahq.tasks.source import read_task
from pahq.tokenizer import Tokenizer


@dataclass(frozen=True)
class ShownPair:
    """One pair; the tuples of ``clean``, ``corrupt`` and ``differs`` have one entry per token."""

    clean: tuple[str, ...]
    corrupt: tuple[str, ...]
    differs: tuple[bool, ...]
    answers: tuple[str, ...]
    wrong: tuple[str, ...]
    positions: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON writes them."""
        return asdict(self)


def preview(
    task: str,
    tokenizer: Tokenizer,
    *,
    count: int = 3,
    seed: int = 0,
    context: int | None = None,
) -> list[ShownPair]:
    """Return the first pairs of a task or a task file.

    Args:
        task: a task's name or a file.
        tokenizer: the model's.
        count: number of pairs.
        seed: which pairs of a named task.
        context: longest prompt the model takes, in tokens; None if that is not known.

    Raises:
        UsageError: if there is no such task, the tokenizer cannot write it, or a prompt is too
            long.
    """
    encoded = read_task(
        task,
        count=count,
        seed=seed,
        tokenizer=tokenizer,
        vocabulary=tokenizer.size,
        context=context or sys.maxsize,
    )
    return [_shown(pair, tokenizer) for pair in encoded]


def _shown(pair: EncodedPair, tokenizer: Tokenizer) -> ShownPair:
    answers = [i for target in pair.targets for i in target.answers]
    wrong = [i for target in pair.targets for i in target.wrong]
    return ShownPair(
        clean=tokenizer.words(pair.clean),
        corrupt=tokenizer.words(pair.corrupt),
        differs=tuple(a != b for a, b in zip(pair.clean, pair.corrupt, strict=True)),
        answers=tokenizer.words(tuple(answers)),
        wrong=tokenizer.words(tuple(wrong)),
        positions=tuple(target.position for target in pair.targets),
    )
