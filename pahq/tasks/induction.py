"""Induction: what followed this word last time?

Tests whether the model, having read random words once, continues a piece of them that it meets
again: "... A B ... A" is followed by B.

- clean: ten random words, then up to four new ones, then a piece of the first ten. Where the
  piece lies and how long it is differs from row to row, so no fixed distance leads to the answer;
- corrupt: the first ten words drawn anew, the rest the same: nothing repeats;
- answer: the word that followed in the first ten;
- wrong: the word that stands in its place in the corrupt prompt.

Reference: Olsson et al. 2022, "In-context Learning and Induction Heads", arXiv:2209.11895.
"""

from dataclasses import dataclass
from functools import lru_cache

from pahq.tasks.base import PromptPair, example_rng, needs_words
from pahq.tokenizer import Tokenizer

FIRST = 10  # words before anything repeats
SECOND = 6  # new words and the repeated piece together
LONGEST_PIECE = 5
WORDS_NEEDED = 2 * FIRST + SECOND - 2  # no word stands for two things in one pair


@dataclass(frozen=True)
class Induction:
    """The task, in token ids: it needs no particular words."""

    name = "induction"

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``: two lists of 16 token ids.

        Raises:
            UsageError: if the tokenizer has fewer than 24 words.
        """
        rng = example_rng(self.name, seed=seed, index=index)
        drawn = rng.sample(words(tokenizer), WORDS_NEEDED)
        first, redrawn, new = drawn[:FIRST], drawn[FIRST : 2 * FIRST], drawn[2 * FIRST :]
        piece = rng.randint(2, LONGEST_PIECE)
        start = rng.randrange(FIRST - piece)
        second = new[: SECOND - piece] + first[start : start + piece]
        return PromptPair(
            clean=(*first, *second),
            corrupt=(*redrawn, *second),
            answers=(first[start + piece],),
            wrong=(redrawn[start + piece],),
        )


@lru_cache(maxsize=8)
def words(tokenizer: Tokenizer) -> list[int]:
    """Return the ids that may be drawn: whole words (a space and letters), in order of id.

    Large vocabularies are full of pieces and control characters that nobody can read; a
    vocabulary without spaced words gives all its tokens except the special ones.
    """
    ids = [i for i in range(tokenizer.size) if i not in tokenizer.special]
    texts = tokenizer.words(tuple(ids))
    spaced = [i for i, text in zip(ids, texts, strict=True) if _is_word(text)]
    found = spaced if len(spaced) >= WORDS_NEEDED else ids
    if len(found) < WORDS_NEEDED:
        raise needs_words("induction", what="words", found=len(found), needed=WORDS_NEEDED)
    return found


def _is_word(text: str) -> bool:
    return text.startswith(" ") and text[1:].isascii() and text[1:].isalpha()


TASK = Induction()
