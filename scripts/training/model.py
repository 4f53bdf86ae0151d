"""The decoder that is trained: GPT-2's blocks, with or without MLPs, and nothing else.

Plain and small so that a step on one CPU core is quick; ``cards`` writes its weights in the
layouts that other programs read.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; ``mlp`` = 0 means attention only."""

    vocabulary: int
    context: int
    layers: int
    heads: int
    width: int
    mlp: int


class Block(nn.Module):
    """Attention, then an MLP if the shape has one; both read a normalised residual stream."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.heads = shape.heads
        self.ln_1 = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        if shape.mlp:
            self.ln_2 = nn.LayerNorm(shape.width)
            self.up = nn.Linear(shape.width, shape.mlp)
            self.down = nn.Linear(shape.mlp, shape.width)
        self.has_mlp = bool(shape.mlp)

    def pattern_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention patterns and values, each (row, head, pos, ...)."""
        rows, length, width = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(rows, length, 3, self.heads, -1).unbind(2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        return scores.masked_fill(future, float("-inf")).softmax(-1, dtype=torch.float32), v

    def forward(self, x: Tensor) -> Tensor:
        """Return the residual stream after this block: (row, pos, width)."""
        pattern, v = self.pattern_and_values(x)
        x = x + self.out((pattern.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        if self.has_mlp:
            x = x + self.down(functional.gelu(self.up(self.ln_2(x)), approximate="tanh"))
        return x


class Decoder(nn.Module):
    """Token and position embedding, blocks, norm, unembedding (tied where there are MLPs)."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width)
        self.unembed = nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.initialise()

    def initialise(self) -> None:
        """Draw small weights; positions become waves of many speeds.

        With frequencies spread evenly up to half a turn per token, "one token back" is a
        rotation that differs from "two tokens back"; slow waves alone make neighbours look alike,
        and no head learns to look exactly one token back.
        """
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.04)
        half = self.shape.width // 2
        speed = torch.linspace(0.0, math.pi, half + 1)[1:]
        angle = torch.arange(self.shape.context)[:, None] * speed
        waves = torch.cat([angle.sin(), angle.cos()], dim=1)
        with torch.no_grad():
            self.positions.weight.copy_(0.04 * waves)
        if self.shape.mlp:
            self.unembed.weight = self.tokens.weight

    def residual(self, ids: Tensor) -> Tensor:
        """Return what the last norm reads: (row, pos, width)."""
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits: (row, pos, vocabulary)."""
        return self.unembed(self.ln_f(self.residual(ids)))

    @torch.no_grad()
    def patterns(self, ids: Tensor) -> Tensor:
        """Return attention patterns: (layer, row, head, query, key)."""
        x, found = self.tokens(ids) + self.positions.weight[: ids.shape[1]], []
        for block in self.blocks:
            assert isinstance(block, Block)
            found.append(block.pattern_and_values(x)[0])
            x = block(x)
        return torch.stack(found)
