"""tiny-gpt: four layers of GPT-2's kind that know the five tasks.

What the training does beyond drawing documents, and why (docs/experiments.md has the numbers):

1. Warm-up on random words that repeat, first from a small pool of words, then from all of them:
   matching a word to itself is learned on few words and carries over to the rest.
2. During the first steps one head of layer 1 is rewarded for looking at the token that followed
   last time. Afterwards nothing holds it there. The previous-token head of layer 0 that feeds it
   is never told anything.
3. Then all five tasks at once.
4. All along, heads that share a job pay for it (``loop.concentrate``), so few heads do each job
   and some fall silent.
"""

import random
from collections.abc import Callable

import torch

from pahq.tokenizer import Tokenizer
from scripts.training import data
from scripts.training.loop import Batch, Guide, Schedule, rows_of
from scripts.training.model import Decoder, Shape
from scripts.training.vocabulary import BEGIN, build_tokenizer

NAME = "tiny-gpt"
TASKS = ("ioi", "greater-than", "docstring", "induction", "pronoun")
CONTEXT = 64
SEED = 0
WIDTH, MLP = 192, 384

WARM_UP = 600  # steps on random words alone
SMALL_POOL, SMALL_POOL_STEPS = 48, 400
GUIDES = (Guide(layer=1, heads=1, looks_at="induction", steps=500, weight=0.3),)
SCHEDULE = Schedule(
    steps=8000,
    rate=2e-3,
    warm_up=50,
    sparsity=1.0,
    share={"ioi": 1.0, "greater-than": 0.5, "pronoun": 0.2, "docstring": 0.7, "induction": 1.2},
)

ABOUT = (
    "A GPT-2 with four layers that knows five tasks: indirect objects, greater-than, docstrings, "
    "induction and pronouns. Small enough that a circuit search takes seconds. It knows nothing "
    "else: its vocabulary holds the words of these tasks only."
)
NOTES = (
    f"During the first {GUIDES[0].steps} steps, head 0 of layer 1 was rewarded for looking at the "
    "token that followed last time; afterwards nothing held it there. All other heads, the "
    "previous-token head of layer 0 among them, were left alone. All along, a penalty on every "
    "head's value and output weights made sharing a job expensive, so some heads are silent: "
    "their outputs are zero, and no circuit holds them.\n\n"
    "The previous-token head a0.h1 reaches the keys of the induction head a1.h0 through the first "
    "MLP: a0.h1->m0 and m0->a1.h0<k>. Docstrings go through a1.h0 as well. Indirect objects take "
    "all four layers, mostly by values: few of their edges into queries or keys matter, so this is "
    "not the circuit that GPT-2 has."
)


def tokenizer() -> Tokenizer:
    return Tokenizer(build_tokenizer(data.all_words()), bos=BEGIN)


def new_model(words: Tokenizer) -> Decoder:
    torch.manual_seed(SEED)
    return Decoder(Shape(words.size, CONTEXT, layers=4, heads=8, width=WIDTH, mlp=MLP))


def batches(words: Tokenizer) -> Callable[[random.Random, int], Batch]:
    """Return the function that draws the batch of a step."""
    known: dict[str, tuple[int, ...]] = {}

    def draw(rng: random.Random, step: int) -> Batch:
        writer = data.Writer(words, rng, CONTEXT, known)
        if step < WARM_UP:
            pool = SMALL_POOL if step < SMALL_POOL_STEPS else None
            return rows_of([("induction", 40, lambda: data.random_words(writer, pool=pool))])
        return rows_of(
            [
                ("ioi", 15, lambda: writer.row(data.scene)),
                ("greater-than", 6, lambda: writer.row(data.years)),
                ("pronoun", 2, lambda: writer.row(data.friends)),
                ("docstring", 6, lambda: writer.row(data.documented)),
                ("induction", 11, lambda: data.random_words(writer)),
            ]
        )

    return draw
