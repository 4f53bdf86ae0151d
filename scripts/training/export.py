"""A trained decoder's weights in the layouts that other programs read, always in FP32."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from scripts.training.files import write_json
from scripts.training.model import Block, Decoder

NATIVE_TYPE = "pahq-attn-only"  # as pahq.models.loading reads it


def save_gpt2(model: Decoder, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` for transformers' ``GPT2LMHeadModel``."""
    shape = model.shape
    state: dict[str, Tensor] = {
        "transformer.wte.weight": model.tokens.weight,
        "transformer.wpe.weight": model.positions.weight,
        "transformer.ln_f.weight": model.ln_f.weight,
        "transformer.ln_f.bias": model.ln_f.bias,
    }
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        here = f"transformer.h.{number}"
        for name, layer in (
            ("attn.c_attn", block.qkv),
            ("attn.c_proj", block.out),
            ("mlp.c_fc", block.up),
            ("mlp.c_proj", block.down),
        ):
            state[f"{here}.{name}.weight"] = layer.weight.T  # GPT-2 multiplies from the right
            state[f"{here}.{name}.bias"] = layer.bias
        for name, norm in (("ln_1", block.ln_1), ("ln_2", block.ln_2)):
            state[f"{here}.{name}.weight"] = norm.weight
            state[f"{here}.{name}.bias"] = norm.bias
    write_json(
        folder / "config.json",
        {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "vocab_size": shape.vocabulary,
            "n_positions": shape.context,
            "n_embd": shape.width,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "n_inner": shape.mlp,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "tie_word_embeddings": True,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "dtype": "float32",
        },
    )
    _save(state, folder)


def save_attention_only(model: Decoder, config: dict[str, Any], folder: Path) -> None:
    """Write the native layout of transformer_lens for a model without MLPs."""
    state: dict[str, Tensor] = {
        "embed.weight": model.tokens.weight,
        "pos_embed.weight": model.positions.weight,
        "ln_final.weight": model.ln_f.weight,
        "ln_final.bias": model.ln_f.bias,
        "unembed.weight": model.unembed.weight,
        "unembed.bias": torch.zeros(model.shape.vocabulary),
    }
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        here = f"blocks.{number}"
        state[f"{here}.ln1.weight"] = block.ln_1.weight
        state[f"{here}.ln1.bias"] = block.ln_1.bias
        weights, biases = block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            state[f"{here}.attn.{name}.weight"] = weight
            state[f"{here}.attn.{name}.bias"] = bias
        state[f"{here}.attn.o.weight"] = block.out.weight
        state[f"{here}.attn.o.bias"] = block.out.bias
    save_native(state, config, folder)


def save_native(state: dict[str, Tensor], config: dict[str, Any], folder: Path) -> None:
    """Write a native state dict and the fields of its TransformerBridgeConfig."""
    write_json(folder / "config.json", {"model_type": NATIVE_TYPE, **config})
    _save(state, folder)


def _save(state: dict[str, Tensor], folder: Path) -> None:
    tensors = {name: t.detach().float().contiguous().clone() for name, t in state.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
