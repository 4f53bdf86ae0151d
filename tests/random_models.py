"""Small random models and prompts. Biases are on and weights are large enough to matter."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.sources import boot_native, build_bridge_from_module
from transformers import GPT2Config, GPT2LMHeadModel

from pahq.tasks.base import EncodedPair, Target
from pahq.tasks.batches import PromptBatch, batches

VOCABULARY, CONTEXT = 23, 12


@dataclass(frozen=True)
class Recipe:
    """What a random model looks like; two equal recipes give equal models."""

    layers: int = 2
    heads: int = 2
    d_head: int = 4
    mlp: bool = True
    norm: str | None = "LN"
    family: str = "native"  # or "gpt2", a Hugging Face model with per-head input hooks
    seed: int = 0


def random_bridge(recipe: Recipe):
    """Return a TransformerBridge with random weights."""
    d_model = recipe.heads * recipe.d_head
    if recipe.family == "gpt2":
        bridge = _gpt2(recipe, d_model)
    else:
        size = {"d_mlp": 3 * d_model} if recipe.mlp else {"attn_only": True}
        bridge = boot_native(
            TransformerBridgeConfig(
                n_layers=recipe.layers, d_model=d_model, d_head=recipe.d_head,
                n_heads=recipe.heads, n_ctx=CONTEXT, d_vocab=VOCABULARY, act_fn="gelu_new",
                normalization_type=recipe.norm, positional_embedding_type="standard",
                seed=recipe.seed, **size,
            )
        )  # fmt: skip
    generator = torch.Generator().manual_seed(recipe.seed)
    matrices = 0.6 if recipe.norm else 0.3  # without LayerNorm the stream grows
    with torch.no_grad():
        for name, parameter in bridge.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = parameter.ndim == 1 and name.endswith("weight")  # of a LayerNorm
            scale = matrices if parameter.ndim > 1 else 0.2
            parameter.copy_(1.0 * is_gain + noise * scale)
    return bridge.requires_grad_(False).eval()


def _gpt2(recipe: Recipe, d_model: int):
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=d_model, n_layer=recipe.layers,
        n_head=recipe.heads, n_inner=3 * d_model, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager",
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    return build_bridge_from_module(model, "GPT2LMHeadModel", hf_config=config, tokenizer=None)


def random_prompts(seed: int, *, rows: int = 3) -> tuple[PromptBatch, ...]:
    """Return prompts of up to two lengths; each row differs from its twin somewhere."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int) -> int:
        return int(torch.randint(0, high, (1,), generator=generator))

    pairs = []
    for row in range(rows):
        length = 4 + (row % 2) * (1 + draw(3))
        clean = [draw(VOCABULARY) for _ in range(length)]
        corrupt = list(clean)
        for _ in range(1 + draw(2)):
            corrupt[draw(length)] = draw(VOCABULARY)
        changed = draw(length)
        corrupt[changed] = (clean[changed] + 1 + draw(VOCABULARY - 1)) % VOCABULARY
        answer = draw(VOCABULARY)
        target = Target(length - 1, (answer,), ((answer + 1) % VOCABULARY,))
        pairs.append(EncodedPair(tuple(clean), tuple(corrupt), (target,)))
    return batches(pairs)


# (layers, heads): up to four layers and six heads, never more than 50 to 120 edges.
SIZES = [(1, 1), (1, 3), (1, 6), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (4, 1)]


def _recipe(size, d_head, mlp, norm, seed):
    layers, heads = size
    return Recipe(layers=layers, heads=heads, d_head=d_head, mlp=mlp, norm=norm, seed=seed)


recipes = st.builds(
    _recipe,
    st.sampled_from(SIZES),
    st.sampled_from([4, 6]),  # LayerNorm over two numbers is a step: it magnifies rounding
    st.booleans(),
    st.sampled_from(["LN", "LNPre", None]),
    st.integers(0, 10_000),
)
