"""One function a model: train or write it, then save weights, tokenizer and card."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from pahq.tokenizer import Tokenizer
from scripts.training import attn_2l, evaluate, export, hand, loop, tiny_gpt
from scripts.training.cards import write_card
from scripts.training.files import write_json
from scripts.training.model import Block, Decoder
from scripts.training.vocabulary import save_tokenizer

Say = Callable[[str], None]


def make_tiny_gpt(folder: Path, checkpoints: Path, say: Say) -> None:
    """Train tiny-gpt on the five tasks."""
    words = tiny_gpt.tokenizer()
    model = tiny_gpt.new_model(words)
    loop.train(
        model,
        tiny_gpt.batches(words),
        tiny_gpt.SCHEDULE,
        seed=tiny_gpt.SEED,
        folder=checkpoints,
        guides=tiny_gpt.GUIDES,
        say=say,
    )
    folder.mkdir(parents=True, exist_ok=True)
    export.save_gpt2(model, folder)
    save_tokenizer(words.backend, folder, context=tiny_gpt.CONTEXT)
    write_card(
        folder,
        title="tiny-gpt",
        about=tiny_gpt.ABOUT,
        facts=_facts(model, words, tiny_gpt.SCHEDULE, checkpoints, seed=tiny_gpt.SEED),
        scores=_scores(model, tiny_gpt.TASKS, words, say),
        profiles=_profiles(model, words),
        notes=tiny_gpt.NOTES,
    )


def make_attn_2l(folder: Path, checkpoints: Path, say: Say) -> None:
    """Train attn-2l on random words that repeat."""
    words = attn_2l.tokenizer()
    model = attn_2l.new_model(words)
    loop.train(
        model,
        attn_2l.batches(words),
        attn_2l.SCHEDULE,
        seed=attn_2l.SEED,
        folder=checkpoints,
        guides=attn_2l.GUIDES,
        say=say,
    )
    folder.mkdir(parents=True, exist_ok=True)
    export.save_attention_only(model, attn_2l.config(words.size), folder)
    save_tokenizer(words.backend, folder, context=attn_2l.CONTEXT)
    write_card(
        folder,
        title="attn-2l",
        about=attn_2l.ABOUT,
        facts=_facts(model, words, attn_2l.SCHEDULE, checkpoints, seed=attn_2l.SEED),
        scores=_scores(model, attn_2l.TASKS, words, say),
        profiles=_profiles(model, words),
        notes=attn_2l.NOTES,
    )


def make_hand_induction(folder: Path, checkpoints: Path, say: Say) -> None:
    """Write hand-induction and, beside it, the circuit that it is made of."""
    del checkpoints  # nothing is trained
    words = hand.tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    export.save_native(hand.weights(words.size), hand.config(words.size), folder)
    save_tokenizer(words.backend, folder, context=hand.CONTEXT)
    known = {"edges": hand.EDGES, "thresholds": hand.THRESHOLDS, "note": hand.NOTE}
    write_json(folder / "known_circuit.json", known)
    forward, patterns = native_model(folder)
    scores = evaluate.scores(forward, ("induction",), tokenizer=words, context=hand.CONTEXT)
    for score in scores:
        say(f"  {score.what}: {score.value:.3f}")
    write_card(
        folder,
        title="hand-induction",
        about=hand.ABOUT,
        facts=[
            ("shape", f"{hand.LAYERS} layers x {hand.HEADS} heads, attention only, no norm"),
            ("vocabulary", f"{words.size} tokens: the letters a to z, each with a space before it"),
            ("context", f"{hand.CONTEXT} tokens"),
            ("true circuit", ", ".join(f"`{edge}`" for edge in hand.EDGES)),
            ("holds for tau in", f"{hand.THRESHOLDS[0]} to {hand.THRESHOLDS[1]} nats (KL)"),
        ],
        scores=scores,
        profiles=evaluate.head_profiles(patterns, tokenizer=words, context=hand.CONTEXT),
        notes=hand.NOTES,
    )


def native_model(folder: Path) -> tuple[evaluate.Forward, evaluate.Forward]:
    """Return the forward and the attention patterns of a saved attention-only model."""
    from pahq.models.loading import load_model

    bridge = load_model(str(folder), device=torch.device("cpu")).bridge

    @torch.no_grad()
    def forward(ids: torch.Tensor) -> torch.Tensor:
        return bridge(ids)

    @torch.no_grad()
    def patterns(ids: torch.Tensor) -> torch.Tensor:
        _, cache = bridge.run_with_cache(ids)
        return torch.stack(
            [cache[f"blocks.{n}.attn.hook_pattern"] for n in range(bridge.cfg.n_layers)]
        )

    return forward, patterns


def _scores(model: Decoder, tasks: Sequence[str], words: Tokenizer, say: Say):
    context = model.shape.context
    found = evaluate.scores(model, tasks, tokenizer=words, context=context)
    for score in found:
        say(f"  {score.what}: {score.value:.3f}")
    return found


def _profiles(model: Decoder, words: Tokenizer) -> list[evaluate.HeadProfile]:
    context = model.shape.context
    return evaluate.head_profiles(model.patterns, tokenizer=words, context=context)


def _facts(
    model: Decoder, words: Tokenizer, schedule: loop.Schedule, checkpoints: Path, *, seed: int
) -> list[tuple[str, str]]:
    shape = model.shape
    inside = f"MLPs {shape.mlp} wide" if shape.mlp else "attention only"
    seconds = loop.seconds_spent(checkpoints)
    return [
        ("shape", f"{shape.layers} layers x {shape.heads} heads, width {shape.width}, {inside}"),
        ("parameters", f"{sum(p.numel() for p in model.parameters()):,}, FP32"),
        ("vocabulary", f"{words.size} words"),
        ("context", f"{shape.context} tokens"),
        ("training", f"{schedule.steps:,} steps of 40 rows of {shape.context} tokens, seed {seed}"),
        ("silent heads", ", ".join(silent_heads(model)) or "none"),
        ("time", f"{seconds / 60:.0f} minutes on one CPU core (bfloat16 products, FP32 weights)"),
    ]


def silent_heads(model: Decoder) -> list[str]:
    """Return the heads that write nothing worth mentioning: less than a thousandth of the most."""
    lengths = torch.stack([output_lengths(block) for block in model.blocks])
    silent = (lengths < 1e-3 * lengths.max()).nonzero().tolist()
    return [f"a{layer}.h{head}" for layer, head in silent]


def output_lengths(block: nn.Module) -> torch.Tensor:
    """Return the length (Frobenius norm) of each head's output matrix."""
    assert isinstance(block, Block)
    return (
        block.out.weight.detach()
        .view(-1, block.heads, block.out.in_features // block.heads)
        .norm(dim=(0, 2))
    )


MAKERS: dict[str, Callable[[Path, Path, Say], None]] = {
    "hand-induction": make_hand_induction,
    "attn-2l": make_attn_2l,
    "tiny-gpt": make_tiny_gpt,
}
