"""Prompt pairs, from text to token ids. No torch: the app shows examples without it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pahq.errors import BadTaskFile, NothingToExplain, UsageError
from pahq.tokenizer import Tokenizer

Text = str | tuple[int, ...]
HELD_OUT_SEED = 1_000_000  # seeds from here on are never used for a search


@dataclass(frozen=True)
class PromptPair:
    """A clean prompt and its counterfactual twin, as an author writes them.

    Attributes:
        clean: text, or token ids used exactly as given.
        corrupt: the twin: same length, and different where the answer can see it.
        answers: tokens that complete ``clean`` rightly; may be empty.
        wrong: tokens that complete it wrongly; may be empty.
        positions: where the answer is read, negative from the end; the last token by default.
            With several, the answer at p is token p + 1 of ``clean``.
    """

    clean: Text
    corrupt: Text
    answers: tuple[str | int, ...] = ()
    wrong: tuple[str | int, ...] = ()
    positions: tuple[int, ...] = (-1,)


@dataclass(frozen=True)
class Target:
    """One position (from 0) whose prediction counts, with right and wrong next tokens."""

    position: int
    answers: tuple[int, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class EncodedPair:
    """A pair as token ids; ``clean`` and ``corrupt`` have one length."""

    clean: tuple[int, ...]
    corrupt: tuple[int, ...]
    targets: tuple[Target, ...]


@runtime_checkable
class Task(Protocol):
    """A source of prompt pairs. Example i depends on the task, the seed and i alone."""

    name: str

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``.

        Raises:
            UsageError: if ``tokenizer`` does not have the task's words.
        """
        ...


def example_rng(task: str, *, seed: int, index: int) -> random.Random:
    """Return the random source of one example: a string seed is hashed the same everywhere."""
    return random.Random(f"{task}/{seed}/{index}")


