'''Docstring: which argument is described next?

Tests whether the model continues a docstring with the argument that comes next in the function's
signature::

    def load(self, size, path, name, data, code, mode):
        """river summer window

        :param name: doctor letter
        :param data: church bread
        :param            <- "code"

- clean: three arguments (A, B, C) are described in order; two come before them in the signature
  and one after;
- corrupt: the three arguments in the signature and the two in the docstring are replaced by
  unrelated ones ("random_random"), so nothing matches;
- answer: C;
- wrong: the other arguments of the clean prompt.

References: Heimersheim and Janiak 2023, "A circuit for Python docstrings in a 4-layer
attention-only transformer"; the settings are those of Conmy et al. 2023, arXiv:2304.14997.
'''

import random
from dataclasses import dataclass
from functools import lru_cache

from pahq.tasks.base import PromptPair, example_rng, needs_words, single_tokens
from pahq.tasks.words import DESCRIPTIONS, FUNCTIONS, VARIABLES
from pahq.tokenizer import Tokenizer

TEMPLATE = '''
def{function}(self,{p1},{p2},{a},{b},{c},{s1}):
    """{w0}{w1}{w2}

    :param{doc_a}:{w3}{w4}
    :param{doc_b}:{w5}{w6}
    :param'''

VARIABLES_NEEDED = 11  # six of the clean signature, three and two of the corrupt prompt
DESCRIPTIONS_NEEDED = 6


@dataclass(frozen=True)
class Docstring:
    """The task, in reStructuredText style."""

    name = "docstring"

    def pair(self, index: int, *, seed: int, tokenizer: Tokenizer) -> PromptPair:
        """Return example ``index``.

        Raises:
            UsageError: if the tokenizer lacks variable names, function names or descriptions.
        """
        words = _words(tokenizer)
        rng = example_rng(self.name, seed=seed, index=index)
        p1, p2, a, b, c, s1, x, y, z, doc_x, doc_y = rng.sample(words.variables, VARIABLES_NEEDED)
        frame = {"function": rng.choice(words.functions), "p1": p1, "p2": p2, "s1": s1}
        frame |= description(rng, words.openings, words.descriptions)
        clean = TEMPLATE.format(a=a, b=b, c=c, doc_a=a, doc_b=b, **frame)
        corrupt = TEMPLATE.format(a=x, b=y, c=z, doc_a=doc_x, doc_b=doc_y, **frame)
        return PromptPair(clean, corrupt, answers=(c,), wrong=(a, b, p1, p2, s1))


def description(rng: random.Random, openings: list[str], words: list[str]) -> dict[str, str]:
    """Draw the descriptions: ``w0`` stands right after the quotes, without a space."""
    drawn = rng.sample(words, DESCRIPTIONS_NEEDED)
    return {"w0": rng.choice(openings), **{f"w{i}": w for i, w in enumerate(drawn, start=1)}}


@dataclass(frozen=True)
class _Words:
    functions: list[str]
    variables: list[str]
    descriptions: list[str]
    openings: list[str]


@lru_cache(maxsize=8)
def _words(tokenizer: Tokenizer) -> _Words:
    def spaced(words: tuple[str, ...]) -> list[str]:
        return single_tokens([f" {word}" for word in words], tokenizer)

    words = _Words(
        functions=spaced(FUNCTIONS),
        variables=spaced(VARIABLES),
        descriptions=spaced(DESCRIPTIONS),
        openings=single_tokens(DESCRIPTIONS, tokenizer),
    )
    for what, found, needed in (
        ("function names", words.functions, 1),
        ("variable names", words.variables, VARIABLES_NEEDED),
        ("descriptions", words.descriptions, DESCRIPTIONS_NEEDED),
        ("descriptions without a leading space", words.openings, 1),
    ):
        if len(found) < needed:
            raise needs_words("docstring", what=what, found=len(found), needed=needed)
    return words


TASK = Docstring()
