"""Documents that teach the five tasks, drawn endlessly from one random source.

A document is a list of pieces, each with the weight its prediction has in the loss: answers
count fully, words that can be guessed from the sentence a little, words drawn at random nothing.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pahq.tasks import docstring, greater_than, induction, pronoun
from pahq.tasks.words import (
    CENTURIES,
    DESCRIPTIONS,
    EVENTS,
    FUNCTIONS,
    MEN,
    VARIABLES,
    WOMEN,
    YEARS,
)
from pahq.tokenizer import Tokenizer
from scripts.training import scenes
from scripts.training.scenes import ANSWER, GUESSABLE, RANDOM, Piece
from scripts.training.vocabulary import BEGIN, vocabulary

Document = list[Piece]

OPENINGS = DESCRIPTIONS[:8]  # the words that may stand right after quotes, without a space


def all_words() -> list[str]:
    """Return tiny-gpt's vocabulary: every word of the tasks and of the documents below."""
    spaced = [
        *(MEN + WOMEN + EVENTS + VARIABLES + FUNCTIONS + DESCRIPTIONS + CENTURIES),
        *scenes.PLACES,
        *scenes.OBJECTS,
    ]
    texts = [
        *(f" {word}" for word in spaced),
        *YEARS,
        *OPENINGS,
        *scenes.texts(),
        greater_than.TEMPLATE,
        pronoun.TEMPLATE,
        docstring.TEMPLATE,
        *pronoun.PRONOUNS,
        *GENDERED,
        ".",
    ]
    return vocabulary(_without_placeholders(text) for text in texts)


def _without_placeholders(text: str) -> str:
    return re.sub(r" ?\{\w+\}", " name", text)  # " name" is a word anyway


GENDERED = (
    "So{name} is a really great friend, isn't{pronoun}.",
    "Then,{name} said that{pronoun} wanted to go.",
    "{name} is at the{place}, isn't{pronoun}.",
    "After the lunch{name} went to the{place} and then{pronoun} had a drink.",
)


@dataclass
class Writer:
    """Draws documents and turns them into rows of token ids and weights."""

    tokenizer: Tokenizer
    rng: random.Random
    context: int
    known: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def ids(self, document: Document) -> tuple[list[int], list[float]]:
        """Return token ids and the weight of predicting each."""
        ids: list[int] = []
        weights: list[float] = []
        for text, weight in document:
            piece = self.known.get(text)
            if piece is None:
                piece = self.known.setdefault(text, self.tokenizer.encode(text))
            ids += piece
            weights += [weight] * len(piece)
        return ids, weights

    def row(self, make: Callable[["Writer"], Document]) -> tuple[list[int], list[float]]:
        """Fill one row with documents of one kind, from a random point on."""
        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < self.context + 1:
            if ids or self.rng.random() < 0.3:
                ids.append(self.tokenizer.encode(BEGIN)[0])
                weights.append(GUESSABLE)
            more, counted = self.ids(make(self))
            ids += more
            weights += counted
        return ids[: self.context + 1], weights[: self.context + 1]


def scene(writer: Writer) -> Document:
    """Two or three people give each other things."""
    return scenes.scene(writer.rng)


def years(writer: Writer) -> Document:
    """Something lasts from one year to a later one of the same century."""
    rng = writer.rng
    century, start = rng.choice(CENTURIES), rng.randint(1, 98)
    end = YEARS[rng.randint(start + 1, 99)]
    return [
        ("The", GUESSABLE),
        (f" {rng.choice(EVENTS)}", RANDOM),
        (" lasted from the year", GUESSABLE),
        (f" {century}", RANDOM),
        (YEARS[start], RANDOM),
        (" to", GUESSABLE),
        (f" {century}", GUESSABLE),
        (end, ANSWER),
        (".", GUESSABLE),
    ]


def friends(writer: Writer) -> Document:
    """A pronoun that fits the name."""
    rng = writer.rng
    gender = rng.randrange(2)
    values = {
        "name": (f" {rng.choice((MEN, WOMEN)[gender])}", RANDOM),
        "pronoun": (pronoun.PRONOUNS[gender], ANSWER),
        "place": (f" {rng.choice(scenes.PLACES)}", RANDOM),
    }
    return scenes.fill(rng.choice(GENDERED), values, weight=GUESSABLE)