def single_tokens(words: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Return those of ``words`` that the tokenizer has as one token, in the order given."""
    return [word for word in words if tokenizer.single(word) is not None]


def needs_words(task: str, *, what: str, found: int, needed: int) -> UsageError:
    """Return the error for a tokenizer that lacks a task's words."""
    return UsageError(
        f"The task '{task}' cannot be written in this model's vocabulary.",
        why=f"of {what} that are one token it needs at least {needed}; the tokenizer has {found}",
        fix="choose another model or another task; `pahq tasks` says which models fit",
    )


def examples(
    task: Task, count: int, *, seed: int, tokenizer: Tokenizer
) -> Iterator[tuple[int, PromptPair]]:
    """Yield ``count`` examples with their index; N = 20 is a prefix of N = 50."""
    for index in range(count):
        yield index, task.pair(index, seed=seed, tokenizer=tokenizer)


def encode(
    pairs: Sequence[PromptPair],
    *,
    tokenizer: Tokenizer | None,
    vocabulary: int,
    context: int,
    source: str = "task",
    prepend_bos: bool = False,
    patched: bool = True,
) -> tuple[EncodedPair, ...]:
    """Turn authored pairs into token ids and check every row.

    Args:
        pairs: rows in order; errors count them from 1 (row 1 is the first).
        tokenizer: None if the model has none; then every row must hold token ids.
        vocabulary: number of tokens the model knows; ids lie below it.
        context: longest prompt the model takes, in tokens.
        source: what the rows come from, for messages.
        prepend_bos: put the begin-of-text token before both texts.
        patched: a cut edge carries its value from the corrupt prompt, so the twins must differ
            where the answer can see it; under zero and mean ablation they need not.

    Raises:
        BadTaskFile: naming the row, for unequal or too great length, unknown or several-token
            answers, a position outside the prompt.
        NothingToExplain: naming the row, if its twins do not differ up to the last position read.
    """
    encoded = []
    for number, pair in enumerate(pairs, start=1):
        row = _Row(source, number, tokenizer, vocabulary, context, prepend_bos)
        found = _encode_row(row, pair)
        if patched:
            _check_differs(row, found)
        encoded.append(found)
    return tuple(encoded)


@dataclass(frozen=True)
class _Row:
    source: str
    number: int
    tokenizer: Tokenizer | None
    vocabulary: int
    context: int
    prepend_bos: bool

    def bad(self, what: str, *, why: str, fix: str) -> BadTaskFile:
        return BadTaskFile(f"{self.source}, row {self.number}: {what}", why=why, fix=fix)

    def show(self, ids: Sequence[int]) -> str:
        if self.tokenizer is None:
            return str(list(ids))
        return f"{list(self.tokenizer.words(tuple(ids)))} {list(ids)}"


def _encode_row(row: _Row, pair: PromptPair) -> EncodedPair:
    clean, corrupt = _ids(row, "clean", pair.clean), _ids(row, "corrupt", pair.corrupt)
    if len(clean) != len(corrupt):
        raise row.bad(
            f"the clean prompt has {_counted(len(clean))}, the corrupt one {len(corrupt)}.",
            why="values are patched position by position\n       "
            f"{_side_by_side(row, clean, corrupt)}",
            fix="choose a twin with the same number of tokens",
        )
    if not clean:
        raise row.bad("the prompts are empty.", why="there is nothing to run", fix="add text")
    if len(clean) > row.context:
        raise row.bad(
            f"the prompt has {_counted(len(clean))}.",
            why=f"the model reads at most {row.context}",
            fix="shorten the prompt or choose a model with a longer context",
        )
    return EncodedPair(clean, corrupt, _targets(row, pair, clean))


def _counted(count: int) -> str:
    return f"{count} token" if count == 1 else f"{count} tokens"


def _check_differs(row: _Row, pair: EncodedPair) -> None:
    last = max(target.position for target in pair.targets)
    if pair.clean[: last + 1] != pair.corrupt[: last + 1]:
        return
    whole = pair.clean == pair.corrupt
    upto = "" if whole else f" up to token {last}, the last one whose prediction counts"
    later = "" if whole else "no token sees what comes after it, so "
    raise NothingToExplain(
        f"{row.source}, row {row.number}: clean and corrupt prompt are identical{upto}.",
        why=f"{later}patching would change nothing and every edge would be cut\n       "
        f"{_side_by_side(row, pair.clean, pair.corrupt)}",
        fix="change the fact that the answer depends on, drop this row, or ablate with zero or "
        "mean instead",
    )


def _side_by_side(row: _Row, clean: Sequence[int], corrupt: Sequence[int]) -> str:
    return f"clean   {row.show(clean)}\n       corrupt {row.show(corrupt)}"


def _ids(row: _Row, field: str, text: Text) -> tuple[int, ...]:
    if isinstance(text, str):
        ids = _tokens(row, field, text)
    else:
        ids = tuple(text)
        _check_range(row, field, ids)
        return ids
    if row.tokenizer is not None and row.tokenizer.unknown in ids:
        first = ids.index(row.tokenizer.unknown)
        raise row.bad(
            f"{field} holds a word the model does not know, at token {first}: {text!r}.",
            why="its vocabulary is small and has no pieces to spell new words with",
            fix="use words of the model's vocabulary, or a model with a larger one",
        )
    _check_range(row, field, ids)
    return ids


def _tokens(row: _Row, field: str, text: str) -> tuple[int, ...]:
    if row.tokenizer is None:
        raise row.bad(
            f"{field} is text, but the model has no tokenizer.",
            why="its directory holds no tokenizer.json",
            fix="write the prompt as a list of token ids, or add the tokenizer's files",
        )
    ids = row.tokenizer.encode(text)
    if not row.prepend_bos:
        return ids
    if row.tokenizer.bos_id is None:
        raise row.bad(
            '"prepend_bos" is true, but the tokenizer has no begin-of-text token.',
            why="there is no token to put first",
            fix='set "prepend_bos" to false',
        )
    return (row.tokenizer.bos_id, *ids)


def _check_range(row: _Row, field: str, ids: Sequence[int]) -> None:
    for i in ids:
        if not 0 <= i < row.vocabulary:
            raise row.bad(
                f"{field} holds the token id {i}.",
                why=f"the model's ids run from 0 to {row.vocabulary - 1}",
                fix="use ids of this model's vocabulary",
            )


def _targets(row: _Row, pair: PromptPair, clean: tuple[int, ...]) -> tuple[Target, ...]:
    if not pair.positions:
        raise row.bad("the list of positions is empty.", why="no output is read", fix="give one")
    places = [_place(row, p, len(clean)) for p in pair.positions]
    if len(set(places)) != len(places):
        raise row.bad(
            f"a position is named twice: {list(pair.positions)}.",
            why="each output counts once",
            fix="remove the repetition",
        )
    if len(places) > 1:
        last = max(places)
        if last + 1 >= len(clean):
            raise row.bad(
                f"position {last} is the last token.",
                why="with several positions the answer at p is token p + 1 of clean",
                fix="leave out the last position",
            )
        return tuple(Target(p, (clean[p + 1],), ()) for p in places)
    # Named twice, a token would count twice in every sum of probabilities.
    answers = tuple(dict.fromkeys(_answer(row, "answers", a) for a in pair.answers))
    wrong = tuple(dict.fromkeys(_answer(row, "wrong_answers", a) for a in pair.wrong))
    both = set(answers) & set(wrong)
    if both:
        raise row.bad(
            f"{row.show(sorted(both))} is both an answer and a wrong answer.",
            why="a token cannot be right and wrong at once",
            fix="remove it from one of the two lists",
        )
    return (Target(places[0], answers, wrong),)


def _place(row: _Row, position: int, length: int) -> int:
    place = position + length if position < 0 else position
    if not 0 <= place < length:
        raise row.bad(
            f"position {position} lies outside the prompt.",
            why=f"the prompt has {_counted(length)}",
            fix=f"use a number from {-length} to {length - 1}",
        )
    return place


def _answer(row: _Row, field: str, token: str | int) -> int:
    if isinstance(token, int):
        _check_range(row, field, (token,))
        return token
    if row.tokenizer is None:
        raise row.bad(
            f"{field} holds the text {token!r}, but the model has no tokenizer.",
            why="its directory holds no tokenizer.json",
            fix="write answers as token ids",
        )
    single = row.tokenizer.single(token)
    if single is None:
        pieces = row.tokenizer.encode(token)
        raise row.bad(
            f"{field}: {token!r} is not one token.",
            why=f"the tokenizer reads it as {row.show(pieces)}",
            fix="choose a word of one token; a word inside a sentence starts with a space",
        )
    return single
