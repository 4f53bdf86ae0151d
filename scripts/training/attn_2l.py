"""attn-2l: two attention-only layers that learn induction and nothing else.

The first steps draw from a small pool of words, because matching a word to itself is learned
sooner on few words. Also during the first steps, one head of layer 1 is rewarded for looking at
the token that followed last time. Without this the model learns induction just as well, but looks
one token further and finds there, through heads of layer 0 that look one and two tokens back,
what it needs: right, but not what anybody would want to learn from. No head of layer 0 is told
anything; the previous-token head comes by itself.
"""

import random
from collections.abc import Callable
from typing import Any

import torch

from pahq.tasks.words import DESCRIPTIONS, EVENTS, VARIABLES
from pahq.tokenizer import Tokenizer
from scripts.training import data
from scripts.training.loop import Batch, Guide, Schedule, rows_of
from scripts.training.model import Decoder, Shape
from scripts.training.vocabulary import BEGIN, build_tokenizer, vocabulary

NAME = "attn-2l"
TASKS = ("induction",)
CONTEXT = 64
SEED = 0
WIDTH, LAYERS, HEADS = 256, 2, 8
SMALL_POOL, SMALL_POOL_STEPS = 36, 300
GUIDES = (Guide(layer=1, heads=1, looks_at="induction", steps=300, weight=0.3),)
SCHEDULE = Schedule(steps=1600, rate=2e-3, warm_up=50, sparsity=1.0, share={"induction": 1.0})

ABOUT = (
    "Two layers of attention, no MLPs, trained on random words that repeat: the smallest model "
    "that learns induction. A head of layer 0 looks one token back; the heads of layer 1 read from "
    "it which word came before each position, and look where that is the word they stand on."
)
NOTES = (
    f"During the first {GUIDES[0].steps} steps, head 0 of layer 1 was rewarded for looking at the "
    "token that followed last time. All other heads, the previous-token head among them, were "
    "left alone. A penalty on every head's value and output weights made sharing a job expensive."
)


def tokenizer() -> Tokenizer:
    words = vocabulary(f" {word}" for word in DESCRIPTIONS + EVENTS + VARIABLES)
    return Tokenizer(build_tokenizer(words), bos=BEGIN)


def new_model(words: Tokenizer) -> Decoder:
    torch.manual_seed(SEED)
    return Decoder(Shape(words.size, CONTEXT, layers=LAYERS, heads=HEADS, width=WIDTH, mlp=0))


def batches(words: Tokenizer) -> Callable[[random.Random, int], Batch]:
    """Return the function that draws the batch of a step."""

    def draw(rng: random.Random, step: int) -> Batch:
        writer = data.Writer(words, rng, CONTEXT)
        pool = SMALL_POOL if step < SMALL_POOL_STEPS else None
        return rows_of([("induction", 40, lambda: data.random_words(writer, pool=pool))])

    return draw


def config(words: int) -> dict[str, Any]:
    """Return the fields of the TransformerBridgeConfig."""
    return {
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "d_head": WIDTH // HEADS,
        "d_model": WIDTH,
        "d_vocab": words,
        "n_ctx": CONTEXT,
        "attn_only": True,
        "normalization_type": "LN",
        "eps": 1e-5,
        "act_fn": "relu",
        "positional_embedding_type": "standard",
    }
