"""Greater-than: a war that began in 1732 ends after 1732.

Tests whether the model completes "The war lasted from the year 1732 to 17" with a later year.

- clean: a century XX and a year YY from 02 to 98;
- corrupt: the same sentence with YY = 01, after which nearly every ending is possible;
- answers: all two-digit tokens greater than YY;
- wrong: all two-digit tokens up to and including YY.

The metric that fits is ``prob-diff``: the probability of the answers minus that of the rest.

Reference: Hanna et al. 2023, "How does GPT-2 compute greater-than?", arXiv:2305.00586.
"""

from dataclasses import dataclass
from functools import lru_cache

from pahq.tasks.base import PromptPair, example_rng, needs_words, single_tokens
from pahq.tasks.words import CENTURIES, EVENTS, YEARS
from pahq.tokenizer import Tokenizer

TEMPLATE = "The{event} lasted from the year {century}{year} to {century}"
CORRUPT_YEAR = "01"


@dataclass(frozen=True)
class GreaterThan:
    """The task; years are drawn from those the tokenizer splits as century and year."""

    name = "greater-than"

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``.

        Raises:
            UsageError: if the tokenizer lacks events, or does not split years in two.
        """
        words = _words(tokenizer)
        rng = example_rng(self.name, seed=seed, index=index)
        event = rng.choice(words.events)
        century = rng.choice(sorted(words.years))
        year = rng.choice(words.years[century])

        def prompt(two_digits: str) -> str:
            return TEMPLATE.format(event=event, century=century, year=two_digits)

        return PromptPair(
            clean=prompt(year),
            corrupt=prompt(CORRUPT_YEAR),
            answers=tuple(token for token in words.endings if token > year),
            wrong=tuple(token for token in words.endings if token <= year),
        )


@dataclass(frozen=True)
class _Words:
    events: list[str]
    endings: list[str]
    years: dict[str, list[str]]  # starting years by century


@lru_cache(maxsize=8)
def _words(tokenizer: Tokenizer) -> _Words:
    events = single_tokens([f" {event}" for event in EVENTS], tokenizer)
    endings = single_tokens(YEARS, tokenizer)
    if not events:
        raise needs_words("greater-than", what="events", found=0, needed=1)
    if len(endings) < len(YEARS):
        raise needs_words(
            "greater-than", what="two-digit numbers", found=len(endings), needed=len(YEARS)
        )
    years = {century: _starts(century, tokenizer) for century in CENTURIES}
    years = {century: starts for century, starts in years.items() if starts}
    if not years:
        raise needs_words("greater-than", what="years split as XX YY", found=0, needed=1)
    return _Words(events, endings, years)


def _starts(century: str, tokenizer: Tokenizer) -> list[str]:
    """Return the years from 02 to 98 that the tokenizer splits from ``century``.

    GPT-2 has some years as one token (" 1776"); those cannot be used.
    """

    def split(year: str) -> bool:
        parts = tokenizer.single(f" {century}"), tokenizer.single(year)
        return None not in parts and tokenizer.encode(f" {century}{year}") == parts

    return [year for year in YEARS[2:99] if split(year)] if split(CORRUPT_YEAR) else []


TASK = GreaterThan()
