"""A model of GPT-2 small's shape that contains a small trained model, for benchmarks offline.

The small model's residual stream is repeated until it is as wide as GPT-2 small's: the mean and the
variance that LayerNorm sees stay the same, and what reads the stream reads the mean of the copies.
Its heads are padded, its layers spread over the depth; all other heads, layers, neurons and tokens
are small noise. Its circuit is therefore the small model's, in a graph of 32,491 edges.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

COPIED = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
UNUSED_LOGIT = -20.0  # of each token that the small model does not have
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """Sizes of the model to make; GPT-2 small's by default."""

    layers: int = 12
    heads: int = 12
    d_model: int = 768
    d_mlp: int = 3072
    vocabulary: int = 50257
    context: int = 1024


def plant(
    source: Path, target: Path, *, shape: Shape | None = None, noise: float = 0.005, seed: int = 0
) -> tuple[int, ...]:
    """Write a large model that contains the GPT-2-like model in ``source``.

    Args:
        source: a directory in the Hugging Face layout; its width must divide the large one's.
        target: where to write; made if it is not there.
        shape: sizes of the large model.
        noise: standard deviation of the weights that write the noise into the residual stream.
        seed: of the noise.

    Returns:
        The layers of the large model in which those of the small one lie.

    Raises:
        ValueError: if the small model does not fit into the large one.
    """
    shape = shape or Shape()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    _check(config, shape)
    places = tuple(
        int((layer + 0.5) * shape.layers / config["n_layer"]) for layer in range(config["n_layer"])
    )
    target.mkdir(parents=True, exist_ok=True)
    made = _Planter(load_file(source / "model.safetensors"), config, shape, noise, seed)
    save_file(made.all(places), target / "model.safetensors", metadata={"format": "pt"})
    config |= {
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "n_embd": shape.d_model,
        "n_inner": shape.d_mlp,
        "vocab_size": shape.vocabulary,
        "n_positions": shape.context,
        "tie_word_embeddings": False,
    }
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name in COPIED:
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    return places


def moved(edge: str, places: tuple[int, ...]) -> str:
    """Return the name that an edge of the small model has in the large one."""
    return re.sub(r"\b([am])(\d+)", lambda found: f"{found[1]}{places[int(found[2])]}", edge)


def _check(config: dict, shape: Shape) -> None:
    width = config["n_embd"]
    copies, rest = divmod(shape.d_model, width)
    fits = (
        not rest
        and copies % 2 == 0
        and config["n_head"] <= shape.heads
        and width // config["n_head"] <= shape.d_model // shape.heads
        and config["n_layer"] <= shape.layers
        and config["vocab_size"] <= shape.vocabulary
    )
    if not fits:
        raise ValueError(f"a model with {config} does not fit into {shape}")


