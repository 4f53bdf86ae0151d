"""Indirect object identification: who receives the drink?

Tests whether the model completes "Then, Mary and John went to the store. John gave a drink to"
with the name that was not repeated.

- clean: two names in either order (Mary first is ABBA, John first BABA), one of them repeated;
- corrupt: the same sentence with three unrelated names, so nothing is repeated;
- answer: the name that was said once (the indirect object);
- wrong: the name that was said twice (the subject).

By default every row uses the first template, ACDC's, in either order: all rows have one length.
``Ioi(templates=ALL_TEMPLATES)`` draws from all fifteen.

References: Wang et al. 2022, arXiv:2211.00593; the corruption is that of Conmy et al. 2023,
arXiv:2304.14997.
"""

from dataclasses import dataclass
from functools import lru_cache

from pahq.tasks.base import PromptPair, example_rng, needs_words, single_tokens
from pahq.tasks.words import MEN, OBJECTS, PLACES, WOMEN
from pahq.tokenizer import Tokenizer

TEMPLATES = (
    "Then,{first} and{second} went to the{place}.{subject} gave a{object} to",
    "Then,{first} and{second} had a lot of fun at the{place}.{subject} gave a{object} to",
    "Then,{first} and{second} were working at the{place}.{subject} decided to give a{object} to",
    "Then,{first} and{second} were thinking about going to the{place}."
    "{subject} wanted to give a{object} to",
    "Then,{first} and{second} had a long argument, and afterwards{subject} said to",
    "After{first} and{second} went to the{place},{subject} gave a{object} to",
    "When{first} and{second} got a{object} at the{place},{subject} decided to give it to",
    "When{first} and{second} got a{object} at the{place},{subject} decided to give the{object} to",
    "While{first} and{second} were working at the{place},{subject} gave a{object} to",
    "While{first} and{second} were commuting to the{place},{subject} gave a{object} to",
    "After the lunch,{first} and{second} went to the{place}.{subject} gave a{object} to",
    "Afterwards,{first} and{second} went to the{place}.{subject} gave a{object} to",
    "Then,{first} and{second} had a long argument. Afterwards{subject} said to",
    "The{place}{first} and{second} went to had a{object}.{subject} gave it to",
    "Friends{first} and{second} found a{object} at the{place}.{subject} gave it to",
)
"""Every placeholder is filled with a word that brings its own leading space."""

ALL_TEMPLATES = tuple(range(len(TEMPLATES)))
NAMES_NEEDED = 5  # two for the clean prompt, three others for the corrupt one


@dataclass(frozen=True)
class Ioi:
    """The task over a choice of templates (numbers into ``TEMPLATES``, drawn per row)."""

    templates: tuple[int, ...] = (0,)
    name = "ioi"

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``: clean repeats a name, corrupt holds three unrelated ones.

        Raises:
            UsageError: if the tokenizer lacks names, places, objects or the templates' words.
        """
        words = _words(tokenizer)
        rng = example_rng(self.name, seed=seed, index=index)
        template = TEMPLATES[rng.choice(_usable(self.templates, tokenizer))]
        first, second, *others = rng.sample(words.names, NAMES_NEEDED)
        subject = rng.choice((first, second))
        setting = {"place": rng.choice(words.places), "object": rng.choice(words.objects)}
        clean = template.format(first=first, second=second, subject=subject, **setting)
        a, b, c = others
        return PromptPair(
            clean=clean,
            corrupt=template.format(first=a, second=b, subject=c, **setting),
            answers=(second if subject == first else first,),
            wrong=(subject,),
        )


@dataclass(frozen=True)
class _Words:
    names: list[str]
    places: list[str]
    objects: list[str]


@lru_cache(maxsize=8)
def _words(tokenizer: Tokenizer) -> _Words:
    def spaced(words: tuple[str, ...]) -> list[str]:
        return single_tokens([f" {word}" for word in words], tokenizer)

    # Men and women take turns, so that a shortened list stays mixed.
    mixed = [name for two in zip(MEN, WOMEN, strict=True) for name in two]
    words = _Words(spaced(tuple(mixed)), spaced(PLACES), spaced(OBJECTS))
    for what, found, needed in (
        ("names", words.names, NAMES_NEEDED),
        ("places", words.places, 1),
        ("objects", words.objects, 1),
    ):
        if len(found) < needed:
            raise needs_words("ioi", what=what, found=len(found), needed=needed)
    return words


@lru_cache(maxsize=8)
def _usable(templates: tuple[int, ...], tokenizer: Tokenizer) -> tuple[int, ...]:
    words = _words(tokenizer)
    filling = {
        "first": words.names[0],
        "second": words.names[1],
        "subject": words.names[0],
        "place": words.places[0],
        "object": words.objects[0],
    }
    usable = tuple(
        i
        for i in templates
        if tokenizer.unknown not in tokenizer.encode(TEMPLATES[i].format(**filling))
    )
    if not usable:
        raise needs_words("ioi", what="templates with words", found=0, needed=1)
    return usable


TASK = Ioi()
