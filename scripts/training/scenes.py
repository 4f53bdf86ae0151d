"""Scenes for the indirect-object task: who gives what to whom.

Made so that shortcuts fail: there may be a second pair of people, a third name near the giver, a
sentence in between; givers and receivers change over several turns; names of the corrupt prompts'
kind (three different ones) occur as well.
"""

import random
from itertools import combinations

from pahq.tasks.ioi import TEMPLATES
from pahq.tasks.words import MEN, OBJECTS, PLACES, WOMEN

Piece = tuple[str, float]
"""A text, and how much its prediction counts in the loss."""

ANSWER, GUESSABLE, RANDOM = 1.0, 0.05, 0.0
SECOND_MEETING = 0.35  # share of scenes in which two other people met before, or meet first
STRANGE = 0.3  # the receiver where nothing decides between two people

HELD_OUT_TEMPLATES = (3, 7, 9, 11, 14)  # never seen in training; places in ioi.TEMPLATES
NAMES = MEN + WOMEN

EXTRA_TEMPLATES = (
    "Friends{first} and{second} were thinking about commuting to the{place}."
    "{subject} gave a{object} to",
    "Afterwards{first} and{second} got a{object} at the{place}.{subject} gave the{object} to",
    "At the{place},{first} and{second} found a{object}. Then{subject} wanted to give it to",
    "{first} and{second} had lunch at the{place}. Afterwards,{subject} gave a{object} to",
)
TURNS = (
    " Then{subject} gave a{object} to",
    " Afterwards,{subject} gave the{object} to",
    " After a lot of work,{subject} decided to give a{object} to",
    "{subject} said to",
    " At the{place},{subject} wanted to give it to",
)
ASIDES = (", who had met{other},", ", unlike{other},", ", a friend of{other},")
BEFORE = (" Unlike{other},", " Near{other},", " After{other} went home,")
MEETINGS = (
    "{first} and{second} went to the{place}.",
    "Then,{first} and{second} had lunch at the{place}.",
    "Friends{first} and{second} were working at the{place}.",
)
GAPS = (
    " It was a really long lunch.",
    " The{place} had a lot of fun.",
    " They had a{object} and a{object}.",
)


def texts() -> list[str]:
    """Return every text that a scene may hold, for the vocabulary."""
    return [*TEMPLATES, *EXTRA_TEMPLATES, *TURNS, *ASIDES, *BEFORE, *MEETINGS, *GAPS]


def fill(template: str, values: dict[str, Piece], *, weight: float) -> list[Piece]:
    """Return the template's pieces; each placeholder brings its own text and weight."""
    first, *rest = template.split("{")
    pieces = [(first, weight)] if first else []
    for part in rest:
        key, text = part.split("}", 1)
        pieces.append(values[key])
        if text:
            pieces.append((text, weight))
    return pieces


def _held_out_pairs() -> frozenset[frozenset[str]]:
    """Return a tenth of all pairs of names, drawn once and for all."""
    pairs = list(combinations(NAMES, 2))
    return frozenset(map(frozenset, random.Random("held out").sample(pairs, len(pairs) // 10)))


HELD_OUT_PAIRS = _held_out_pairs()
"""Pairs of names that never meet in a training document."""

_TRAINED = tuple(t for i, t in enumerate(TEMPLATES) if i not in HELD_OUT_TEMPLATES)


def draw_names(rng: random.Random, count: int) -> list[str]:
    """Draw different names of which no two are a held-out pair."""
    while True:
        names = rng.sample(NAMES, count)
        if not any(frozenset(pair) in HELD_OUT_PAIRS for pair in combinations(names, 2)):
            return [f" {name}" for name in names]


def scene(rng: random.Random) -> list[Piece]:
    """Draw a scene of several turns, each with a receiver to predict."""
    a, b, *others = draw_names(rng, 5)
    pieces: list[Piece] = []
    pairs = [(a, b)]
    if rng.random() < SECOND_MEETING:
        pairs.append((others[0], others[1]))
        rng.shuffle(pairs)
        pieces += fill(rng.choice(MEETINGS), _meeting(rng, *pairs[0]), weight=GUESSABLE)
        pieces.append(("\n", GUESSABLE))
    opening = pairs[-1]
    strangers = rng.random() < 0.1  # the corrupt prompts' kind: the giver is a third person
    subject, receiver = _turn(rng, opening)
    if strangers:
        subject, receiver = others[2], rng.choice(opening)
    values = _values(rng, subject, others[2])
    values |= {"first": (opening[0], RANDOM), "second": (opening[1], RANDOM)}
    template = rng.choice(_TRAINED) if rng.random() < 0.7 else rng.choice(EXTRA_TEMPLATES)
    pieces += _with_aside(rng, template, values, plain=strangers or rng.random() < 0.5)
    pieces += [(receiver, STRANGE if strangers else ANSWER), (".", GUESSABLE)]
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.2:
            pieces += fill(rng.choice(GAPS), values, weight=GUESSABLE)
        subject, receiver = _turn(rng, rng.choice(pairs))
        values |= _values(rng, subject, others[2])
        pieces += _with_aside(rng, rng.choice(TURNS), values, plain=rng.random() < 0.5)
        pieces += [(receiver, ANSWER), (".", GUESSABLE)]
    return pieces


def _turn(rng: random.Random, pair: tuple[str, str]) -> tuple[str, str]:
    return pair if rng.random() < 0.5 else (pair[1], pair[0])


def _meeting(rng: random.Random, first: str, second: str) -> dict[str, Piece]:
    return {
        "first": (first, RANDOM),
        "second": (second, RANDOM),
        "place": (f" {rng.choice(PLACES)}", RANDOM),
    }


def _values(rng: random.Random, subject: str, other: str) -> dict[str, Piece]:
    return {
        "subject": (subject, RANDOM),
        "other": (other, RANDOM),
        "place": (f" {rng.choice(PLACES)}", RANDOM),
        "object": (f" {rng.choice(OBJECTS)}", RANDOM),
    }


def _with_aside(
    rng: random.Random, template: str, values: dict[str, Piece], *, plain: bool
) -> list[Piece]:
    """Fill ``template``; unless ``plain``, a third name stands right before or after the giver."""
    if not plain:
        starts = template.startswith("{subject}") or ".{subject}" in template
        if starts and rng.random() < 0.5:
            template = template.replace("{subject}", rng.choice(BEFORE) + "{subject}", 1)
        else:
            template = template.replace("{subject}", "{subject}" + rng.choice(ASIDES), 1)
    return fill(template, values, weight=GUESSABLE)
