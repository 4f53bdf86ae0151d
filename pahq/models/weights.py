"""A model's weights, taken once from a loaded TransformerBridge: neither folded nor centred.

Axes: ``d_model`` residual stream, ``head``, ``d_head``, ``d_mlp``, ``vocab``, ``context``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pahq.errors import BadModel
from pahq.graph.build import GraphShape

ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu")


@dataclass(frozen=True, eq=False)
class Norm:
    """A LayerNorm; ``weight`` and ``bias`` are (d_model,), or None where it only normalises."""

    weight: Float[Tensor, " d_model"] | None
    bias: Float[Tensor, " d_model"] | None
    epsilon: float


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """One head; ``score_scale`` is what scores are divided by, sqrt(d_head) in most models."""

    query: Float[Tensor, "d_model d_head"]
    key: Float[Tensor, "d_model d_head"]
    value: Float[Tensor, "d_model d_head"]
    out: Float[Tensor, "d_head d_model"]
    query_bias: Float[Tensor, " d_head"]
    key_bias: Float[Tensor, " d_head"]
    value_bias: Float[Tensor, " d_head"]
    score_scale: float


@dataclass(frozen=True, eq=False)
class MlpWeights:
    """One MLP; ``activation`` is the name of its activation function."""

    norm: Norm | None
    into: Float[Tensor, "d_model d_mlp"]
    into_bias: Float[Tensor, " d_mlp"]
    out: Float[Tensor, "d_mlp d_model"]
    out_bias: Float[Tensor, " d_model"]
    activation: str


@dataclass(frozen=True, eq=False)
class Block:
    """One layer. ``attention_bias`` (d_model,) is added once for all heads; no sender owns it."""

    norm: Norm | None
    heads: tuple[HeadWeights, ...]
    attention_bias: Float[Tensor, " d_model"]
    mlp: MlpWeights | None


@dataclass(frozen=True, eq=False)
class ModelWeights:
    """The whole model; ``position`` holds one learned vector for each position."""

    embedding: Float[Tensor, "vocab d_model"]
    position: Float[Tensor, "context d_model"]
    blocks: tuple[Block, ...]
    norm: Norm | None
    unembedding: Float[Tensor, "d_model vocab_out"]
    unembedding_bias: Float[Tensor, " vocab_out"] | None

    @property
    def shape(self) -> GraphShape:
        """What decides the graph."""
        return GraphShape(
            n_layers=len(self.blocks),
            n_heads=len(self.blocks[0].heads),
            d_model=self.embedding.shape[1],
            mlp=self.blocks[0].mlp is not None,
        )

    @property
    def context(self) -> int:
        """Longest prompt, in tokens."""
        return self.position.shape[0]

    @property
    def vocabulary(self) -> int:
        """Number of tokens that can be read."""
        return self.embedding.shape[0]

    def matrices(self) -> dict[str, tuple[Tensor, ...]]:
        """Return the matrices that each component multiplies with, by its name."""
        found: dict[str, tuple[Tensor, ...]] = {
            "input": (self.embedding,),
            "logits": (self.unembedding,),
        }
        for layer, block in enumerate(self.blocks):
            for h, head in enumerate(block.heads):
                found[f"a{layer}.h{h}"] = (head.query, head.key, head.value, head.out)
            if block.mlp is not None:
                found[f"m{layer}"] = (block.mlp.into, block.mlp.out)
        return found

    def sizes(self) -> dict[str, int]:
        """Return the number of matrix weights of each component, by its name."""
        return {name: sum(w.numel() for w in each) for name, each in self.matrices().items()}

    def layer(self, number: int) -> tuple[Tensor, ...]:
        """Return all matrices of one block."""
        prefixes = (f"a{number}.", f"m{number}")
        found = self.matrices()
        return tuple(w for name, each in found.items() if name.startswith(prefixes) for w in each)


@torch.no_grad()
def take_weights(bridge: Any) -> ModelWeights:
    """Return the weights of a TransformerBridge as views of its own parameters.

    Raises:
        BadModel: for a model family that the reference engine has no components for.
    """
    cfg = bridge.cfg
    check_family(cfg)
    attn_only = bool(cfg.attn_only)
    blocks = []
    for layer, block in enumerate(bridge.blocks):
        scale = _score_scale(cfg, layer)
        attn = block.attn
        heads = tuple(
            HeadWeights(
                query=attn.W_Q[h].detach(),
                key=attn.W_K[h].detach(),
                value=attn.W_V[h].detach(),
                out=attn.W_O[h].detach(),
                query_bias=attn.b_Q[h].detach(),
                key_bias=attn.b_K[h].detach(),
                value_bias=attn.b_V[h].detach(),
                score_scale=scale,
            )
            for h in range(cfg.n_heads)
        )
        mlp = None if attn_only else _mlp(block, cfg)
        blocks.append(Block(_norm(block, "ln1", cfg), heads, attn.b_O.detach(), mlp))
    return ModelWeights(
        embedding=bridge.W_E.detach(),
        position=bridge.W_pos.detach(),
        blocks=tuple(blocks),
        norm=_norm(bridge, "ln_final", cfg),
        unembedding=bridge.W_U.detach(),
        unembedding_bias=bridge.b_U.detach(),
    )


def check_family(cfg: Any, *, source: Path | None = None) -> None:
    """Refuse a TransformerBridge's settings if pahq has no components for such a model.

    Args:
        cfg: the settings.
        source: the file that they are from, if they are from one.

    Raises:
        BadModel: with every reason.
    """
    reasons = [
        reason
        for found, reason in (
            (cfg.positional_embedding_type != "standard", "its positions are not learned vectors"),
            (cfg.normalization_type not in ("LN", "LNPre", None), "it has no plain LayerNorm"),
            (bool(cfg.gated_mlp), "its MLPs are gated"),
            (bool(cfg.parallel_attn_mlp), "attention and MLP run in parallel"),
            (cfg.n_key_value_heads not in (None, cfg.n_heads), "its heads share keys and values"),
            (cfg.attention_dir != "causal", "its attention is not causal"),
            (_cap(cfg, "output_logits_soft_cap"), "its logits are soft-capped"),
            (_cap(cfg, "attn_scores_soft_cap"), "its attention scores are soft-capped"),
            (bool(cfg.use_qk_norm), "queries and keys are normalised"),
            (bool(cfg.use_local_attn), "its attention is local"),
            (not cfg.attn_only and cfg.act_fn not in ACTIVATIONS, f"activation {cfg.act_fn}"),
        )
        if found
    ]
    if reasons:
        name = getattr(cfg, "architecture", None) or "this architecture"
        told = f"The model '{cfg.model_name}' ({name})"
        if source is not None:
            told = f"What {source} describes ({name})"
        raise BadModel(
            f"{told} is of a family pahq cannot compute yet.",
            why="; ".join(reasons),
            fix="use a model of GPT-2's kind (LayerNorm, learned positions, plain MLP) "
            "or an attention-only one",
        )


def _cap(cfg: Any, name: str) -> bool:
    return (getattr(cfg, name, None) or -1.0) > 0


def _score_scale(cfg: Any, layer: int) -> float:
    scale = 1.0
    if cfg.use_attn_scale:
        scale = cfg.attn_scale if cfg.attn_scale and cfg.attn_scale > 0 else cfg.d_head**0.5
    return scale * (layer + 1) if cfg.scale_attn_by_inverse_layer_idx else scale


def _norm(owner: Any, name: str, cfg: Any) -> Norm | None:
    if cfg.normalization_type is None:
        return None
    part = getattr(owner, name)
    weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
    return Norm(
        weight.detach() if weight is not None else None,
        bias.detach() if bias is not None else None,
        float(cfg.eps),
    )


def _mlp(block: Any, cfg: Any) -> MlpWeights:
    mlp = block.mlp
    return MlpWeights(
        norm=_norm(block, "ln2", cfg),
        into=mlp.W_in.detach(),
        into_bias=mlp.b_in.detach(),
        out=mlp.W_out.detach(),
        out_bias=mlp.b_out.detach(),
        activation=cfg.act_fn,
    )
