"""hand-induction: an induction circuit written down instead of trained.

The residual stream has four separate parts: which word (``token``), where (``position``), which
word came before (``before``), and what comes next (``next``).

- a0.h0, the previous-token head: at position i its query asks for position i - 1; it copies that
  token's ``token`` part into ``before``.
- a1.h0, the induction head: its query is this word, its keys are the words ``before`` each
  position; where they match, it copies the ``token`` part into ``next``, which is all that the
  unembedding reads.
- all other heads have zero weights.

Position 0 has no word before it: its a0.h0 can only look at itself. a1.h0's keys subtract this,
reading from the input nothing but "this is position 0".
"""

import math
from typing import Any

import torch
from torch import Tensor

from pahq.tokenizer import Tokenizer
from scripts.training.vocabulary import BEGIN, build_tokenizer, vocabulary

NAME = "hand-induction"
LETTERS = tuple(f" {letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
CONTEXT = 32
LAYERS, HEADS, HEAD_WIDTH = 2, 4, 36
SHARPNESS = 20.0  # attention score of a match; everything else scores 0
LOUDNESS = 10.0  # logit of the word that the induction head copies

EDGES = ("input->a0.h0<v>", "a0.h0->a1.h0<k>", "input->a1.h0<v>", "a1.h0->logits")
THRESHOLDS = (1e-4, 3.0)  # nats
NOTE = (
    "Under corrupt ablation plain ACDC (task induction, metric kl) finds exactly these edges for "
    "every threshold in this range, in nats. Edges that carry only positions drop out, since "
    "clean and corrupt prompt share positions: input->a0.h0<q>, input->a0.h0<k> and "
    "input->a1.h0<k>. input->a1.h0<q> drops out as well: the last word, whose query counts, is "
    "the same in both prompts."
)

ABOUT = (
    "An induction circuit written down instead of trained, so that the true circuit is known "
    "exactly: a previous-token head, a0.h0, feeds an induction head, a1.h0. All other heads have "
    "zero weights."
)
NOTES = f"## The circuit\n\n{NOTE}\n\n`known_circuit.json` holds the same for programs."


def tokenizer() -> Tokenizer:
    return Tokenizer(build_tokenizer(vocabulary(LETTERS)), bos=BEGIN)


def config(words: int) -> dict[str, Any]:
    """Return the fields of the TransformerBridgeConfig for a vocabulary of ``words``."""
    return {
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "d_head": HEAD_WIDTH,
        "d_model": 3 * words + CONTEXT,
        "d_vocab": words,
        "n_ctx": CONTEXT,
        "attn_only": True,
        "normalization_type": None,
        "act_fn": "relu",
        "positional_embedding_type": "standard",
    }


def weights(words: int) -> dict[str, Tensor]:
    """Return the native state dict, in FP32."""
    width = 3 * words + CONTEXT
    token, position, before, following = (
        slice(0, words),
        slice(words, words + CONTEXT),
        slice(words + CONTEXT, 2 * words + CONTEXT),
        slice(2 * words + CONTEXT, width),
    )
    state = {
        "embed.weight": torch.zeros(words, width),
        "pos_embed.weight": torch.zeros(CONTEXT, width),
        "unembed.weight": torch.zeros(words, width),
        "unembed.bias": torch.zeros(words),
    }
    state["embed.weight"][:, token] = torch.eye(words)
    state["pos_embed.weight"][:, position] = torch.eye(CONTEXT)
    state["unembed.weight"][:, following] = LOUDNESS * torch.eye(words)
    inner = HEADS * HEAD_WIDTH
    for layer in range(LAYERS):
        for part in "qkv":
            state[f"blocks.{layer}.attn.{part}.weight"] = torch.zeros(inner, width)
            state[f"blocks.{layer}.attn.{part}.bias"] = torch.zeros(inner)
        state[f"blocks.{layer}.attn.o.weight"] = torch.zeros(width, inner)
        state[f"blocks.{layer}.attn.o.bias"] = torch.zeros(width)

    # Scores are divided by sqrt(head width), which is 6.
    asks = SHARPNESS * math.sqrt(HEAD_WIDTH)
    places, names = slice(0, CONTEXT), slice(0, words)  # rows of head 0

    q, k, v, o = (state[f"blocks.0.attn.{part}.weight"] for part in "qkvo")
    q[places, position] = asks * torch.diag(torch.ones(CONTEXT - 1), 1)
    k[places, position] = torch.eye(CONTEXT)
    v[names, token] = torch.eye(words)
    o[before, names] = torch.eye(words)

    q, k, v, o = (state[f"blocks.1.attn.{part}.weight"] for part in "qkvo")
    q[names, token] = asks * torch.eye(words)
    k[names, before] = torch.eye(words)
    k[names, position.start] = -1.0  # nothing stands before position 0
    v[names, token] = torch.eye(words)
    o[following, names] = torch.eye(words)
    return state