class _Planter:
    """Makes each tensor of the large model from one of the small."""

    def __init__(self, small: Weights, config: dict, shape: Shape, noise: float, seed: int):
        self.small = small
        self.shape, self.noise = shape, noise
        self.width, self.heads = config["n_embd"], config["n_head"]
        self.copies = shape.d_model // self.width
        self.generator = torch.Generator().manual_seed(seed)

    def all(self, places: tuple[int, ...]) -> Weights:
        """Return every tensor of the large model, named as transformers names GPT-2's."""
        found = self._ends()
        for layer in range(self.shape.layers):
            source = f"h.{places.index(layer)}." if layer in places else None
            for name, tensor in self._layer(source).items():
                found[f"transformer.h.{layer}.{name}"] = tensor
        return {name: tensor.contiguous() for name, tensor in found.items()}

    def _ends(self) -> Weights:
        shape, part = self.shape, self._part
        embedding = self._random(shape.vocabulary, shape.d_model, scale=0.1)
        position = self._random(shape.context, shape.d_model, scale=0.1)
        small_embedding, small_position = part("wte.weight"), part("wpe.weight")
        embedding[: len(small_embedding)] = small_embedding.repeat(1, self.copies)
        position[: len(small_position)] = small_position.repeat(1, self.copies)
        # Copies of the last LayerNorm's bias differ by +-1: their mean, which the small model's
        # unembedding reads, is unchanged, and a constant logit for unused tokens comes from them.
        sign = torch.tensor([1.0, -1.0]).repeat(self.copies // 2).repeat_interleave(self.width)
        unembedding = sign * UNUSED_LOGIT / shape.d_model
        unembedding = unembedding + self._random(shape.vocabulary, shape.d_model, scale=0.02)
        small = self.small.get("lm_head.weight", small_embedding)
        unembedding[: len(small)] = small.repeat(1, self.copies) / self.copies
        return {
            "transformer.wte.weight": embedding,
            "transformer.wpe.weight": position,
            "transformer.ln_f.weight": part("ln_f.weight").repeat(self.copies),
            "transformer.ln_f.bias": part("ln_f.bias").repeat(self.copies) + sign,
            "lm_head.weight": unembedding,
        }

    def _layer(self, source: str | None) -> Weights:
        shape = self.shape
        d_model, d_head, d_mlp = shape.d_model, shape.d_model // shape.heads, shape.d_mlp
        reads = self._random(d_model, 3, shape.heads, d_head, scale=d_model**-0.5)
        read_bias = torch.zeros(3, shape.heads, d_head)
        writes = self._random(shape.heads, d_head, d_model, scale=self.noise)
        into = self._random(d_model, d_mlp, scale=d_model**-0.5)
        into_bias = torch.zeros(d_mlp)
        out = self._random(d_mlp, d_model, scale=self.noise / 2)
        found = {
            name: torch.full((d_model,), float(name.endswith("weight")))
            for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias")
        } | {"attn.c_proj.bias": torch.zeros(d_model), "mlp.c_proj.bias": torch.zeros(d_model)}
        if source is not None:
            found = {name: self._part(source + name).repeat(self.copies) for name in found}
            self._plant_heads(source, reads, read_bias, writes)
            neurons = len(self._part(source + "mlp.c_fc.bias"))
            into[:, :neurons] = self._reader(self._part(source + "mlp.c_fc.weight"))
            into_bias[:neurons] = self._part(source + "mlp.c_fc.bias")
            out[:neurons] = self._part(source + "mlp.c_proj.weight").repeat(1, self.copies)
        return found | {
            "attn.c_attn.weight": reads.flatten(1),
            "attn.c_attn.bias": read_bias.flatten(),
            "attn.c_proj.weight": writes.flatten(0, 1),
            "mlp.c_fc.weight": into,
            "mlp.c_fc.bias": into_bias,
            "mlp.c_proj.weight": out,
        }

    def _plant_heads(self, source: str, reads: Tensor, bias: Tensor, writes: Tensor) -> None:
        heads, narrow = self.heads, self.width // self.heads
        weight = self._part(source + "attn.c_attn.weight").unflatten(1, (3, heads, narrow))
        small_bias = self._part(source + "attn.c_attn.bias").unflatten(0, (3, heads, narrow))
        # Scores are divided by the square root of the head's width, which has grown; and what the
        # padding adds to them must stay small.
        grown = torch.tensor([(reads.shape[-1] / narrow) ** 0.5, 1.0, 1.0]).view(3, 1, 1)
        reads[:, :, :heads, narrow:] *= 0.1
        reads[:, :, :heads, :narrow] = self._reader(weight) * grown
        bias[:, :heads, :narrow] = small_bias * grown
        out = self._part(source + "attn.c_proj.weight").unflatten(0, (heads, narrow))
        writes[:heads, :narrow] = out.repeat(1, 1, self.copies)

    def _reader(self, weight: Tensor) -> Tensor:
        """Return what reads the mean of the copies."""
        return torch.cat([weight / self.copies] * self.copies)

    def _part(self, name: str) -> Tensor:
        return self.small[f"transformer.{name}"].float()

    def _random(self, *shape: int, scale: float) -> Tensor:
        return torch.randn(shape, generator=self.generator) * scale
