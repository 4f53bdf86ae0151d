"""Gendered pronoun: isn't he, or isn't she?

Tests whether the model completes "So Mary is a really great friend, isn't" with the pronoun that
fits the name.

- clean: a name that readers take for a woman's or a man's;
- corrupt: a name of the other gender;
- answer: " she" or " he";
- wrong: the other pronoun.

Reference: Mathwin et al. 2023, "Identifying a Preliminary Circuit for Predicting Gendered
Pronouns in GPT-2 Small".
"""

from dataclasses import dataclass
from functools import lru_cache

from pahq.tasks.base import PromptPair, example_rng, needs_words, single_tokens
from pahq.tasks.words import MEN, WOMEN
from pahq.tokenizer import Tokenizer

TEMPLATE = "So{name} is a really great friend, isn't"
PRONOUNS = (" he", " she")


@dataclass(frozen=True)
class Pronoun:
    """The task; rows of both genders, drawn evenly."""

    name = "pronoun"

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``.

        Raises:
            UsageError: if the tokenizer lacks names of either gender, or the pronouns.
        """
        names = _names(tokenizer)
        rng = example_rng(self.name, seed=seed, index=index)
        gender = rng.randrange(2)
        return PromptPair(
            clean=TEMPLATE.format(name=rng.choice(names[gender])),
            corrupt=TEMPLATE.format(name=rng.choice(names[1 - gender])),
            answers=(PRONOUNS[gender],),
            wrong=(PRONOUNS[1 - gender],),
        )


@lru_cache(maxsize=8)
def _names(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    pronouns = single_tokens(PRONOUNS, tokenizer)
    if len(pronouns) < 2:
        raise needs_words("pronoun", what="pronouns", found=len(pronouns), needed=2)
    men = single_tokens([f" {name}" for name in MEN], tokenizer)
    women = single_tokens([f" {name}" for name in WOMEN], tokenizer)
    fewest = min(len(men), len(women))
    if fewest == 0:
        raise needs_words("pronoun", what="names of each gender", found=0, needed=1)
    return men, women


TASK = Pronoun()
