"""From a task's name or file to prompt pairs as token ids. No torch."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from pahq import catalog
from pahq.errors import UsageError
from pahq.tasks.base import EncodedPair, PromptPair, Task, encode, examples
from pahq.tasks.files import load_file
from pahq.tokenizer import Tokenizer

USUAL_COUNT = 50  # pairs of a named task, which has no end


def find_task(name: str) -> Task:
    """Return the built-in task called ``name``.

    Raises:
        UnknownName: naming the nearest tasks.
    """
    entry = catalog.find(catalog.TASKS, name, kind="task")
    return importlib.import_module(entry.module).TASK


def is_file(task: str) -> bool:
    """Return whether ``task`` names a file, of whatever ending, rather than a built-in task."""
    known = catalog.task_or_none(task) is not None
    return not known and (Path(task).suffix != "" or Path(task).name != task)


def read_task(
    task: str,
    *,
    count: int | None,
    seed: int,
    tokenizer: Tokenizer | None,
    vocabulary: int,
    context: int,
    patched: bool = True,
) -> tuple[EncodedPair, ...]:
    """Return the first ``count`` pairs of a task or a task file, checked row by row.

    Args:
        task: a task's name or a file.
        count: None for all rows of a file, or ``USUAL_COUNT`` pairs of a named task.
        seed: which pairs of a named task.
        tokenizer: None if the model has none.
        vocabulary: number of tokens the model knows.
        context: longest prompt the model takes, in tokens.
        patched: as for ``encode``.

    Raises:
        UsageError: if there is no such task, or its prompts do not fit the model.
    """
    pairs, source, prepend_bos = _authored(task, count, seed, tokenizer)
    return encode(
        pairs,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        context=context,
        source=source,
        prepend_bos=prepend_bos,
        patched=patched,
    )


def _authored(
    task: str, count: int | None, seed: int, tokenizer: Tokenizer | None
) -> tuple[Sequence[PromptPair], str, bool]:
    if is_file(task):
        file = load_file(Path(task))
        return file.pairs[:count], Path(task).name, file.prepend_bos
    source = find_task(task)
    if tokenizer is None:
        raise UsageError(
            f"The task '{task}' needs text, and the model has no tokenizer.",
            why="its directory holds no tokenizer.json",
            fix="add the tokenizer's files, or use a task file with token ids",
        )
    wanted = USUAL_COUNT if count is None else count
    pairs = [pair for _, pair in examples(source, wanted, seed=seed, tokenizer=tokenizer)]
    return pairs, task, False