def documented(writer: Writer) -> Document:
    """A function with some arguments, of which those in the middle are described in order."""
    rng = writer.rng
    before, described, after = rng.randint(0, 3), rng.randint(2, 4), rng.randint(0, 2)
    names = [f" {name}" for name in rng.sample(VARIABLES, before + described + after)]
    said = names[before : before + described]
    answered = True
    if rng.random() < 0.1:  # as in the task's corrupt prompts: other names, nothing to learn
        said, answered = [f" {name}" for name in rng.sample(VARIABLES, described)], False
    document: Document = [("\ndef", GUESSABLE), (f" {rng.choice(FUNCTIONS)}", RANDOM)]
    document += [("(self", GUESSABLE)]
    for name in names:
        document += [(",", GUESSABLE), (name, RANDOM)]
    document += [('):\n    """', GUESSABLE), (rng.choice(OPENINGS), RANDOM)]
    document += [_description(rng, rng.randint(1, 3)), ("\n\n   ", GUESSABLE)]
    for place, name in enumerate(said):
        known = ANSWER if answered and place > 0 else RANDOM
        document += [(" :param", GUESSABLE), (name, known), (":", GUESSABLE)]
        document += [_description(rng, rng.randint(1, 3)), ("\n   ", GUESSABLE)]
    return document


def _description(rng: random.Random, count: int) -> Piece:
    return "".join(f" {word}" for word in rng.sample(DESCRIPTIONS, count)), RANDOM


def repeats(words: Sequence[int], rng: random.Random, length: int) -> tuple[list[int], list[float]]:
    """Random words whose order repeats in pieces of random length, at random distances.

    Each row has a secret circle of words. A walk follows the circle and jumps now and then, so
    only the word before says what comes next; looking a fixed distance back does not help.
    """
    jump = rng.choice((0.1, 0.2, 0.3, 0.4))
    circle = rng.sample(words, rng.randint(8, 24))
    following = dict(zip(circle, circle[1:] + circle[:1], strict=True))
    ids, weights = [rng.choice(circle)], [RANDOM]
    met: set[tuple[int, int]] = set()
    while len(ids) < length:
        here = ids[-1]
        there = rng.choice(circle) if rng.random() < jump else following[here]
        weights.append(ANSWER if (here, there) in met and following[here] == there else RANDOM)
        met.add((here, there))
        ids.append(there)
    return ids, weights


def repeated(
    words: Sequence[int], rng: random.Random, length: int
) -> tuple[list[int], list[float]]:
    """Random words, a gap of random length, the same words again (from a random one on)."""
    ids: list[int] = []
    weights: list[float] = []
    while len(ids) < length:
        first = rng.sample(words, rng.randint(6, 24))
        gap = rng.sample(words, rng.randint(0, 6))
        again = first[rng.randrange(len(first) - 3) :]
        ids += first + gap + again
        weights += [RANDOM] * (len(first) + len(gap) + 1) + [ANSWER] * (len(again) - 1)
    return ids[:length], weights[:length]


def couples(words: Sequence[int], rng: random.Random, length: int) -> tuple[list[int], list[float]]:
    """Couples of words in any order, again and again, with loose words in between.

    What stands two or more words back says nothing here, or the wrong thing: only a head that
    looks exactly one word back helps.
    """
    drawn = rng.sample(words, 2 * rng.randint(4, 12))
    second = dict(zip(drawn[::2], drawn[1::2], strict=True))
    loose = [word for word in words if word not in drawn]
    ids: list[int] = []
    weights: list[float] = []
    met: set[int] = set()
    while len(ids) < length:
        if rng.random() < 0.2:
            ids.append(rng.choice(loose))
            weights.append(RANDOM)
            continue
        first = rng.choice(list(second))
        ids += (first, second[first])
        weights += (RANDOM, ANSWER if first in met else RANDOM)
        met.add(first)
    return ids[:length], weights[:length]


def random_words(
    writer: Writer, *, pool: int | None = None, mix: Sequence[float] = (0.4, 0.3, 0.3)
) -> tuple[list[int], list[float]]:
    """Return a row of random words with repetitions.

    Args:
        mix: shares of ``repeats``, ``repeated`` and ``couples``.
        pool: draw from about this many words, spread over the vocabulary, instead of all.
    """
    kind = writer.rng.choices((repeats, repeated, couples), mix)[0]
    words = induction.words(writer.tokenizer)
    if pool is not None:
        words = words[:: len(words) // pool]
    return kind(words, writer.rng, writer.context + 1)
